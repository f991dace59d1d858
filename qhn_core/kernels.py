"""The few loops that dominate a run, compiled with numba.

Every kernel is deterministic, works on one block of arrays and releases the GIL,
so callers may run several in threads. Each has a numpy or Cirq oracle in
`tests/unit/test_kernels.py`. Bit 0 is the most significant bit of an index
(Cirq's order).
"""

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def popcount(typing_context, word):
    """Number of set bits of a 64-bit word, as one machine instruction."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    if isinstance(word, types.Integer):
        return types.int64(types.int64), codegen
    raise TypeError(f"popcount needs an integer, got {word}")


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
def sample_product(ones, uniforms):
    """Invert the CDF of product distributions: one uniform number gives one bitstring.

    ones (C, n): probability that each bit is 1; uniforms (C, shots) in [0, 1).
    Returns indices (C, shots), the same that a search in the cumulated 2**n probabilities finds,
    in n steps and without forming them.
    """
    n_circuits, shots = uniforms.shape
    n_bits = ones.shape[1]
    indices = np.zeros((n_circuits, shots), dtype=np.int64)
    for c in range(n_circuits):
        u = uniforms[c].copy()
        out = indices[c]
        for j in range(n_bits):
            zero = 1.0 - ones[c, j]
            possible = ones[c, j] > 0.0
            scale_zero = 1.0 / zero if zero > 0.0 else 0.0
            scale_one = 1.0 / ones[c, j] if possible else 0.0
            for s in range(shots):
                bit = possible and u[s] >= zero  # rounding can lift u to 1
                out[s] = 2 * out[s] + bit
                u[s] = (u[s] - zero) * scale_one if bit else u[s] * scale_zero
    return indices


@njit(cache=True, nogil=True)
def sample_table(probabilities, uniforms):
    """Invert the CDF of probabilities (C, 2**n) at uniforms (C, shots); returns indices (C, shots).

    Rows may be unnormalised (single precision): uniforms are scaled by the row's sum.
    """
    n_circuits, shots = uniforms.shape
    size = probabilities.shape[1]
    indices = np.empty((n_circuits, shots), dtype=np.int64)
    cumulated = np.empty(size)
    for c in range(n_circuits):
        total = 0.0
        last = 0
        for i in range(size):
            total += probabilities[c, i]
            cumulated[i] = total
            if probabilities[c, i] > 0.0:
                last = i
        found = np.searchsorted(cumulated, uniforms[c] * total, side="right")
        for s in range(shots):
            indices[c, s] = min(found[s], last)
    return indices


@njit(cache=True, nogil=True, fastmath=True)
def mean_kernel_within(samples, kernel):
    """Mean of kernel[Hamming distance] over pairs i != j in each row of samples (C, shots)."""
    n_circuits, shots = samples.shape
    means = np.empty(n_circuits)
    for c in range(n_circuits):
        total = 0.0
        for i in range(1, shots):
            x = samples[c, i]
            for j in range(i):
                total += kernel[popcount(x ^ samples[c, j])]
        means[c] = total / (shots * (shots - 1) / 2)
    return means


@njit(cache=True, nogil=True, fastmath=True)
def mean_kernel_between(samples, others, kernel):
    """Mean of kernel[Hamming distance] between each row of samples (C, shots) and others (m,)."""
    n_circuits, shots = samples.shape
    means = np.empty(n_circuits)
    for c in range(n_circuits):
        total = 0.0
        for i in range(shots):
            x = samples[c, i]
            for j in range(others.size):
                total += kernel[popcount(x ^ others[j])]
        means[c] = total / (shots * others.size)
    return means


@njit(cache=True, nogil=True)
def entangle(state, first, n_qubits):
    """Apply CX(m, m+1) for m = first, first+2, ... (0-based) to `state`, in place; its own inverse."""
    for control in range(first, n_qubits - 1, 2):
        target = 1 << (n_qubits - 2 - control)
        for start in range(2 * target, state.size, 4 * target):  # control bit set, target bit clear
            for i in range(start, start + target):
                a = state[i]
                state[i] = state[i + target]
                state[i + target] = a


@njit(cache=True, nogil=True)
def first_layer(factors):
    """Products over qubits of factors (B, n, 2), then the CX gates of layer 1: (B, 2**n)."""
    n_rows, n_qubits, _ = factors.shape
    out = np.empty((n_rows, 1 << n_qubits))
    for row in range(n_rows):
        v = out[row]
        v[0] = 1.0
        half = 1
        for j in range(n_qubits - 1, -1, -1):  # the last qubit is the least significant bit
            zero, one = factors[row, j]
            low = v[:half]
            high = v[half : 2 * half]
            for i in range(half):
                high[i] = one * low[i]
                low[i] *= zero
            half *= 2
        entangle(v, 1, n_qubits)
    return out


@njit(cache=True, nogil=True, fastmath=True)
def born_rule(amplitudes, probabilities):
    """Write |amplitude|**2, normalised, into `probabilities` (2**n,).

    amplitudes (2 * 2**n,): real and imaginary parts in turn, in single precision, as qsim gives them.
    """
    total = 0.0
    for i in range(probabilities.size):
        re = np.float64(amplitudes[2 * i])
        im = np.float64(amplitudes[2 * i + 1])
        probabilities[i] = re * re + im * im
        total += probabilities[i]
    for i in range(probabilities.size):
        probabilities[i] /= total


@njit(cache=True, nogil=True)
def rotate_qubit(state, qubit, n_qubits, u00, u01, u10, u11):
    """Apply the 2x2 matrix u to one qubit of `state` (2**n,), in place."""
    stride = 1 << (n_qubits - 1 - qubit)
    for start in range(0, state.size, 2 * stride):
        low = state[start : start + stride]
        high = state[start + stride : start + 2 * stride]
        for i in range(stride):
            low[i], high[i] = _butterfly(low[i], high[i], u00, u01, u10, u11)


@njit(cache=True, nogil=True)
def evolve(state, angles):
    """Apply the layers angles (L, 2, n), numbered from 2 on, to `state` (2**n,) in place.

    The first layer acts on |0...0>: its product state is the caller's initial state.
    """
    n_qubits = angles.shape[2]
    for layer in range(angles.shape[0]):
        for qubit in range(n_qubits):
            c = np.cos(angles[layer, 0, qubit] / 2)
            s = np.sin(angles[layer, 0, qubit] / 2)
            phase = np.exp(-0.5j * angles[layer, 1, qubit])
            back = np.conj(phase)
            rotate_qubit(state, qubit, n_qubits, c * phase, -s * back, s * phase, c * back)
        entangle(state, layer % 2, n_qubits)


@njit(cache=True, nogil=True, fastmath=True)
def overlap_matrix(left, right, qubit, n_qubits):
    """M[a, b] = sum over the other qubits of conj(left_a) * right_b, as four numbers."""
    stride = 1 << (n_qubits - 1 - qubit)
    m00 = m01 = m10 = m11 = 0j
    for start in range(0, left.size, 2 * stride):
        for i in range(start, start + stride):
            la = np.conj(left[i])
            lb = np.conj(left[i + stride])
            ra = right[i]
            rb = right[i + stride]
            m00 += la * ra
            m01 += la * rb
            m10 += lb * ra
            m11 += lb * rb
    return m00, m01, m10, m11


@njit(cache=True, nogil=True)
def adjoint_gradient(angles, state, observable):
    """Gradient (L, 2, n) of <state|diag(observable)|state> by one backward pass.

    angles (L, 2, n); state (2**n,) complex, the circuit's output, consumed; observable (2**n,).
    Method: Jones and Gacon (2020), arXiv:2009.02823.
    """
    n_layers, _, n_qubits = angles.shape
    gradient = np.zeros((n_layers, 2, n_qubits))
    bra = observable * state
    for layer in range(n_layers - 1, -1, -1):
        entangle(state, (layer + 1) % 2, n_qubits)
        entangle(bra, (layer + 1) % 2, n_qubits)
        for qubit in range(n_qubits):
            m00, m01, m10, m11 = overlap_matrix(bra, state, qubit, n_qubits)
            theta = angles[layer, 0, qubit]
            gradient[layer, 0, qubit] = (m10 - m01).real
            if layer > 0:  # an RZ on |0> is a global phase
                turned = np.cos(theta) * (m00 - m11) + np.sin(theta) * (m01 + m10)
                gradient[layer, 1, qubit] = turned.imag
                c = np.cos(theta / 2)
                s = np.sin(theta / 2)
                phase = np.exp(0.5j * angles[layer, 1, qubit])
                back = np.conj(phase)
                rotate_qubit(state, qubit, n_qubits, c * phase, s * phase, -s * back, c * back)
                rotate_qubit(bra, qubit, n_qubits, c * phase, s * phase, -s * back, c * back)
    return gradient
