"""Exact gradients by one backward pass: Jones and Gacon (2020), arXiv:2009.02823.

The derivative of <state|D|state> by an angle with generator G is Im <bra|G|ket>, bra = D ket, where
all three stand at the same place of the circuit. Take the place after the rotations of layer k. There a
generator of layer k acts on one qubit. A generator of layer k - 1, carried through that layer's CX gates,
acts on the two qubits that a CX joins. Overlaps of pairs of qubits hold both, so only every second layer
is undone. After layer 2 the ket is a product of pairs (`kernels.groups`), and the bra is contracted with
it.
"""

import numpy as np
from numba import njit

from qhn_core.kernels.contraction import group_duals
from qhn_core.kernels.groups import add_slopes, group_amplitudes, group_starts, rotation
from qhn_core.kernels.states import unrotate

ONE = np.eye(2, dtype=np.complex128)
X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
Y = np.array([[0, -1j], [1j, 0]], dtype=np.complex128)
Z = np.array([[1, 0], [0, -1]], dtype=np.complex128)
LAST = 6
"""Last qubits that are moved to the front; their amplitudes lie too close for vectorised loops."""
TILE = 8
"""Numbers in a cache line: how many are copied at once where rows become columns."""


@njit(cache=True, nogil=True, fastmath=True)
def _add_overlap(bra, ket, start, stride, out):
    """Add to `out` (4, 4) the overlaps of four streams of `stride` amplitudes, one after the other."""
    p = bra[0, start : start + 4 * stride].reshape(4, stride)
    q = bra[1, start : start + 4 * stride].reshape(4, stride)
    x = ket[0, start : start + 4 * stride].reshape(4, stride)
    y = ket[1, start : start + 4 * stride].reshape(4, stride)
    s00 = s11 = s22 = s33 = s01 = s02 = s03 = s12 = s13 = s23 = 0.0
    a01 = a02 = a03 = a12 = a13 = a23 = 0.0
    for i in range(stride):
        p0, q0, x0, y0 = p[0, i], q[0, i], x[0, i], y[0, i]
        p1, q1, x1, y1 = p[1, i], q[1, i], x[1, i], y[1, i]
        p2, q2, x2, y2 = p[2, i], q[2, i], x[2, i], y[2, i]
        p3, q3, x3, y3 = p[3, i], q[3, i], x[3, i], y[3, i]
        s00 += p0 * y0 - q0 * x0
        s11 += p1 * y1 - q1 * x1
        s22 += p2 * y2 - q2 * x2
        s33 += p3 * y3 - q3 * x3
        s01 += p0 * y1 - q0 * x1 + p1 * y0 - q1 * x0
        s02 += p0 * y2 - q0 * x2 + p2 * y0 - q2 * x0
        s03 += p0 * y3 - q0 * x3 + p3 * y0 - q3 * x0
        s12 += p1 * y2 - q1 * x2 + p2 * y1 - q2 * x1
        s13 += p1 * y3 - q1 * x3 + p3 * y1 - q3 * x1
        s23 += p2 * y3 - q2 * x3 + p3 * y2 - q3 * x2
        a01 += p0 * x1 + q0 * y1 - p1 * x0 - q1 * y0
        a02 += p0 * x2 + q0 * y2 - p2 * x0 - q2 * y0
        a03 += p0 * x3 + q0 * y3 - p3 * x0 - q3 * y0
        a12 += p1 * x2 + q1 * y2 - p2 * x1 - q2 * y1
        a13 += p1 * x3 + q1 * y3 - p3 * x1 - q3 * y1
        a23 += p2 * x3 + q2 * y3 - p3 * x2 - q3 * y2
    out[0, 0] += s00
    out[0, 1] += s01
    out[0, 2] += s02
    out[0, 3] += s03
    out[1, 0] += a01
    out[1, 1] += s11
    out[1, 2] += s12
    out[1, 3] += s13
    out[2, 0] += a02
    out[2, 1] += a12
    out[2, 2] += s22
    out[2, 3] += s23
    out[3, 0] += a03
    out[3, 1] += a13
    out[3, 2] += a23
    out[3, 3] += s33


