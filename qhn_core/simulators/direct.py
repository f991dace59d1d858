"""The ansatz in double precision, on plain arrays, without holding the interpreter's lock.

Layer 1 leaves pairs of qubits entangled and nothing else, and the rotations of layer 2 keep it so: up
to the CX gates of layer 2 the state is a product over those pairs. From layer 3 on, all RZ of a layer
are one diagonal, and all RY are real. So scans, which want many circuits at once from several threads,
have no need of a general simulator.
"""

import numpy as np
from numba import njit

from qhn_core.ansatz import check_angles, cx_pairs, product_probabilities
from qhn_core.bits import Complex, Float
from qhn_core.kernels.states import entangle
from qhn_core.simulators.base import Simulator


class Direct(Simulator):
    """Exact to about 1e-15; rows do not depend on each other, so nor on how they are batched."""

    name = "direct"

    def probabilities(self, angles: Float) -> Float:
        """See `Simulator`."""
        angles = check_angles(angles)
        if angles.shape[1] == 1:
            return product_probabilities(angles[:, 0])
        out = np.empty((len(angles), 2 ** angles.shape[-1]))
        born_probabilities(angles, *pair_states(angles), out)
        return out


def pair_states(angles: Float) -> tuple[Complex, tuple[int, ...]]:
    """The factors of the state before the CX gates of layer 2: (B, n_factors, 4), and their sizes.

    A factor belongs to one qubit (2 amplitudes, then zeros) or to two neighbours (4).
    """
    n = angles.shape[-1]
    paired = dict(cx_pairs(n, 1))
    targets = set(paired.values())
    half = angles[:, 0, 0] / 2
    first = np.stack([np.cos(half), np.sin(half)], axis=-1)  # (B, n, 2)
    turns = _rotations(angles[:, 1])
    factors, sizes = [], []
    for q in sorted(set(range(n)) - targets):
        if q not in paired:
            alone = np.einsum("bij,bj->bi", turns[:, q], first[:, q])
            factors.append(np.concatenate([alone, np.zeros_like(alone)], axis=1))
            sizes.append(2)
            continue
        both = np.einsum("bi,bj->bij", first[:, q], first[:, q + 1])
        both[:, 1] = both[:, 1, ::-1]  # CX
        turned = np.einsum("bij,bkl,bjl->bik", turns[:, q], turns[:, q + 1], both)
        factors.append(turned.reshape(-1, 4))
        sizes.append(4)
    return np.stack(factors, axis=1), tuple(sizes)


def _rotations(layer: Float) -> Complex:
    """RY(theta) RZ(phi) of a layer (B, 2, n) as matrices (B, n, 2, 2)."""
    half = layer / 2
    c, s = np.cos(half[:, 0]), np.sin(half[:, 0])
    phase = np.exp(-1j * half[:, 1])
    rows = [[c * phase, -s * phase.conj()], [s * phase, c * phase.conj()]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@njit(cache=True, nogil=True)
def born_probabilities(angles, factors, sizes, out):
    """Write q of circuits angles (B, L, 2, n) with L >= 2 to out (B, 2**n).

    factors (B, n_factors, 4), sizes: see `pair_states`.
    """
    n_layers, _, n_qubits = angles.shape[1:]
    state = np.empty(out.shape[1], dtype=np.complex128)
    for row in range(len(angles)):
        outer_product(state, factors[row], sizes)
        for layer in range(2, n_layers):
            entangle(state, layer % 2, n_qubits)
            turn_phases(state, angles[row, layer, 1])
            turn_real(state.view(np.float64), angles[row, layer, 0])
        q = out[row]
        for i in range(q.size):
            q[i] = state[i].real ** 2 + state[i].imag ** 2
        entangle(q, n_layers % 2, n_qubits)  # a permutation, so as good on q


@njit(cache=True, nogil=True)
def outer_product(state, factors, sizes):
    """The product over factors (n_factors, 4), the last of them on the least significant bits."""
    state[0] = 1.0
    filled = 1
    for f in range(len(sizes) - 1, -1, -1):
        low = state[:filled]
        for part in range(sizes[f] - 1, -1, -1):  # the lowest part last: the others are made of it
            high = state[part * filled : (part + 1) * filled]
            amplitude = factors[f, part]
            for i in range(filled):
                high[i] = amplitude * low[i]
        filled *= sizes[f]


@njit(cache=True, nogil=True)
def turn_phases(state, phi):
    """All RZ of a layer, angles phi (n,), on `state` (2**n,) in place; up to a global phase."""
    n_qubits = phi.size
    half = n_qubits // 2
    upper = _phases(phi[:half])
    lower = _phases(phi[half:])
    for block in range(upper.size):
        part = state[block * lower.size : (block + 1) * lower.size]
        for i in range(lower.size):
            part[i] *= upper[block] * lower[i]


@njit(cache=True, nogil=True)
def _phases(phi):
    """exp(i * the sum of phi[j] over the bits j that are 1), for each bitstring."""
    out = np.empty(1 << phi.size, dtype=np.complex128)
    out[0] = 1.0
    filled = 1
    for j in range(phi.size - 1, -1, -1):
        turn = np.exp(1j * phi[j])
        for i in range(filled):
            out[filled + i] = turn * out[i]
        filled *= 2
    return out


@njit(cache=True, nogil=True, fastmath=True)
def turn_real(v, theta):
    """All RY of a layer, angles theta (n,), on a state whose 2 * 2**n reals and imaginaries are v."""
    c = np.cos(theta / 2)
    s = np.sin(theta / 2)
    half = 2  # in v, the two amplitudes of the last qubit are 2 numbers apart
    for qubit in range(theta.size - 1, -1, -1):
        a, b = c[qubit], s[qubit]
        for start in range(0, v.size, 2 * half):
            low = v[start : start + half]
            high = v[start + half : start + 2 * half]
            for i in range(half):
                x, y = low[i], high[i]
                low[i] = a * x - b * y
                high[i] = b * x + a * y
        half *= 2
