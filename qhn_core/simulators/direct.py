"""The ansatz in double precision, on plain arrays, without holding the interpreter's lock.

Before its CX gates, layer 1 is a product over qubits, and layer 2 one over the pairs of qubits that
layer 1 entangled. From layer 3 on, all RZ of a layer are one diagonal, and all RY are real. CX gates
only move amplitudes. So scans, which want many circuits at once from several threads, have no need of
a general simulator.
"""

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qhn_core.ansatz import bit_probabilities, check_angles, cx_pairs, entangle_indices
from qhn_core.bits import Complex, Float, Index
from qhn_core.simulators.base import Simulator


class Direct(Simulator):
    """Exact to about 1e-15; rows do not depend on each other, so nor on how they are batched."""

    name = "direct"

    def probabilities(self, angles: Float) -> Float:
        """See `Simulator`."""
        angles = check_angles(angles)
        n_layers, _, n_qubits = angles.shape[1:]
        out = np.empty((len(angles), 2**n_qubits))
        sources = cx_sources(n_qubits)
        if n_layers == 1:
            ones = bit_probabilities(angles[:, 0])
            born_product(np.stack([1 - ones, ones], axis=-1), np.full(n_qubits, 2), sources[1], out)
            return out
        factors, sizes = pair_states(angles)
        if n_layers == 2:
            born_product(factors.real**2 + factors.imag**2, sizes, sources[0], out)
        else:
            born_layers(angles, factors, sizes, sources, out)
        return out


@lru_cache(maxsize=4)
def cx_sources(n_qubits: int) -> NDArray[np.int32]:
    """Where the amplitude of each basis state comes from in the CX gates of even and odd layers.

    Shape (2, 2**n_qubits), [k % 2] for layer k.
    """
    sources = np.zeros((2, 2**n_qubits), dtype=np.int32)
    for row, layer in zip(sources, (2, 1), strict=True):
        images = entangle_indices(2 ** np.arange(n_qubits), n_qubits, layer)
        for bit, image in enumerate(images):  # CX is linear in the bits
            row[2**bit : 2 ** (bit + 1)] = row[: 2**bit] ^ image
    return sources


def pair_states(angles: Float) -> tuple[Complex, Index]:
    """The factors of the state before the CX gates of layer 2, (B, n_factors, 4), and their sizes.

    A factor belongs to one qubit (2 amplitudes, then zeros) or to two neighbours (4).
    """
    n = angles.shape[-1]
    paired = dict(cx_pairs(n, 1))
    half = angles[:, 0, 0] / 2
    first = np.stack([np.cos(half), np.sin(half)], axis=-1)  # (B, n, 2)
    turns = _rotations(angles[:, 1])
    factors, sizes = [], []
    for q in sorted(set(range(n)) - set(paired.values())):
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
    return np.stack(factors, axis=1), np.array(sizes)


def _rotations(layer: Float) -> Complex:
    """RY(theta) RZ(phi) of a layer (B, 2, n) as matrices (B, n, 2, 2)."""
    half = layer / 2
    c, s = np.cos(half[:, 0]), np.sin(half[:, 0])
    phase = np.exp(-1j * half[:, 1])
    rows = [[c * phase, -s * phase.conj()], [s * phase, c * phase.conj()]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@njit(cache=True, nogil=True)
def born_product(factors, sizes, source, out):
    """Write q of circuits that are products, factors (B, n_factors, 2 or 4), up to CX gates: (B, 2**n)."""
    before = np.empty(out.shape[1])
    for row in range(len(factors)):
        outer_product(before, factors[row], sizes)
        q = out[row]
        for i in range(q.size):
            q[i] = before[source[i]]


@njit(cache=True, nogil=True)
def born_layers(angles, factors, sizes, sources, out):
    """Write q of circuits angles (B, L, 2, n) with L > 2 to out (B, 2**n).

    factors (B, n_factors, 4), sizes: see `pair_states`; sources: see `cx_sources`.
    """
    n_layers = angles.shape[1]
    before = np.empty(out.shape[1], dtype=np.complex128)
    state = np.empty_like(before)
    for row in range(len(angles)):
        outer_product(before, factors[row], sizes)
        for layer in range(2, n_layers):
            turn_phases(state, before, sources[layer % 2], angles[row, layer, 1])
            turn_real(state.view(np.float64), angles[row, layer, 0])
            state, before = before, state
        q, source = out[row], sources[n_layers % 2]
        for i in range(q.size):
            amplitude = before[source[i]]
            q[i] = amplitude.real**2 + amplitude.imag**2


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
def turn_phases(state, before, source, phi):
    """The CX gates of a layer, then all RZ of the next, angles phi (n,), up to a global phase.

    state (2**n,) becomes before[source] with its phases.
    """
    half = phi.size // 2
    upper = _phases(phi[:half])
    lower = _phases(phi[half:])
    for block in range(upper.size):
        start = block * lower.size
        for i in range(lower.size):
            state[start + i] = upper[block] * lower[i] * before[source[start + i]]


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
