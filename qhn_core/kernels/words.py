"""Hamming distances between packed bitstrings, words (W, shots) of up to 63 bits each."""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def popcount(typing_context, word):
    """Number of set bits of a 64-bit word, as one machine instruction."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    if isinstance(word, types.Integer):
        return types.int64(types.int64), codegen
    raise TypeError(f"popcount needs an integer, got {word}")


@njit(cache=True, nogil=True)
def _kernel_sum(words, others, i, count, distance, kernel):
    """Sum over j < count of kernel[Hamming distance of words[:, i] and others[:, j]]."""
    for w in range(len(words)):
        x = words[w, i]
        y = others[w]
        if w == 0:
            for j in range(count):
                distance[j] = popcount(x ^ y[j])
        else:
            for j in range(count):
                distance[j] += popcount(x ^ y[j])
    a = b = c = d = 0.0  # four sums, so that additions need not wait for each other
    whole = count - count % 4
    for j in range(0, whole, 4):
        a += kernel[distance[j]]
        b += kernel[distance[j + 1]]
        c += kernel[distance[j + 2]]
        d += kernel[distance[j + 3]]
    for j in range(whole, count):
        a += kernel[distance[j]]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True)
def mean_kernel_within(samples, kernel):
    """Mean of kernel[Hamming distance] over pairs i != j of each circuit's samples (C, W, shots)."""
    n_circuits, _, shots = samples.shape
    means = np.empty(n_circuits)
    distance = np.empty(shots, dtype=np.uint16)
    for c in range(n_circuits):
        total = 0.0
        for i in range(1, shots):
            total += _kernel_sum(samples[c], samples[c], i, i, distance, kernel)
        means[c] = total / (shots * (shots - 1) / 2)
    return means


@njit(cache=True, nogil=True)
def mean_kernel_between(samples, others, kernel):
    """Mean of kernel[Hamming distance] between each circuit's samples (C, W, shots) and others (W, m)."""
    n_circuits, _, shots = samples.shape
    means = np.empty(n_circuits)
    count = others.shape[1]
    distance = np.empty(count, dtype=np.uint16)
    for c in range(n_circuits):
        total = 0.0
        for i in range(shots):
            total += _kernel_sum(samples[c], others, i, count, distance, kernel)
        means[c] = total / (shots * count)
    return means


@njit(cache=True, nogil=True)
def mean_of_table(table, indices):
    """Mean of table (2**n,) over the samples of each circuit, indices (C, shots): (C,)."""
    n_circuits, shots = indices.shape
    means = np.empty(n_circuits)
    whole = shots - shots % 4
    for row in range(n_circuits):
        a = b = c = d = 0.0
        for s in range(0, whole, 4):
            a += table[indices[row, s]]
            b += table[indices[row, s + 1]]
            c += table[indices[row, s + 2]]
            d += table[indices[row, s + 3]]
        for s in range(whole, shots):
            a += table[indices[row, s]]
        means[row] = ((a + b) + (c + d)) / shots
    return means


@njit(cache=True, nogil=True)
def count_indices(indices, size):
    """How often each basis state 0 to size - 1 is among indices (shots,), as float64 (size,)."""
    counts = np.zeros(size)
    for i in range(indices.size):
        counts[indices[i]] += 1.0
    return counts