@njit(cache=True, nogil=True)
def pair_overlap(bra, ket, qubit, n_qubits):
    """The overlaps (4, 4) of qubits `qubit` and `qubit` + 1, from which `expectation` reads Im <bra|G|ket>.

    With M[a, b] the sum over the other qubits of conj(bra_a) ket_b: on and above the diagonal Im of
    M + its transpose (the diagonal once), below it Re of M minus its transpose.
    """
    out = np.zeros((4, 4))
    stride = 1 << (n_qubits - 2 - qubit)
    for start in range(0, bra.shape[1], 4 * stride):
        _add_overlap(bra, ket, start, stride, out)
    return out


@njit(cache=True, nogil=True)
def expectation(overlap, generator):
    """Im <bra|G|ket> for a Hermitian generator (4, 4) on the two qubits of `overlap`."""
    total = 0.0
    for a in range(4):
        for b in range(a):
            total += generator[b, a].real * overlap[b, a] + generator[b, a].imag * overlap[a, b]
        total += generator[a, a].real * overlap[a, a]
    return total


@njit(cache=True, nogil=True)
def kron(a, b):
    """Kronecker product (4, 4) of two matrices (2, 2)."""
    out = np.empty((4, 4), dtype=np.complex128)
    for i in range(2):
        for j in range(2):
            for k in range(2):
                for m in range(2):
                    out[2 * i + k, 2 * j + m] = a[i, j] * b[k, m]
    return out


@njit(cache=True, nogil=True)
def _carried(pauli, u):
    """u pauli u^dagger for 2x2 matrices."""
    out = np.zeros((2, 2), dtype=np.complex128)
    for i in range(2):
        for j in range(2):
            for k in range(2):
                for m in range(2):
                    out[i, j] += u[i, k] * pauli[k, m] * np.conj(u[j, m])
    return out


@njit(cache=True, nogil=True)
def _on_place(pauli, place):
    """A one-qubit matrix on the first or the second qubit of a pair (4, 4)."""
    return kron(pauli, ONE) if place == 0 else kron(ONE, pauli)


@njit(cache=True, nogil=True)
def _turned_z(theta):
    """RY(theta) Z RY(-theta): the generator of the RZ of a layer, carried past the layer's RY."""
    return np.cos(theta) * Z + np.sin(theta) * X


@njit(cache=True, nogil=True)
def _write_same_layer(gradient, theta, overlap, qubit, place):
    """Write dE/dRY and dE/dRZ of a layer from overlaps just after it; place: of `qubit` in its pair."""
    gradient[0, qubit] = expectation(overlap, _on_place(Y, place))
    gradient[1, qubit] = expectation(overlap, _on_place(_turned_z(theta[0, qubit]), place))


@njit(cache=True, nogil=True)
def _write_layer_before(gradient, before, theta, overlap, control):
    """Write dE/dRY and dE/dRZ of the layer before, for `control` and the next qubit, which its CX joins.

    before, theta (2, n): the angles of the layer before and of this one.

    CX carries Y I to Y X, Z I to Z I, X I to X X, I Y to Z Y, I Z to Z Z and I X to I X.
    """
    u = rotation(theta, control)
    v = rotation(theta, control + 1)
    ux, uy, uz = _carried(X, u), _carried(Y, u), _carried(Z, u)
    vx, vy, vz = _carried(X, v), _carried(Y, v), _carried(Z, v)
    gradient[0, control] = expectation(overlap, kron(uy, vx))
    gradient[0, control + 1] = expectation(overlap, kron(uz, vy))
    c, s = np.cos(before[0, control]), np.sin(before[0, control])
    gradient[1, control] = expectation(overlap, c * kron(uz, ONE) + s * kron(ux, vx))
    c, s = np.cos(before[0, control + 1]), np.sin(before[0, control + 1])
    gradient[1, control + 1] = expectation(overlap, c * kron(uz, vz) + s * kron(ONE, vx))


