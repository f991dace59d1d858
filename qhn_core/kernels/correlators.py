"""Squared correlators of products of groups, summed over all 2**n strings of Z along the chain of qubits.

A string has a Z or the identity, written 1, on each qubit; its order is the number of its Z. MMD² to the
uniform prior is the sum of c**n r**order <string>² over all strings except the identity 1 1 ... 1, where
c = (1 + e) / 2, r = (1 - e) / (1 + e) and e = exp(-1/h²) (see `divergences`). Before the last CX gates, q
is a product of groups, and so is <string>². A CX carries Z on its target to Z Z. So the order of a string
is a sum of one term for each CX, and the sum over all strings is a product of 2 x 2 matrices, one a qubit.
"""

import numpy as np
from numba import njit

CX_ORDER = ((0, 2), (1, 1))
"""How many Z a pair of a control and a target has after the CX, by those it had before."""


@njit(cache=True, nogil=True)
def _correlators(q, width):
    """<1>, <Z>, or <1 1>, <1 Z>, <Z 1>, <Z Z> of a group's probabilities q (4,)."""
    if width == 1:
        return 1.0, q[0] - q[1], 0.0, 0.0
    return 1.0, q[0] - q[1] + q[2] - q[3], q[0] + q[1] - q[2] - q[3], q[0] - q[1] - q[2] + q[3]


@njit(cache=True, nogil=True)
def _squares(groups, starts):
    """Squared correlators (groups, 4) of one circuit."""
    out = np.zeros(groups.shape)
    for g in range(len(groups)):
        found = _correlators(groups[g], starts[g + 1] - starts[g])
        for k in range(4):
            out[g, k] = found[k] ** 2
    return out


@njit(cache=True, nogil=True)
def _links(starts, first):
    """For each qubit: the group that ends with it, or -1; is it a CX's target; is it in no CX."""
    n_qubits = starts[-1]
    ends = np.full(n_qubits, -1)
    for g in range(starts.size - 1):
        ends[starts[g + 1] - 1] = g
    target = np.zeros(n_qubits, dtype=np.bool_)
    free = np.ones(n_qubits, dtype=np.bool_)
    for control in range(first, n_qubits - 1, 2):
        target[control + 1] = True
        free[control : control + 2] = False
    return ends, target, free


@njit(cache=True, nogil=True)
def _step(squares, starts, links, j, c, r):
    """The 2 x 2 matrix that takes the sums over the strings of qubits up to j - 1 to those up to j.

    For the first qubit only the first row is used.
    """
    ends, target, free = links
    out = np.ones((2, 2))
    if target[j]:
        for a in range(2):
            for b in range(2):
                out[a, b] = c * c * r ** CX_ORDER[a][b]
    if free[j]:
        for a in range(2):
            out[a, 0] *= c
            out[a, 1] *= c * r
    g = ends[j]
    if g >= 0:
        pair = starts[g + 1] - starts[g] == 2
        for a in range(2):
            for b in range(2):
                out[a, b] *= squares[g, (2 * a if pair else 0) + b]
    return out


@njit(cache=True, nogil=True)
def chain_mmd(groups, starts, first, c, r):
    """MMD² (S,) of circuits, groups (S, groups, 4), whose last CX gates are on (first, first + 1), ...

    The identity string is kept apart, so that nothing cancels where MMD² is small.
    """
    links = _links(starts, first)
    out = np.empty(len(groups))
    for row in range(len(groups)):
        squares = _squares(groups[row], starts)
        one = 1.0  # the identity string
        zero = 0.0  # strings that end in the identity, except the identity string
        z = 0.0  # strings that end in Z
        for j in range(starts[-1]):
            m = _step(squares, starts, links, j, c, r)
            zero, z, one = (
                m[0, 0] * zero + m[1, 0] * z,
                m[0, 1] * (one + zero) + m[1, 1] * z,
                m[0, 0] * one,
            )
        out[row] = zero + z
    return out


@njit(cache=True, nogil=True)
def chain_mmd_slopes(groups, starts, first, c, r):
    """dMMD²/dq (S, groups, 4) by the groups' probabilities; arguments as of `chain_mmd`."""
    n_qubits = starts[-1]
    links = _links(starts, first)
    out = np.zeros(groups.shape)
    none = np.ones(groups.shape[1:])
    before = np.empty((n_qubits + 1, 2))  # sums over the strings of the qubits before j
    before[0, 0], before[0, 1] = 1.0, 0.0
    for row in range(len(groups)):
        q = groups[row]
        squares = _squares(q, starts)
        for j in range(n_qubits):
            m = _step(squares, starts, links, j, c, r)
            for b in range(2):
                before[j + 1, b] = before[j, 0] * m[0, b] + before[j, 1] * m[1, b]
        after = np.ones(2)  # sums over the strings of the qubits from j on
        for j in range(n_qubits - 1, -1, -1):
            g = links[0][j]
            if g >= 0:
                pair = starts[g + 1] - starts[g] == 2
                found = _correlators(q[g], 2 if pair else 1)
                rest = _step(none, starts, links, j, c, r)
                by_square = np.zeros(4)
                for a in range(2):
                    for b in range(2):
                        string = (2 * a if pair else 0) + b
                        by_square[string] += before[j, a] * rest[a, b] * after[b]
                for string in range(1, 4 if pair else 2):
                    for k in range(4 if pair else 2):
                        sign = 1.0 - 2.0 * ((string & k & 1) ^ ((string & k) >> 1))
                        out[row, g, k] += by_square[string] * 2.0 * found[string] * sign
            m = _step(squares, starts, links, j, c, r)
            a0 = m[0, 0] * after[0] + m[0, 1] * after[1]
            after[1] = m[1, 0] * after[0] + m[1, 1] * after[1]
            after[0] = a0
    return out


@njit(cache=True, nogil=True)
def chain_spectra(groups, starts, first):
    """Sums of squared correlators by order (S, n + 1), as `divergences.correlator_spectrum`."""
    n_qubits = starts[-1]
    ends, target, free = _links(starts, first)
    out = np.zeros((len(groups), n_qubits + 1))
    for row in range(len(groups)):
        squares = _squares(groups[row], starts)
        sums = np.zeros((2, n_qubits + 3))  # by the last qubit's Z, and by order
        sums[0, 0] = 1.0
        for j in range(n_qubits):
            new = np.zeros_like(sums)
            g = ends[j]
            pair = g >= 0 and starts[g + 1] - starts[g] == 2
            for a in range(2):
                for b in range(2):
                    order = CX_ORDER[a][b] if target[j] else (b if free[j] else 0)
                    weight = 1.0 if g < 0 else squares[g, (2 * a if pair else 0) + b]
                    for k in range(min(j + 2, n_qubits + 1)):
                        new[b, k + order] += weight * sums[a, k]
            sums = new
        out[row] = sums[0, : n_qubits + 1] + sums[1, : n_qubits + 1]
    return out
