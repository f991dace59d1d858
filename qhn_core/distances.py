"""How often samples are at each Hamming distance: all that the MMD of samples depends on, for any h."""

import numpy as np
from numba import njit

from qhn_core.kernels.words import popcount


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
    """The same for pairs of a sample of each row (R, shots) and one of that row of others (R, m)."""
    n_rows, shots = samples.shape
    shares = np.zeros((n_rows, n_bits + 1))
    for row in range(n_rows):
        counts = np.zeros(n_bits + 1, dtype=np.int64)
        for i in range(shots):
            for j in range(others.shape[1]):
                counts[popcount(samples[row, i] ^ others[row, j])] += 1
        shares[row] = counts / (shots * others.shape[1])
    return shares
