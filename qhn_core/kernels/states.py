"""State vectors of the ansatz as two real arrays, state[0] + i state[1], each of 2**n numbers.

A layer is one pass over the memory for each pair of neighbouring qubits: `_turn_two` takes the two
most significant qubits, turns both, applies the CX that joins them and puts them back as the least
significant ones (the self-sorting order of Stockham's FFT). So every pass reads four contiguous
streams, and after the last one the qubits are in their old order again.
"""

import numpy as np
from numba import njit

from qhn_core.kernels.groups import group_amplitudes, group_starts


@njit(cache=True, nogil=True)
def control_bits(n_qubits, first):
    """The bits of an index that control CX(first, first+1), CX(first+2, first+3), ..."""
    bits = 0
    for control in range(first, n_qubits - 1, 2):
        bits |= 1 << (n_qubits - 1 - control)
    return bits


@njit(cache=True, nogil=True, inline="always")
def entangled(index, controls):
    """Return the basis state that CX gates turn `index` into; the set bits of `controls` control them."""
    return index ^ ((index & controls) >> 1)


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
def product_vector(factors, first, out):
    """Write the product over qubits of factors (n, 2), after CX(first, first+1), ..., into out (2**n,)."""
    out[0] = 1.0
    half = 1
    for j in range(len(factors) - 1, -1, -1):  # the last qubit is the least significant bit
        zero = factors[j, 0]
        one = factors[j, 1]
        low = out[:half]
        high = out[half : 2 * half]
        for i in range(half):
            high[i] = one * low[i]
            low[i] *= zero
        half *= 2
    entangle(out, first, len(factors))


@njit(cache=True, nogil=True)
def first_layer(factors):
    """`product_vector` (B, 2**n) with the CX gates of layer 1, for each row of factors (B, n, 2)."""
    out = np.empty((len(factors), 1 << factors.shape[1]))
    for row in range(len(factors)):
        product_vector(factors[row], 1, out[row])
    return out


@njit(cache=True, nogil=True, inline="always")
def _turn(c, s, a, b):
    return c * a - s * b, s * a + c * b


@njit(cache=True, nogil=True)
def _turn_one(v, out, c, s):
    half = v.size // 2
    low = v[:half]
    high = v[half:]
    for i in range(half):
        out[2 * i], out[2 * i + 1] = _turn(c, s, low[i], high[i])


@njit(cache=True, nogil=True)
def _turn_two(v, out, c0, s0, c1, s1, cx_before, cx_after):
    quarter = v.size // 4
    v0 = v[:quarter]
    v1 = v[quarter : 2 * quarter]
    v2 = v[2 * quarter : 3 * quarter]
    v3 = v[3 * quarter :]
    if cx_before:
        v2, v3 = v3, v2
    for i in range(quarter):
        a, b = _turn(c1, s1, v0[i], v1[i])
        c, d = _turn(c1, s1, v2[i], v3[i])
        a, c = _turn(c0, s0, a, c)
        b, d = _turn(c0, s0, b, d)
        out[4 * i] = a
        out[4 * i + 1] = b
        out[4 * i + 2] = d if cx_after else c
        out[4 * i + 3] = c if cx_after else d


@njit(cache=True, nogil=True)
def _turn_all(v, half_angles, first, cx_before):
    """Apply RY(2 * half_angles) to all qubits of a real array, and CX(first, first+1), ... before or after.

    Overwrites v: the passes alternate between it and a second array.
    """
    n_qubits = half_angles.size
    out = np.empty_like(v)
    j = 0
    while j < n_qubits:
        c0 = np.cos(half_angles[j])
        s0 = np.sin(half_angles[j])
        if j < first or j == n_qubits - 1:
            _turn_one(v, out, c0, s0)
            j += 1
        else:
            c1 = np.cos(half_angles[j + 1])
            s1 = np.sin(half_angles[j + 1])
            _turn_two(v, out, c0, s0, c1, s1, cx_before, not cx_before)
            j += 2
        v, out = out, v
    return v


@njit(cache=True, nogil=True)
def _phases(angles, first):
    """RZ(angles) as a diagonal, conjugated by CX(first, first+1), ...: real and imaginary parts (2**n,)."""
    real = np.empty(1 << angles.size)
    imag = np.empty(real.size)
    real[0] = 1.0
    imag[0] = 0.0
    half = 1
    for j in range(angles.size - 1, -1, -1):
        c = np.cos(angles[j] / 2)
        s = np.sin(angles[j] / 2)
        for i in range(half):
            a = real[i]
            b = imag[i]
            real[half + i] = c * a - s * b
            imag[half + i] = s * a + c * b
            real[i] = c * a + s * b
            imag[i] = c * b - s * a
        half *= 2
    entangle(real, first, angles.size)
    entangle(imag, first, angles.size)
    return real, imag


