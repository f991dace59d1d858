"""Samples of all shifted circuits of a seed, from one state.

A shift of an angle of layer k reaches only the qubits in its light cone: one qubit for the last
layer, two for the layer before, four for the layer before that. The other qubits keep their
distribution, because an operation on some qubits cannot be seen on the others alone. So a shot of a
shifted circuit is drawn in two steps. A new shot of the unshifted circuit gives all bits. Then the qubits
in the cone are measured again: given the other bits, a small matrix turns their few amplitudes.

The shifted circuits share the state, not the shots: each circuit draws its own random numbers for both
parts. So its shots follow its own distribution, exactly, and the shots of different circuits are
independent, as on a device and as up to two layers (`kernels.group_samples`).

The matrix is (1 - i G) / sqrt(2) for a shift of +pi/2, and (1 + i G) / sqrt(2) for -pi/2, where G is
the shifted gate's generator carried to the end of the circuit.
"""

import numpy as np
from numba import njit

from qhn_core.kernels.group_samples import MEASURED, SHIFTED
from qhn_core.kernels.groups import rotation
from qhn_core.kernels.hamming import popcount
from qhn_core.kernels.philox import fill_uniform
from qhn_core.kernels.sampling import cumulate, search
from qhn_core.kernels.states import control_bits, entangled, evolve, probabilities

LARGEST_CONE = 6
"""Most qubits of a light cone; where a shift reaches more, the circuit is simulated from the start."""


@njit(cache=True, nogil=True)
def cone(layer, qubit, n_layers, n_qubits):
    """Qubits that a gate on `qubit` in `layer` (from 0) reaches by the last layer's rotations, in order."""
    low = qubit
    high = qubit
    for k in range(layer + 1, n_layers):  # the CX gates of the layer before, on (k % 2, k % 2 + 1), ...
        first = k % 2
        if low > first and (low - first) % 2 == 1:
            low -= 1
        if high >= first and (high - first) % 2 == 0 and high < n_qubits - 1:
            high += 1
    return low, high


@njit(cache=True, nogil=True)
def _turn_rows(m, bit, u):
    """Apply u (2, 2) to one qubit of the rows of m; `bit` is that qubit's bit in a row's number."""
    for i in range(len(m)):
        if i & bit == 0:
            for j in range(len(m)):
                a = m[i, j]
                b = m[i + bit, j]
                m[i, j] = u[0, 0] * a + u[0, 1] * b
                m[i + bit, j] = u[1, 0] * a + u[1, 1] * b


@njit(cache=True, nogil=True)
def _conjugate(m, angles, first, last, high):
    """U m U^dagger for the rotations U of one layer on the qubits first to last, m Hermitian."""
    for _ in range(2):  # U (U m)^dagger
        for q in range(first, last + 1):
            _turn_rows(m, 1 << (high - q), rotation(angles, q))
        m[:] = np.conj(m.T)


@njit(cache=True, nogil=True)
def carried_generator(angles, layer, kind, qubit):
    """The generator of an angle, carried to the last layer's rotations: Hermitian, on its cone's qubits."""
    n_layers, _, n_qubits = angles.shape
    low, high = cone(layer, qubit, n_layers, n_qubits)
    width = high - low + 1
    size = 1 << width
    m = np.zeros((size, size), dtype=np.complex128)
    bit = 1 << (high - qubit)
    c = np.cos(angles[layer, 0, qubit])
    s = np.sin(angles[layer, 0, qubit])
    for i in range(size):
        up = i & bit == 0
        if kind == 0:  # Y
            m[i ^ bit, i] = 1j if up else -1j
        else:  # RY Z RY^dagger
            m[i, i] = c if up else -c
            m[i ^ bit, i] = s
    for k in range(layer + 1, n_layers):
        controls = control_bits(width, (k - low) % 2)  # those that start inside the cone
        turned = np.empty_like(m)
        for i in range(size):
            for j in range(size):
                turned[entangled(i, controls), entangled(j, controls)] = m[i, j]
        m = turned
        first, last = cone(layer, qubit, k + 1, n_qubits)  # beyond, m is 1 and stays so
        _conjugate(m, angles[k], first, last, high)
    return m


