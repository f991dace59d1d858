"""Circuits of one or two layers: before their last CX gates they are products of small groups.

One layer entangles nothing before its CX gates, and two layers nothing but the pairs that a CX of
layer 1 joins. So a distribution over 2**n bitstrings is a few numbers for each group, and most
questions about it cost no 2**n. A group is one qubit or two neighbours. `groups` is everywhere the
array (groups, 4) of their probabilities, or of their amplitudes; a single qubit fills the first two.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_starts(n_layers, n_qubits):
    """First qubit of each group, 0, 1, 2, ... for 1 layer, 0, 1, 3, ... for 2; at the end n_qubits."""
    if n_layers == 1:
        return np.arange(n_qubits + 1)
    starts = np.empty(n_qubits // 2 + 2, dtype=np.int64)
    starts[0] = 0
    for g in range(1, starts.size):
        starts[g] = min(2 * g - 1, n_qubits)
    return starts


@njit(cache=True, nogil=True)
def rotation(angles, qubit):
    """RY RZ of one qubit (2, 2), from angles (2, n)."""
    c = np.cos(angles[0, qubit] / 2)
    s = np.sin(angles[0, qubit] / 2)
    phase = np.exp(-0.5j * angles[1, qubit])
    out = np.empty((2, 2), dtype=np.complex128)
    out[0, 0] = c * phase
    out[0, 1] = -s * np.conj(phase)
    out[1, 0] = s * phase
    out[1, 1] = c * np.conj(phase)
    return out


@njit(cache=True, nogil=True)
def _first_layer(half, out):
    """Write a group's amplitudes after layer 1 and its CX; half (1,) or (2,): half of its RY angles."""
    c = np.cos(half[0])
    s = np.sin(half[0])
    if half.size == 1:
        out[0], out[1] = c, s
    else:
        d = np.cos(half[1])
        t = np.sin(half[1])
        out[0], out[1], out[2], out[3] = c * d, c * t, s * t, s * d


@njit(cache=True, nogil=True)
def _turn_group(vector, rotations):
    """Apply a 2x2 matrix to each qubit of a group's vector (2,) or (4,), in place."""
    for place in range(len(rotations)):
        u = rotations[place]
        bit = vector.size >> (place + 1)
        for i in range(vector.size):
            if i & bit == 0:
                a = vector[i]
                b = vector[i + bit]
                vector[i] = u[0, 0] * a + u[0, 1] * b
                vector[i + bit] = u[1, 0] * a + u[1, 1] * b