@njit(cache=True, nogil=True)
def _turn_phases(state, angles, first):
    """Apply RZ(angles), conjugated by CX(first, first+1), ..., to `state` (2, 2**n), in place."""
    n_qubits = angles.size
    cut = n_qubits // 2
    cut -= (cut - first) % 2  # no CX crosses it
    left_real, left_imag = _phases(angles[:cut], first)
    right_real, right_imag = _phases(angles[cut:], 0)
    size = right_real.size
    for i in range(left_real.size):
        re = state[0, i * size : (i + 1) * size]
        im = state[1, i * size : (i + 1) * size]
        for k in range(size):
            c = left_real[i] * right_real[k] - left_imag[i] * right_imag[k]
            s = left_real[i] * right_imag[k] + left_imag[i] * right_real[k]
            a = re[k]
            re[k] = c * a - s * im[k]
            im[k] = c * im[k] + s * a


@njit(cache=True, nogil=True)
def rotate(state, angles, first):
    """Apply CX(first, first+1), ... of the layer before, then RZ and RY to every qubit, angles (2, n).

    Overwrites state (2, 2**n) and returns the new one. RZ and CX are swapped, which permutes RZ's
    diagonal, so that the passes that turn two qubits can apply the CX gates too.
    """
    _turn_phases(state, angles[1], first)
    out = np.empty_like(state)
    for part in range(2):
        out[part] = _turn_all(state[part], angles[0] / 2, first, True)
    return out


@njit(cache=True, nogil=True)
def unrotate(state, angles, first):
    """Undo `rotate`; overwrites `state` too."""
    out = np.empty_like(state)
    for part in range(2):
        out[part] = _turn_all(state[part], -angles[0] / 2, first, False)
    _turn_phases(out, -angles[1], first)
    return out


@njit(cache=True, nogil=True)
def _multiply(state, filled, factor):
    """Multiply the first `filled` amplitudes by one more group, `factor`; return how many are filled."""
    low = state[:, :filled]
    for part in range(factor.size - 1, -1, -1):  # part 0 comes last: the others are computed from it
        c = factor[part].real
        s = factor[part].imag
        re = state[0, part * filled : (part + 1) * filled]
        im = state[1, part * filled : (part + 1) * filled]
        for i in range(filled):
            a = low[0, i]
            b = low[1, i]
            re[i] = c * a - s * b
            im[i] = c * b + s * a
    return filled * factor.size


@njit(cache=True, nogil=True)
def _after_two_layers(angles):
    """State (2, 2**n) before the CX gates of layer 2, angles (2, 2, n): still a product of groups."""
    starts = group_starts(2, angles.shape[2])
    state = np.zeros((2, 1 << angles.shape[2]))
    state[0, 0] = 1.0
    filled = 1
    for g in range(starts.size - 2, -1, -1):  # the last qubits are the least significant bits
        filled = _multiply(state, filled, group_amplitudes(angles, starts[g], starts[g + 1]))
    return state


@njit(cache=True, nogil=True)
def evolve(angles):
    """State (2, 2**n) after the rotations of the last layer of angles (L, 2, n), before its CX gates.

    Up to a global phase: the RZ of layer 1 act on |0>.
    """
    n_qubits = angles.shape[2]
    if len(angles) == 1:
        state = np.zeros((2, 1 << n_qubits))
        half = angles[0, 0] / 2
        product_vector(np.stack((np.cos(half), np.sin(half)), axis=1), n_qubits, state[0])
        return state
    state = _after_two_layers(angles[:2])
    for layer in range(2, len(angles)):  # counted from 0; counted from 1, this is the layer before
        state = rotate(state, angles[layer], layer % 2)
    return state


@njit(cache=True, nogil=True)
def probabilities(state):
    """|amplitude|**2 (2**n,) of state (2, 2**n), in its order."""
    out = np.empty(state.shape[1])
    re = state[0]
    im = state[1]
    for i in range(out.size):
        out[i] = re[i] * re[i] + im[i] * im[i]
    return out


@njit(cache=True, nogil=True)
def entangled_copy(vector, first, n_qubits):
    """Reorder numbers of basis states (2**n,) from after CX(first, first+1), ... to before, or back."""
    controls = control_bits(n_qubits, first)
    out = np.empty_like(vector)
    for i in range(vector.size):
        out[i] = vector[entangled(i, controls)]
    return out


@njit(cache=True, nogil=True)
def born_rule(amplitudes, probabilities):
    """Write |amplitude|**2, normalised, into `probabilities` (2**n,).

    amplitudes (2 * 2**n,): real and imaginary parts in turn, in single precision, as qsim returns them.
    """
    total = 0.0
    for i in range(probabilities.size):
        re = np.float64(amplitudes[2 * i])
        im = np.float64(amplitudes[2 * i + 1])
        probabilities[i] = re * re + im * im
        total += probabilities[i]
    for i in range(probabilities.size):
        probabilities[i] /= total