@njit(cache=True, nogil=True)
def _write_free_qubit_before(gradient, before, theta, overlap, qubit, place):
    """Write dE/dRY and dE/dRZ of the layer before, for a qubit that none of its CX gates acts on."""
    u = rotation(theta, qubit)
    gradient[0, qubit] = expectation(overlap, _on_place(_carried(Y, u), place))
    gradient[1, qubit] = expectation(overlap, _on_place(_carried(_turned_z(before[0, qubit]), u), place))


@njit(cache=True, nogil=True)
def _last_qubits_first(state, n_qubits):
    """Copy state (2, 2**n) so that the LAST qubits become the most significant ones."""
    width = 1 << LAST
    out = np.empty_like(state)
    size = state.shape[1] // width
    for part in range(2):
        v = state[part]
        to = out[part]
        for start in range(0, size, TILE):
            for r in range(width):
                for i in range(start, start + TILE):
                    to[r * size + i] = v[i * width + r]
    return out


@njit(cache=True, nogil=True)
def _write_gradients(gradient, angles, layer, bra, ket, both):
    """Write the gradients of layer `layer` (0-based) after its rotations; if `both`, also of layer - 1."""
    n_qubits = angles.shape[2]
    far = n_qubits >= 2 * LAST
    if far:
        bra_last = _last_qubits_first(bra, n_qubits)
        ket_last = _last_qubits_first(ket, n_qubits)
    first = layer % 2  # of the CX gates of the layer before: its number, from 1, is `layer`
    for control in range(first - 2 if first else 0, n_qubits, 2):
        a = min(max(control, 0), n_qubits - 2)  # a qubit without a partner borrows its neighbour
        if far and a >= n_qubits - LAST:
            overlap = pair_overlap(bra_last, ket_last, a - n_qubits + LAST, n_qubits)
        else:
            overlap = pair_overlap(bra, ket, a, n_qubits)
        for place in range(2):
            _write_same_layer(gradient[layer], angles[layer], overlap, a + place, place)
        if both and a == control:
            _write_layer_before(gradient[layer - 1], angles[layer - 1], angles[layer], overlap, a)
        elif both:
            place = 0 if control < 0 else 1
            _write_free_qubit_before(
                gradient[layer - 1], angles[layer - 1], angles[layer], overlap, a + place, place
            )


@njit(cache=True, nogil=True)
def adjoint_gradient(angles, state, observable):
    """Gradient (L, 2, n) of <state|diag(observable)|state> by one backward pass.

    angles (L, 2, n), n >= 2; state (2, 2**n), after the rotations of the last layer and before its CX
    gates, without the RZ of layer 1, which are a global phase; observable (2**n,), permuted by those gates.
    """
    gradient = np.zeros(angles.shape)
    bra = state * observable
    layer = len(angles) - 1
    if layer == 0:
        _write_gradients(gradient, angles, 0, bra, state, False)
        gradient[0, 1] = 0.0  # an RZ on |0> is a global phase
        return gradient
    ket = state if layer <= 3 else state.copy()  # undoing a layer overwrites it
    while layer > 1:
        both = layer % 2 == 1  # so that layers 1 and 2 are left, see `_write_first_layers`
        _write_gradients(gradient, angles, layer, bra, ket, both)
        below = layer - (2 if both else 1)
        for k in range(layer, below, -1):
            bra = unrotate(bra, angles[k], k % 2)
            if below > 1:
                ket = unrotate(ket, angles[k], k % 2)
        layer = below
    _write_first_layers(gradient, angles[:2], bra)
    return gradient


@njit(cache=True, nogil=True)
def _write_first_layers(gradient, angles, bra):
    """Write the gradients of layers 1 and 2, angles (2, 2, n); the ket is then a product of groups."""
    starts = group_starts(2, angles.shape[2])
    groups = np.zeros((starts.size - 1, 4), dtype=np.complex128)
    for g in range(starts.size - 1):
        amplitudes = group_amplitudes(angles, starts[g], starts[g + 1])
        for i in range(amplitudes.size):
            groups[g, i] = amplitudes[i]
    duals = group_duals(bra, groups, starts)
    for g in range(starts.size - 1):
        width = 1 << (starts[g + 1] - starts[g])
        add_slopes(angles, starts[g], starts[g + 1], duals[g, :width], gradient)
