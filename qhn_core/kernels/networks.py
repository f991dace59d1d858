"""How well binary networks fit a data set, computed from their packed bits, without a table.

Each network's numbers are added up in one fixed order, so they do not depend on which other networks
are in the batch. The exponential is written out here, because numba would call the library's for one
number at a time.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from qhn_core.kernels.hamming import WORD_BITS

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693147180369123816490  # with 21 zero bits at its end: k * LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to a whole number, in the last bits
SMALLEST = -708.0
COEFFICIENTS = tuple(1 / float(np.prod(np.arange(1.0, k + 1))) for k in range(13, -1, -1))  # 1 / k!
FACTORS = 512
"""How many factors 1 + exp(-|z|) <= 2 share one logarithm; their product does not overflow."""


@intrinsic
def _bits_of(typing_context, number):
    """A double's 64 bits as an integer."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _double_of(typing_context, bits):
    """The double that 64 bits are."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@njit(cache=True, nogil=True, inline="always")
def exp_negative(x):
    """exp(x) for x <= 0, to 2 units in the last place; exp(-708) below -708."""
    x = max(x, SMALLEST)
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = COEFFICIENTS[0]
    for i in range(1, 14):
        p = p * r + COEFFICIENTS[i]
    return p * _double_of((_bits_of(shifted) + 1023) << 52)


@njit(cache=True, nogil=True)
def _weight(words, network, bit, n_bits):
    """One weight of a network in words (W, B): -1.0 or 1.0."""
    word = bit // WORD_BITS
    width = min(WORD_BITS, n_bits - word * WORD_BITS)
    return 2.0 * ((words[word, network] >> (width - 1 - bit % WORD_BITS)) & 1) - 1.0


@njit(cache=True, nogil=True)
def _logits(words, network, columns, n_hidden, hidden, out):
    """Logits (points,) of one network at points columns (n_inputs, points)."""
    n_inputs, points = columns.shape
    n_bits = n_hidden * (n_inputs + 2) + 2
    second = n_inputs * n_hidden
    out[:] = _weight(words, network, second + n_hidden, n_bits)
    sigmoid = _weight(words, network, n_bits - 1, n_bits) > 0.0
    for k in range(n_hidden):
        hidden[:] = _weight(words, network, second + n_hidden + 1 + k, n_bits)
        four = n_inputs - n_inputs % 4  # at a time: `hidden` is read and written a quarter as often
        for i in range(0, four, 4):
            w0 = _weight(words, network, i * n_hidden + k, n_bits)
            w1 = _weight(words, network, (i + 1) * n_hidden + k, n_bits)
            w2 = _weight(words, network, (i + 2) * n_hidden + k, n_bits)
            w3 = _weight(words, network, (i + 3) * n_hidden + k, n_bits)
            a, b, c, d = columns[i], columns[i + 1], columns[i + 2], columns[i + 3]
            for p in range(points):
                hidden[p] += (w0 * a[p] + w1 * b[p]) + (w2 * c[p] + w3 * d[p])
        for i in range(four, n_inputs):
            w0 = _weight(words, network, i * n_hidden + k, n_bits)
            a = columns[i]
            for p in range(points):
                hidden[p] += w0 * a[p]
        out_weight = _weight(words, network, second + k, n_bits)
        if sigmoid:
            for p in range(points):
                e = exp_negative(-abs(hidden[p]))
                out[p] += out_weight * (1.0 if hidden[p] >= 0.0 else e) / (1.0 + e)
        else:
            for p in range(points):
                out[p] += out_weight * max(hidden[p], 0.0)


@njit(cache=True, nogil=True, fastmath=True)
def _sum_and_log_product(terms, factors):
    """Sum of the terms minus the logarithm of the product of the factors, each in [1, 2]."""
    total = 0.0
    for start in range(0, terms.size, FACTORS):
        product = 1.0
        for p in range(start, min(start + FACTORS, terms.size)):
            product *= factors[p]
            total += terms[p]
        total -= np.log(product)
    return total


@njit(cache=True, nogil=True)
def _log_likelihood(logits, signs, terms, factors):
    """Sum over points of log p(label), nats; terms and factors (points,) are scratch arrays."""
    for p in range(logits.size):
        margin = logits[p] * signs[p]
        terms[p] = min(margin, 0.0)
        factors[p] = 1.0 + exp_negative(-abs(margin))
    return _sum_and_log_product(terms, factors)


@njit(cache=True, nogil=True)
def score_networks(words, columns, signs, n_hidden, tie):
    """(log-likelihood summed over the points, share of points classified right), each (B,): words (W, B).

    columns (n_inputs, points): the points; signs (points,): 1.0 for label 1 and -1.0 for label 0;
    tie: logits up to it are class 0, see `BinaryNetwork.tie`.
    """
    n_networks, points = words.shape[1], columns.shape[1]
    likelihood, accuracy = np.empty(n_networks), np.empty(n_networks)
    hidden, logits, factors = np.empty(points), np.empty(points), np.empty(points)
    for network in range(n_networks):
        _logits(words, network, columns, n_hidden, hidden, logits)
        likelihood[network] = _log_likelihood(logits, signs, hidden, factors)
        right = 0
        for p in range(points):
            right += (logits[p] > tie) == (signs[p] > 0.0)
        accuracy[network] = right / points
    return likelihood, accuracy
