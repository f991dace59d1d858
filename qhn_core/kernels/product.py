"""The circuits of one layer: a product distribution pushed through CX gates on (2, 3), (4, 5), ...

A table of 2**n numbers is contracted with such a distribution as a matrix between two vectors:
no CX joins the first qubits to the last ones where the cut leaves an odd number before it.
"""

import numpy as np
from numba import njit

from qhn_core.bits import WORD_BITS
from qhn_core.kernels.sampling import sample_one_layer
from qhn_core.kernels.states import product_vector

MEASURED = 1
"""Stream of the samples at the angles themselves; 0 is the prior's."""
SHIFTED = 2
"""First stream of the shifted circuits, in the order of `gradients.shifted_angles`."""


@njit(cache=True, nogil=True)
def product_samples(ones, keys, epoch, shots):
    """Measure a circuit of one layer of every seed: ones (S, n), keys (S, 2) -> words (S, W, shots)."""
    n_words = (ones.shape[1] + WORD_BITS - 1) // WORD_BITS
    out = np.empty((len(ones), n_words, shots), dtype=np.int64)
    for row in range(len(ones)):
        sample_one_layer(ones[row], keys[row], epoch, MEASURED, out[row])
    return out


@njit(cache=True, nogil=True)
def shifted_product_samples(angles, key, epoch, shots):
    """Measure all shifted circuits of one seed of one layer: RY angles (n,) -> words (4n, W, shots).

    A shifted RY changes the distribution of its own qubit, a shifted RZ none.
    """
    n_qubits = angles.size
    ones = np.sin(angles / 2) ** 2
    n_words = (n_qubits + WORD_BITS - 1) // WORD_BITS
    out = np.empty((4 * n_qubits, n_words, shots), dtype=np.int64)
    for circuit in range(4 * n_qubits):
        qubit = circuit // 2
        if qubit < n_qubits:
            kept = ones[qubit]
            sign = 1.0 - 2.0 * (circuit % 2)
            ones[qubit] = np.sin(angles[qubit] / 2 + sign * np.pi / 4) ** 2
            sample_one_layer(ones, key, epoch, SHIFTED + circuit, out[circuit])
            ones[qubit] = kept
        else:
            sample_one_layer(ones, key, epoch, SHIFTED + circuit, out[circuit])
    return out


@njit(cache=True, nogil=True)
def first_layer(factors):
    """`product_vector` with the CX gates of layer 1 for each row of factors (B, n, 2): (B, 2**n)."""
    out = np.empty((len(factors), 1 << factors.shape[1]))
    for row in range(len(factors)):
        product_vector(factors[row], 1, out[row])
    return out


@njit(cache=True, nogil=True, fastmath=True)
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True)
def _cut(n_qubits):
    return (n_qubits // 2) | 1  # odd, so that no CX of layer 1 crosses it


@njit(cache=True, nogil=True)
def _both_vectors(ones):
    cut = _cut(ones.size)
    factors = np.stack((1.0 - ones, ones), axis=1)
    left = np.empty(1 << cut)
    right = np.empty(1 << (ones.size - cut))
    product_vector(factors[:cut], 1, left)
    product_vector(factors[cut:], 0, right)
    return factors, left, right


@njit(cache=True, nogil=True)
def product_expectations(tables, ones):
    """E[table] for each of the tables (K, 2**n) and the circuits of one layer, ones (S, n): (S, K)."""
    out = np.zeros((len(ones), len(tables)))
    for row in range(len(ones)):
        _, left, right = _both_vectors(ones[row])
        for k in range(len(tables)):
            for i in range(left.size):
                out[row, k] += left[i] * _dot(tables[k, i * right.size : (i + 1) * right.size], right)
    return out


@njit(cache=True, nogil=True)
def product_slopes(table, ones):
    """dE[table]/dp_j (S, n) for circuits of one layer, p_j = ones (S, n): E is linear in each p_j."""
    out = np.empty_like(ones)
    n_qubits = ones.shape[1]
    cut = _cut(n_qubits)
    for row in range(len(ones)):
        factors, left, right = _both_vectors(ones[row])
        by_left = np.empty(left.size)
        by_right = np.zeros(right.size)
        for i in range(left.size):
            part = table[i * right.size : (i + 1) * right.size]
            by_left[i] = _dot(part, right)
            weight = left[i]
            for k in range(right.size):
                by_right[k] += weight * part[k]
        for j in range(n_qubits):
            factors[j, 0] = -1.0
            factors[j, 1] = 1.0
            if j < cut:
                product_vector(factors[:cut], 1, left)
                out[row, j] = _dot(left, by_left)
            else:
                product_vector(factors[cut:], 0, right)
                out[row, j] = _dot(right, by_right)
            factors[j, 0] = 1.0 - ones[row, j]
            factors[j, 1] = ones[row, j]
    return out
