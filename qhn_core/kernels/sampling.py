"""Bitstrings drawn by inverting cumulated probabilities."""

import numpy as np
from numba import njit

from qhn_core.kernels.hamming import WORD_BITS
from qhn_core.kernels.philox import fill_uniform

BITS_PER_UNIFORM = 21
"""A uniform number has 53 bits: after 21 fair decisions 32 are left. Three such numbers make a word."""


@njit(cache=True, nogil=True, inline="always")
def _division(one):
    """Divide [0, 1) for a bit: (where the part of 1 begins, factor that stretches 0's part, and 1's part).

    A bit that is certain takes all of [0, 1), so u stays as it is. One that is never 1 begins nowhere:
    rounding can lift u to 1.
    """
    zero = 1.0 - one
    if zero >= 1.0:
        return np.inf, 1.0, 1.0
    return zero, (1.0 / zero if zero > 0.0 else 1.0), 1.0 / one


@njit(cache=True, nogil=True)
def _draw_bit(one, u, bit):
    """Decide one bit of all shots with probability `one`, and stretch what is left of u over [0, 1)."""
    zero, stretch_zero, stretch_one = _division(one)
    for s in range(u.size):
        above = u[s] >= zero
        u[s] = (u[s] - zero) * stretch_one if above else u[s] * stretch_zero
        bit[s] = above


@njit(cache=True, nogil=True)
def sample_product(ones, uniforms):
    """Invert the CDF of product distributions: one uniform number gives one bitstring.

    ones (C, n): probability that each bit is 1; uniforms (C, shots) in [0, 1).
    Returns indices (C, shots). A search in the 2**n cumulated probabilities finds the same indices; this
    takes n steps, and computes none of them.
    """
    n_circuits, shots = uniforms.shape
    indices = np.zeros((n_circuits, shots), dtype=np.int64)
    bit = np.empty(shots, dtype=np.int64)
    for c in range(n_circuits):
        u = uniforms[c].copy()
        for j in range(ones.shape[1]):
            _draw_bit(ones[c, j], u, bit)
            for s in range(shots):
                indices[c, s] = 2 * indices[c, s] + bit[s]
    return indices


@njit(cache=True, nogil=True)
def _draw_linked_bit(ones, previous, u, bit):
    """Decide one bit of all shots as `_draw_bit` does, with probability ones[previous bit]."""
    zero_after_0, stretch_00, stretch_01 = _division(ones[0])
    zero_after_1, stretch_10, stretch_11 = _division(ones[1])
    for s in range(u.size):
        zero = zero_after_1 if previous[s] else zero_after_0
        above = u[s] >= zero
        if above:
            u[s] = (u[s] - zero) * (stretch_11 if previous[s] else stretch_01)
        else:
            u[s] *= stretch_10 if previous[s] else stretch_00
        bit[s] = above


@njit(cache=True, nogil=True)
def sample_chain(chain, first, key, epoch, stream, out):
    """Measure one circuit as a chain: each bit depends on the bit before it, until the last CX gates.

    These are CX(first, first + 1), CX(first + 2, first + 3), ... chain (n, 2): probability that each bit is
    1, given the bit before. Fills words out (W, shots).
    """
    shots = out.shape[1]
    u = np.empty(shots)
    bit = np.empty(shots, dtype=np.int64)
    previous = np.zeros(shots, dtype=np.int64)
    for j in range(len(chain)):
        if j % BITS_PER_UNIFORM == 0:
            fill_uniform(u, key, epoch, stream, j // BITS_PER_UNIFORM)
        word = out[j // WORD_BITS]
        if j % WORD_BITS == 0:
            word[:] = 0
        if chain[j, 0] == chain[j, 1]:
            _draw_bit(chain[j, 0], u, bit)
        else:
            _draw_linked_bit(chain[j], previous, u, bit)
        if j > first and (j - first) % 2 == 1:  # the target of a CX whose control is the qubit before
            for s in range(shots):
                word[s] = 2 * word[s] + (bit[s] ^ previous[s])
        else:
            for s in range(shots):
                word[s] = 2 * word[s] + bit[s]
        bit, previous = previous, bit


@njit(cache=True, nogil=True)
def cumulate(probabilities):
    """Compute (running sums (size,), guide (size,), total) of unnormalised probabilities, for `search`.

    guide[g] is the first index whose running sum exceeds g / size of the total, so that a search
    starts close to its result (Chen and Asau, 1974).
    """
    size = probabilities.size
    cumulated = np.empty(size)
    total = 0.0
    last = 0
    for i in range(size):
        total += probabilities[i]
        cumulated[i] = total
        if probabilities[i] > 0.0:
            last = i
    cumulated[last:] = np.inf  # so that no impossible outcome is found, whatever the rounding
    guide = np.empty(size, dtype=np.int64)
    i = 0
    for g in range(size):
        while cumulated[i] <= g / size * total:
            i += 1
        guide[g] = i
    return cumulated, guide, total


@njit(cache=True, nogil=True)
def search(cumulated, guide, total, u):
    """First index whose running sum exceeds u * total, u in [0, 1)."""
    i = guide[int(u * guide.size)]
    while cumulated[i] <= u * total:
        i += 1
    return i


@njit(cache=True, nogil=True)
def sample_table(probabilities, uniforms):
    """Invert the CDF of probabilities (C, 2**n) at uniforms (C, shots); returns indices (C, shots).

    Rows may be unnormalised (single precision): uniforms are scaled by the row's sum.
    """
    n_circuits, shots = uniforms.shape
    indices = np.empty((n_circuits, shots), dtype=np.int64)
    for c in range(n_circuits):
        cumulated, guide, total = cumulate(probabilities[c])
        for s in range(shots):
            indices[c, s] = search(cumulated, guide, total, uniforms[c, s])
    return indices