@njit(cache=True, nogil=True)
def _rotations(angles, start, stop):
    out = np.empty((stop - start, 2, 2), dtype=np.complex128)
    for qubit in range(start, stop):
        u = rotation(angles, qubit)
        for i in range(4):
            out[qubit - start, i // 2, i % 2] = u[i // 2, i % 2]
    return out


@njit(cache=True, nogil=True)
def group_amplitudes(angles, start, stop):
    """Amplitudes (2 or 4,), before the last CX, of the qubits start to stop - 1; angles (1 or 2, 2, n)."""
    out = np.empty(1 << (stop - start), dtype=np.complex128)
    _first_layer(angles[0, 0, start:stop] / 2, out)
    if len(angles) > 1:
        _turn_group(out, _rotations(angles[1], start, stop))
    return out


@njit(cache=True, nogil=True)
def add_slopes(angles, start, stop, dual, gradient):
    """Write 2 Re(sum of conj(dual) * d amplitudes / d angle) for a group's own angles of two layers.

    dual (2,) or (4,): a number for each amplitude of the group. gradient (2, 2, n): only the entries of
    the group's qubits, start to stop - 1, are written.
    """
    half = angles[0, 0, start:stop] / 2
    out = np.empty(dual.size, dtype=np.complex128)
    turns = _rotations(angles[1], start, stop)
    for place in range(half.size):  # cos' = -sin, sin' = cos: half a turn further
        half[place] += np.pi / 2
        _first_layer(half, out)
        half[place] -= np.pi / 2
        _turn_group(out, turns)
        total = 0.0
        for i in range(dual.size):
            total += dual[i].real * out[i].real + dual[i].imag * out[i].imag
        gradient[0, 0, start + place] = total
        gradient[0, 1, start + place] = 0.0  # an RZ on |0> is a global phase
    _first_layer(half, out)
    _turn_group(out, turns)
    for place in range(half.size):  # generators Y and RY Z RY^dagger = cos Z + sin X
        bit = dual.size >> (place + 1)
        theta = angles[1, 0, start + place]
        c = np.cos(theta)
        s = np.sin(theta)
        by_ry = 0.0
        by_rz = 0.0
        for i in range(dual.size):
            if i & bit == 0:
                d = np.conj(dual[i])
                e = np.conj(dual[i + bit])
                a = out[i]
                b = out[i + bit]
                by_ry += (e * a - d * b).real
                by_rz += (c * (d * a - e * b) + s * (d * b + e * a)).imag
        gradient[1, 0, start + place] = by_ry
        gradient[1, 1, start + place] = by_rz


@njit(cache=True, nogil=True)
def write_group(angles, start, stop, out):
    """Write the distribution of a group at angles (L, 2, n), L = 1 or 2, into out (4,)."""
    if len(angles) == 1:
        half = angles[0, 0, start] / 2
        out[0], out[1] = np.cos(half) ** 2, np.sin(half) ** 2
    else:
        amplitudes = group_amplitudes(angles, start, stop)
        for i in range(amplitudes.size):
            out[i] = amplitudes[i].real ** 2 + amplitudes[i].imag ** 2


@njit(cache=True, nogil=True)
def group_probabilities(angles):
    """Distributions (S, groups, 4) of the groups of circuits at angles (S, L, 2, n), L = 1 or 2."""
    starts = group_starts(angles.shape[1], angles.shape[3])
    out = np.zeros((len(angles), starts.size - 1, 4))
    for row in range(len(angles)):
        for g in range(starts.size - 1):
            write_group(angles[row], starts[g], starts[g + 1], out[row, g])
    return out


@njit(cache=True, nogil=True)
def angle_slopes(angles, by_group):
    """Slopes (S, L, 2, n) by the angles, given those by the groups' probabilities (S, groups, 4)."""
    starts = group_starts(angles.shape[1], angles.shape[3])
    out = np.empty_like(angles)
    for row in range(len(angles)):
        if angles.shape[1] == 1:
            for j in range(angles.shape[3]):
                by_one = by_group[row, j, 1] - by_group[row, j, 0]
                out[row, 0, 0, j] = by_one * np.sin(angles[row, 0, 0, j]) / 2
                out[row, 0, 1, j] = 0.0
            continue
        for g in range(starts.size - 1):
            dual = group_amplitudes(angles[row], starts[g], starts[g + 1])
            for i in range(dual.size):
                dual[i] *= by_group[row, g, i]
            add_slopes(angles[row], starts[g], starts[g + 1], dual, out[row])
    return out


@njit(cache=True, nogil=True)
def half_product(groups, starts, first, last):
    """Multiply out groups (groups, 4), from `first` to `last` - 1, and keep every step on the way.

    Returns an array whose part [size : 2 * size] is the product of as many groups as make `size` entries.
    """
    full = 1 << (starts[last] - starts[first])
    steps = np.empty(2 * full, dtype=groups.dtype)
    steps[1] = 1.0
    size = 1
    for g in range(first, last):
        width = 1 << (starts[g + 1] - starts[g])
        to = steps[size * width :]
        for i in range(size):
            for k in range(width):
                to[i * width + k] = steps[size + i] * groups[g, k]
        size *= width
    return steps


@njit(cache=True, nogil=True)
def half_slopes(vector, steps, groups, starts, first, last, out):
    """Write d(vector . product of the groups)/d(groups) into out (groups, 4).

    vector is consumed; steps: what `half_product` returns.
    """
    size = vector.size
    for g in range(last - 1, first - 1, -1):
        width = 1 << (starts[g + 1] - starts[g])
        size //= width
        for k in range(width):
            out[g, k] = 0.0
        for i in range(size):
            rest = vector[i * width] * 0.0
            for k in range(width):
                out[g, k] += steps[size + i] * vector[i * width + k]
                rest += groups[g, k] * vector[i * width + k]
            vector[i] = rest


@njit(cache=True, nogil=True)
def middle(starts):
    """The number of groups in the first half, so that both halves have about as many qubits."""
    g = 0
    while 2 * starts[g] < starts[-1]:
        g += 1
    return g
