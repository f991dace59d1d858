"""Samples of circuits of one or two layers (`kernels.groups`), and of all their shifted copies."""

import numpy as np
from numba import njit

from qhn_core.kernels.groups import group_probabilities, group_starts, write_group
from qhn_core.kernels.hamming import WORD_BITS
from qhn_core.kernels.sampling import sample_chain

MEASURED = 1
"""Stream of the samples at the angles themselves; 0 is the prior's."""
SHIFTED = 2
"""First stream of the shifted circuits, in the order of `gradients.shifted_angles`."""


@njit(cache=True, nogil=True)
def _given(part, whole):
    return part / whole if whole > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _write_conditionals(q, start, stop, out):
    """P(1) of a group's qubits given the qubit before, from its probabilities q (4,): into out (n, 2)."""
    if stop - start == 1:
        out[start, 0] = out[start, 1] = q[1]
    else:
        out[start, 0] = out[start, 1] = q[2] + q[3]
        out[start + 1, 0] = _given(q[1], q[0] + q[1])
        out[start + 1, 1] = _given(q[3], q[2] + q[3])


@njit(cache=True, nogil=True)
def conditionals(groups, starts):
    """P(qubit j is 1 | qubit j - 1) before the last CX gates: groups (groups, 4) -> (n, 2)."""
    out = np.empty((starts[-1], 2))
    for g in range(len(groups)):
        _write_conditionals(groups[g], starts[g], starts[g + 1], out)
    return out


@njit(cache=True, nogil=True)
def group_samples(groups, starts, first, keys, epoch, shots):
    """Measure a circuit of every seed: groups (S, groups, 4), keys (S, 2) -> words (S, W, shots).

    Its last CX gates are on (first, first + 1), ...
    """
    n_words = (starts[-1] + WORD_BITS - 1) // WORD_BITS
    out = np.empty((len(groups), n_words, shots), dtype=np.int64)
    for row in range(len(groups)):
        chain = conditionals(groups[row], starts)
        sample_chain(chain, first, keys[row], epoch, MEASURED, out[row])
    return out


@njit(cache=True, nogil=True)
def shifted_group_samples(angles, key, epoch, shots):
    """Measure all shifted circuits of one seed, angles (L, 2, n), L = 1 or 2: words (4 L n, W, shots).

    A shifted angle changes its own group's distribution only. A shifted RZ of layer 1 changes nothing.
    """
    n_layers, _, n_qubits = angles.shape
    starts = group_starts(n_layers, n_qubits)
    groups = group_probabilities(angles[None])[0]
    chain = conditionals(groups, starts)
    n_words = (n_qubits + WORD_BITS - 1) // WORD_BITS
    out = np.empty((4 * n_layers * n_qubits, n_words, shots), dtype=np.int64)
    shifted = angles.copy()
    q = np.empty(4)
    for circuit in range(len(out)):
        parameter = circuit // 2
        layer = parameter // (2 * n_qubits)
        kind = parameter // n_qubits % 2
        qubit = parameter % n_qubits
        g = np.searchsorted(starts, qubit, side="right") - 1
        shifted[layer, kind, qubit] = angles[layer, kind, qubit] + (0.5 - circuit % 2) * np.pi
        write_group(shifted, starts[g], starts[g + 1], q)
        shifted[layer, kind, qubit] = angles[layer, kind, qubit]
        _write_conditionals(q, starts[g], starts[g + 1], chain)
        sample_chain(chain, n_layers % 2, key, epoch, SHIFTED + circuit, out[circuit])
        _write_conditionals(groups[g], starts[g], starts[g + 1], chain)
    return out


@njit(cache=True, nogil=True)
def shifted_bit_samples(ones, shifted, key, epoch, shots):
    """Measure all shifted circuits of one seed whose bits are independent: words (circuits, W, shots).

    ones (n,): P(1) of each bit. shifted (circuits,): P(1) of the bit whose angle is shifted, in the order
    of `shifted_group_samples`.
    """
    n_qubits = ones.size
    n_words = (n_qubits + WORD_BITS - 1) // WORD_BITS
    out = np.empty((shifted.size, n_words, shots), dtype=np.int64)
    chain = np.empty((n_qubits, 2))
    chain[:, 0] = ones
    chain[:, 1] = ones
    for circuit in range(shifted.size):
        qubit = circuit // 2 % n_qubits
        chain[qubit] = shifted[circuit]
        sample_chain(chain, n_qubits, key, epoch, SHIFTED + circuit, out[circuit])
        chain[qubit] = ones[qubit]
    return out
