"""Hamming distances between packed bitstrings, words (W, shots) of up to 63 bits each."""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads numbers over its high bits


@intrinsic
def popcount(typing_context, word):
    """Number of set bits of a 64-bit word, as one machine instruction."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    if isinstance(word, types.Integer):
        return types.int64(types.int64), codegen
    raise TypeError(f"popcount needs an integer, got {word}")


@njit(cache=True, nogil=True)
def distinct(samples):
    """The distinct bitstrings of each circuit, samples (C, W, shots), and how often each was measured.

    Returns (words (C, W, shots), counts (C, shots) float64, sizes (C,)): the first sizes[c] columns of
    words[c] and of counts[c] count. Training soon measures the same few networks over and over.
    """
    n_circuits, n_words, shots = samples.shape
    found = np.empty_like(samples)
    counts = np.empty((n_circuits, shots))
    sizes = np.zeros(n_circuits, dtype=np.int64)
    n_slots = 4
    shift = np.uint64(62)
    while n_slots < 2 * shots:
        n_slots *= 2
        shift -= np.uint64(1)
    slots = np.empty(n_slots, dtype=np.int64)  # a hash table with open addressing
    for c in range(n_circuits):
        slots[:] = -1
        for s in range(shots):
            mixed = np.uint64(0)
            for w in range(n_words):
                mixed = (mixed ^ np.uint64(samples[c, w, s])) * GOLDEN
            place = np.int64(mixed >> shift)
            while True:
                k = slots[place]
                if k < 0:
                    slots[place] = k = sizes[c]
                    sizes[c] += 1
                    counts[c, k] = 1.0
                    for w in range(n_words):
                        found[c, w, k] = samples[c, w, s]
                    break
                same = True
                for w in range(n_words):
                    same &= found[c, w, k] == samples[c, w, s]
                if same:
                    counts[c, k] += 1.0
                    break
                place = (place + 1) & (n_slots - 1)
    return found, counts, sizes


@njit(cache=True, nogil=True)
def _kernel_sum(words, others, i, count, weights, distance, kernel):
    """Sum over j < count of weights[j] * kernel[Hamming distance of words[:, i] and others[:, j]]."""
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
        a += weights[j] * kernel[distance[j]]
        b += weights[j + 1] * kernel[distance[j + 1]]
        c += weights[j + 2] * kernel[distance[j + 2]]
        d += weights[j + 3] * kernel[distance[j + 3]]
    for j in range(whole, count):
        a += weights[j] * kernel[distance[j]]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True)
def mean_kernel_within(samples, counts, sizes, kernel):
    """Mean of kernel[Hamming distance] over pairs of shots of each circuit, see `distinct`: (C,)."""
    means = np.empty(len(samples))
    distance = np.empty(samples.shape[2], dtype=np.uint16)
    shots = samples.shape[2]
    for c in range(len(samples)):
        total = 0.0
        for i in range(sizes[c]):
            others = _kernel_sum(samples[c], samples[c], i, i, counts[c], distance, kernel)
            total += counts[c, i] * (others + kernel[0] * (counts[c, i] - 1) / 2)
        means[c] = total / (shots * (shots - 1) / 2)
    return means


@njit(cache=True, nogil=True)
def mean_kernel_between(samples, counts, sizes, others, weights, kernel):
    """Mean of kernel[Hamming distance] between each circuit's shots, see `distinct`, and others: (C,).

    The first m columns of others (W, any) are distinct bitstrings, measured weights (m,) times.
    """
    means = np.empty(len(samples))
    distance = np.empty(weights.size, dtype=np.uint16)
    pairs = samples.shape[2] * weights.sum()
    for c in range(len(samples)):
        total = 0.0
        for i in range(sizes[c]):
            total += counts[c, i] * _kernel_sum(
                samples[c], others, i, weights.size, weights, distance, kernel
            )
        means[c] = total / pairs
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
