"""Hamming distances between packed bitstrings, words (W, shots) of up to 63 bits each."""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

WORD_BITS = 63
"""Bits of a bitstring that one int64 word holds."""
BLOCK = 4
"""Bitstrings that one pass over all earlier bitstrings compares with them."""
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

    Returns (words (C, W, shots), counts (C, shots) float64, sizes (C,)). Only the first sizes[c] columns
    of words[c] and of counts[c] are filled. Training soon measures the same few networks again and again.
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


@njit(cache=True, nogil=True, inline="always")
def _of_pair(kernel, x, y):
    return kernel[np.uint64(popcount(x ^ y))]


@njit(cache=True, nogil=True)
def _short_sum(words, counts, start, stop, others, weights, size, kernel):
    """Sum of counts[i] * weights[j] * kernel[Hamming distance of words[i] and others[j]].

    Over start <= i < stop and j < size, for bitstrings of one word: four at a time, without storing any
    distance.
    """
    total = 0.0
    whole = stop - (stop - start) % 4
    for i in range(start, whole, 4):
        x0, x1, x2, x3 = words[i], words[i + 1], words[i + 2], words[i + 3]
        a = b = c = d = 0.0
        for j in range(size):
            y = others[j]
            a += weights[j] * _of_pair(kernel, x0, y)
            b += weights[j] * _of_pair(kernel, x1, y)
            c += weights[j] * _of_pair(kernel, x2, y)
            d += weights[j] * _of_pair(kernel, x3, y)
        total += (counts[i] * a + counts[i + 1] * b) + (counts[i + 2] * c + counts[i + 3] * d)
    for i in range(whole, stop):
        a = 0.0
        for j in range(size):
            a += weights[j] * _of_pair(kernel, words[i], others[j])
        total += counts[i] * a
    return total


@njit(cache=True, nogil=True)
def _long_sum(words, counts, start, stop, others, weights, size, kernel):
    """`_short_sum` for bitstrings of several words, words (W, any) and others (W, any)."""
    total = 0.0
    distance = np.empty(size, dtype=np.uint16)
    for i in range(start, stop):
        distance[:] = 0
        for w in range(len(words)):
            x = words[w, i]
            y = others[w]
            for j in range(size):
                distance[j] += popcount(x ^ y[j])
        a = b = c = d = 0.0  # four sums, so that additions need not wait for each other
        whole = size - size % 4
        for j in range(0, whole, 4):
            a += weights[j] * kernel[distance[j]]
            b += weights[j + 1] * kernel[distance[j + 1]]
            c += weights[j + 2] * kernel[distance[j + 2]]
            d += weights[j + 3] * kernel[distance[j + 3]]
        for j in range(whole, size):
            a += weights[j] * kernel[distance[j]]
        total += counts[i] * ((a + b) + (c + d))
    return total


@njit(cache=True, nogil=True)
def _short_sum_within(words, counts, size, kernel):
    """Sum the terms of `_short_sum` over all pairs j < i < size of bitstrings of one word."""
    total = 0.0
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        total += _short_sum(words, counts, start, stop, words, counts, start, kernel)
        for i in range(start + 1, stop):
            for j in range(start, i):
                total += counts[i] * counts[j] * _of_pair(kernel, words[i], words[j])
    return total


@njit(cache=True, nogil=True)
def mean_kernel_within(samples, counts, sizes, kernel):
    """Mean of kernel[Hamming distance] over pairs of shots of each circuit, see `distinct`: (C,)."""
    means = np.empty(len(samples))
    n_words, shots = samples.shape[1:]
    for c in range(len(samples)):
        total = 0.0
        if n_words == 1:
            total = _short_sum_within(samples[c, 0], counts[c], sizes[c], kernel)
        for i in range(sizes[c]):
            if n_words > 1:
                total += _long_sum(samples[c], counts[c], i, i + 1, samples[c], counts[c], i, kernel)
            total += counts[c, i] * kernel[0] * (counts[c, i] - 1) / 2
        means[c] = total / (shots * (shots - 1) / 2)
    return means


@njit(cache=True, nogil=True)
def mean_kernel_between(samples, counts, sizes, others, weights, kernel):
    """Mean of kernel[Hamming distance] between each circuit's shots, see `distinct`, and others: (C,).

    The first m columns of others (W, any) are distinct bitstrings, measured weights (m,) times.
    """
    means = np.empty(len(samples))
    pairs = samples.shape[2] * weights.sum()
    for c in range(len(samples)):
        if len(others) == 1:
            total = _short_sum(
                samples[c, 0], counts[c], 0, sizes[c], others[0], weights, weights.size, kernel
            )
        else:
            total = _long_sum(samples[c], counts[c], 0, sizes[c], others, weights, weights.size, kernel)
        means[c] = total / pairs
    return means


@njit(cache=True, nogil=True)
def distances_within(samples, n_bits):
    """Share of the pairs i != j of each row (R, shots) at distance 0 to n_bits: (R, n_bits + 1)."""
    n_rows, shots = samples.shape
    shares = np.zeros((n_rows, n_bits + 1))
    for row in range(n_rows):
        counts = np.zeros(n_bits + 1, dtype=np.int64)
        for i in range(1, shots):
            for j in range(i):
                counts[popcount(samples[row, i] ^ samples[row, j])] += 1
        shares[row] = counts / (shots * (shots - 1) / 2)
    return shares


@njit(cache=True, nogil=True)
def distances_between(samples, others, n_bits):
    """Share of the pairs of one of samples (R, shots) and one of others (R, m), row by row, by distance.

    Returns (R, n_bits + 1), for distances 0 to n_bits.
    """
    n_rows, shots = samples.shape
    shares = np.zeros((n_rows, n_bits + 1))
    for row in range(n_rows):
        counts = np.zeros(n_bits + 1, dtype=np.int64)
        for i in range(shots):
            for j in range(others.shape[1]):
                counts[popcount(samples[row, i] ^ others[row, j])] += 1
        shares[row] = counts / (shots * others.shape[1])
    return shares
