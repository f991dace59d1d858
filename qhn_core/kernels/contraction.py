"""Means of tables of 2**n numbers over products of groups, and their slopes.

Reshaped, a table is a matrix: its rows are the outcomes of the first half of the groups, its columns those
of the second half. Each half has a vector of probabilities. So a mean is vector @ matrix @ vector, about
2**n multiplications. As many circuits as fit into a cache are computed at once. No sum depends on which
circuits share its batch.
"""

import numpy as np
from numba import njit

from qhn_core.kernels.groups import half_product, half_slopes, middle
from qhn_core.kernels.states import entangled_copy

AT_ONCE = 32
"""Circuits computed at once: with 14 qubits, their vectors fill the first-level cache."""


@njit(cache=True, nogil=True)
def _add_columns(coefficients, columns, out):
    """out (B,) += the sum over k of coefficients[k] * columns[k], columns (K, B)."""
    t = coefficients
    whole = len(columns) - len(columns) % 8
    for k in range(0, whole, 8):  # out is read and written once for eight
        t0, t1, t2, t3 = t[k], t[k + 1], t[k + 2], t[k + 3]
        t4, t5, t6, t7 = t[k + 4], t[k + 5], t[k + 6], t[k + 7]
        for b in range(out.size):
            out[b] += (
                (t0 * columns[k, b] + t1 * columns[k + 1, b])
                + (t2 * columns[k + 2, b] + t3 * columns[k + 3, b])
            ) + (
                (t4 * columns[k + 4, b] + t5 * columns[k + 5, b])
                + (t6 * columns[k + 6, b] + t7 * columns[k + 7, b])
            )
    for k in range(whole, len(columns)):
        for b in range(out.size):
            out[b] += t[k] * columns[k, b]


@njit(cache=True, nogil=True)
def _halves(groups, starts, cut, rows, left, right):
    """The halves' products of some circuits as columns: left (2**l, B), right (2**r, B)."""
    for b in range(rows.size):
        f = groups[rows[b]]
        steps = half_product(f, starts, 0, cut)
        for i in range(len(left)):
            left[i, b] = steps[len(left) + i]
        steps = half_product(f, starts, cut, starts.size - 1)
        for i in range(len(right)):
            right[i, b] = steps[len(right) + i]


@njit(cache=True, nogil=True)
def group_means(tables, groups, starts, first):
    """Means (S, K) of tables (K, 2**n) over circuits, groups (S, groups, 4).

    Tables are in the order after the last CX gates, which are on (first, first + 1), ...
    """
    n_qubits = starts[-1]
    cut = middle(starts)
    out = np.zeros((len(groups), len(tables)))
    permuted = [entangled_copy(tables[k], first, n_qubits) for k in range(len(tables))]
    for begin in range(0, len(groups), AT_ONCE):
        rows = np.arange(begin, min(begin + AT_ONCE, len(groups)))
        left = np.empty((1 << starts[cut], rows.size))
        right = np.empty((1 << (n_qubits - starts[cut]), rows.size))
        _halves(groups, starts, cut, rows, left, right)
        part = np.empty(rows.size)
        for k in range(len(tables)):
            matrix = permuted[k].reshape(len(left), len(right))
            for i in range(len(left)):
                part[:] = 0.0
                _add_columns(matrix[i], right, part)
                for b in range(rows.size):
                    out[begin + b, k] += left[i, b] * part[b]
    return out


@njit(cache=True, nogil=True)
def group_mean_slopes(table, groups, starts, first):
    """Slopes (S, groups, 4) of the mean of one table (2**n,) by the groups' probabilities."""
    n_qubits = starts[-1]
    cut = middle(starts)
    last = starts.size - 1
    slopes = np.zeros(groups.shape)
    matrix = entangled_copy(table, first, n_qubits).reshape(1 << starts[cut], -1)
    turned = np.ascontiguousarray(matrix.T)
    for begin in range(0, len(groups), AT_ONCE):
        rows = np.arange(begin, min(begin + AT_ONCE, len(groups)))
        left = np.empty((len(matrix), rows.size))
        right = np.empty((len(turned), rows.size))
        _halves(groups, starts, cut, rows, left, right)
        by_left = np.zeros_like(left)
        by_right = np.zeros_like(right)
        for i in range(len(matrix)):
            _add_columns(matrix[i], right, by_left[i])
        for k in range(len(turned)):
            _add_columns(turned[k], left, by_right[k])
        for b in range(rows.size):
            f = groups[rows[b]]
            steps = half_product(f, starts, 0, cut)
            half_slopes(by_left[:, b].copy(), steps, f, starts, 0, cut, slopes[rows[b]])
            steps = half_product(f, starts, cut, last)
            half_slopes(by_right[:, b].copy(), steps, f, starts, cut, last, slopes[rows[b]])
    return slopes


@njit(cache=True, nogil=True, fastmath=True)
def _inner(re, im, c, s):
    """Sum of conj(re + i im) * (c + i s)."""
    x = 0.0
    y = 0.0
    for i in range(re.size):
        x += re[i] * c[i] + im[i] * s[i]
        y += re[i] * s[i] - im[i] * c[i]
    return complex(x, y)


@njit(cache=True, nogil=True)
def group_duals(state, groups, starts):
    """Duals (groups, 4) of the amplitudes of groups (groups, 4), for `groups.add_slopes`.

    For each group, its amplitudes times its conjugate duals add up to <state|product of all groups>.
    """
    cut = middle(starts)
    last = starts.size - 1
    first_steps = half_product(groups, starts, 0, cut)
    second_steps = half_product(groups, starts, cut, last)
    left = first_steps[first_steps.size // 2 :]
    right = second_steps[second_steps.size // 2 :]
    c = right.real.copy()
    s = right.imag.copy()
    by_left = np.empty(left.size, dtype=np.complex128)
    x = np.zeros(right.size)
    y = np.zeros(right.size)
    for i in range(left.size):
        re = state[0, i * c.size : (i + 1) * c.size]
        im = state[1, i * c.size : (i + 1) * c.size]
        by_left[i] = _inner(re, im, c, s)
        a = left[i].real
        b = left[i].imag
        for k in range(c.size):
            x[k] += a * re[k] + b * im[k]
            y[k] += b * re[k] - a * im[k]
    out = np.zeros(groups.shape, dtype=np.complex128)
    half_slopes(by_left, first_steps, groups, starts, 0, cut, out)
    half_slopes(x + 1j * y, second_steps, groups, starts, cut, last, out)
    return np.conj(out)