@njit(cache=True, nogil=True)
def _measure_again(state, generator, sign, shift, base, u, out):
    """Measure the cone's qubits again; base (shots,): bitstrings with 0 at their bits, `shift` and up."""
    size = len(generator)
    shots = base.size
    real = np.empty((size, shots))
    imag = np.empty((size, shots))
    for i in range(size):
        for s in range(shots):
            real[i, s] = state[0, base[s] + (i << shift)]
            imag[i, s] = state[1, base[s] + (i << shift)]
    running = np.zeros((size, shots))
    a = np.empty(shots)
    b = np.empty(shots)
    for i in range(size):  # amplitude i of (1 - i sign G) |cone>, up to 1 / sqrt(2)
        a[:] = real[i]
        b[:] = imag[i]
        for j in range(size):
            g = generator[i, j].real * sign
            h = generator[i, j].imag * sign
            x = real[j]
            y = imag[j]
            if g != 0.0 or h != 0.0:
                for s in range(shots):
                    a[s] += g * y[s] + h * x[s]
                    b[s] += h * y[s] - g * x[s]
        for s in range(shots):
            running[i, s] = a[s] * a[s] + b[s] * b[s]
    for i in range(1, size):
        for s in range(shots):
            running[i, s] += running[i - 1, s]
    for s in range(shots):
        out[s] = base[s]
        goal = u[s] * running[size - 1, s]
        for i in range(size - 1):
            if running[i, s] <= goal and running[i, s] < running[size - 1, s]:
                out[s] = base[s] + ((i + 1) << shift)


@njit(cache=True, nogil=True)
def _search_all(cumulated, guide, total, u, out):
    for s in range(u.size):
        out[s] = search(cumulated, guide, total, u[s])


@njit(cache=True, nogil=True)
def state_samples(q, n_layers, key, epoch, shots):
    """Measure one circuit, given its q (2**n,) before the last CX gates: words (1, shots)."""
    n_qubits = popcount(q.size - 1)
    out = np.empty((1, shots), dtype=np.int64)
    u = np.empty(shots)
    fill_uniform(u, key, epoch, MEASURED, 0)
    cumulated, guide, total = cumulate(q)
    _search_all(cumulated, guide, total, u, out[0])
    controls = control_bits(n_qubits, n_layers % 2)
    for s in range(shots):
        out[0, s] = entangled(out[0, s], controls)
    return out


@njit(cache=True, nogil=True)
def _sample_from_the_start(angles, u, out):
    cumulated, guide, total = cumulate(probabilities(evolve(angles)))
    _search_all(cumulated, guide, total, u, out)


@njit(cache=True, nogil=True)
def shifted_state_samples(angles, state, q, key, epoch, shots):
    """Measure all shifted circuits of one seed, angles (L, 2, n): words (4 L n, 1, shots).

    state (2, 2**n), and q (2**n,) its squares: after the last layer's rotations, before its CX gates.
    """
    n_layers, _, n_qubits = angles.shape
    out = np.empty((4 * n_layers * n_qubits, 1, shots), dtype=np.int64)
    cumulated, guide, total = cumulate(q)
    controls = control_bits(n_qubits, n_layers % 2)
    u = np.empty(shots)
    base = np.empty(shots, dtype=np.int64)
    shifted = angles.copy()
    for parameter in range(2 * n_layers * n_qubits):
        layer = parameter // (2 * n_qubits)
        kind = parameter // n_qubits % 2
        qubit = parameter % n_qubits
        dead = layer == 0 and kind == 1  # an RZ on |0>
        low, high = cone(layer, qubit, n_layers, n_qubits)
        local = high - low < LARGEST_CONE
        generator = (
            carried_generator(angles, layer, kind, qubit)
            if local and not dead
            else np.zeros((1, 1), np.complex128)
        )
        for side in range(2):
            circuit = 2 * parameter + side
            sign = 1.0 - 2.0 * side
            found = out[circuit, 0]
            fill_uniform(u, key, epoch, SHIFTED + circuit, 0)
            if local or dead:
                _search_all(cumulated, guide, total, u, found)
            else:
                shifted[layer, kind, qubit] = angles[layer, kind, qubit] + sign * np.pi / 2
                _sample_from_the_start(shifted, u, found)
                shifted[layer, kind, qubit] = angles[layer, kind, qubit]
            if local and not dead:
                shift = n_qubits - 1 - high
                others = ~((len(generator) - 1) << shift)
                for s in range(shots):
                    base[s] = found[s] & others
                fill_uniform(u, key, epoch, SHIFTED + circuit, 1)
                _measure_again(state, generator, sign, shift, base, u, found)
            for s in range(shots):
                found[s] = entangled(found[s], controls)
    return out
