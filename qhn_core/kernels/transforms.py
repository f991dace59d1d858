"""Linear maps of arrays with 2**n entries, a bit at a time, and sums over them."""

import numpy as np
from numba import njit

from qhn_core.kernels.hamming import popcount


@njit(cache=True, nogil=True, inline="always")
def _butterfly(a, b, m00, m01, m10, m11):
    return m00 * a + m01 * b, m10 * a + m11 * b


@njit(cache=True, nogil=True)
def _last_three_bits(v, m00, m01, m10, m11):
    """The three least significant bits at once: shorter inner loops would not vectorise."""
    for i in range(0, v.size, 8):
        a, b = _butterfly(v[i], v[i + 1], m00, m01, m10, m11)
        c, d = _butterfly(v[i + 2], v[i + 3], m00, m01, m10, m11)
        e, f = _butterfly(v[i + 4], v[i + 5], m00, m01, m10, m11)
        g, h = _butterfly(v[i + 6], v[i + 7], m00, m01, m10, m11)
        a, c = _butterfly(a, c, m00, m01, m10, m11)
        b, d = _butterfly(b, d, m00, m01, m10, m11)
        e, g = _butterfly(e, g, m00, m01, m10, m11)
        f, h = _butterfly(f, h, m00, m01, m10, m11)
        v[i], v[i + 4] = _butterfly(a, e, m00, m01, m10, m11)
        v[i + 1], v[i + 5] = _butterfly(b, f, m00, m01, m10, m11)
        v[i + 2], v[i + 6] = _butterfly(c, g, m00, m01, m10, m11)
        v[i + 3], v[i + 7] = _butterfly(d, h, m00, m01, m10, m11)


@njit(cache=True, nogil=True)
def apply_bitwise(vectors, m00, m01, m10, m11):
    """Multiply every row of `vectors` (B, 2**n), in place, by the matrix m on each of the n bits.

    m = [[1, 1], [1, -1]] is the Walsh-Hadamard transform; m = [[1, e], [e, 1]] is the RBF
    kernel matrix with e = exp(-1/h**2). Costs n * 2**n instead of 4**n.
    """
    n_rows, size = vectors.shape
    for row in range(n_rows):
        v = vectors[row]
        half = 1
        if size >= 8:
            _last_three_bits(v, m00, m01, m10, m11)
            half = 8
        while half < size:
            for start in range(0, size, 2 * half):
                low = v[start : start + half]
                high = v[start + half : start + 2 * half]
                for i in range(half):
                    low[i], high[i] = _butterfly(low[i], high[i], m00, m01, m10, m11)
            half *= 2


@njit(cache=True, nogil=True, fastmath=True)
def row_dots(left, right):
    """Dot product of each row of left (B, N) with that row of right (B, N), or with its only row (1, N).

    BLAS adds up in an order that depends on B and on the number of cores; this does not.
    """
    out = np.empty(left.shape[0])
    for row in range(left.shape[0]):
        a = left[row]
        b = right[row if right.shape[0] > 1 else 0]
        total = 0.0
        for i in range(a.size):
            total += a[i] * b[i]
        out[row] = total
    return out


@njit(cache=True, nogil=True)
def squares_by_order(vectors):
    """Sum of v[i]**2 over the indices i of each number of set bits: (B, 2**n) -> (B, n + 1)."""
    n_rows, size = vectors.shape
    n_bits = popcount(size - 1)
    sums = np.zeros((n_rows, 4, n_bits + 1))  # four sums, so that additions need not wait for each other
    for row in range(n_rows):
        for i in range(size):
            sums[row, i & 3, popcount(i)] += vectors[row, i] * vectors[row, i]
    return sums.sum(axis=1)


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
