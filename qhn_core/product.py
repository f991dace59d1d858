"""Circuits of one layer in closed form: product distributions pushed through CX on (2, 3), (4, 5), ...

All need only `ones` (S, n), the probability that each qubit is 1 before the CX gates, which map
bitstrings to bitstrings: entropy is a sum over qubits, and MMD² to uniform a product over the pairs
that a CX joins. Nothing here grows faster than the number of qubits.
"""

import numpy as np

from qhn_core.bits import Bits, Float
from qhn_core.divergences import entropy, kernel_at_one


def product_kl(ones: Float) -> Float:
    """KL(q || uniform) (S,), nats.

    >>> product_kl(np.array([[0.5, 0.0, 1.0]])).round(4)  # one free bit, two certain ones: 2 ln 2
    array([1.3863])
    """
    both = np.stack([ones, 1 - ones], axis=-1).reshape(-1, 2)
    return np.log(2) * ones.shape[1] - entropy(both).reshape(ones.shape).sum(axis=1)


def product_kl_slope(angles: Float) -> Float:
    """dKL/dtheta (S, n) by the RY angles (S, n)."""
    ones = np.clip(np.sin(angles / 2) ** 2, 1e-300, 1 - 1e-16)  # sin -> 0 faster than log -> inf
    slope: Float = np.log(ones / (1 - ones)) * np.sin(angles) / 2
    return slope


def _pairs(bias: Float) -> tuple[Float, Float, Float]:
    """(control's, target's, free qubits' <Z>) of the CX gates of layer 1: (S, m), (S, m), (S, rest)."""
    n_qubits = bias.shape[1]
    end = 1 + 2 * ((n_qubits - 1) // 2)
    return bias[:, 1:end:2], bias[:, 2:end:2], bias[:, [0, *range(end, n_qubits)]]


def _correlator_sums(bias: Float, ratio: float) -> tuple[Float, Float, Float, Float, Float]:
    """log of the sum over Z-strings of <Z-string>² ratio**order, (S,), and the terms of each pair.

    A CX turns the target's Z into Z Z, so a pair's correlators are those of its control, c, of its
    target, c t, and of both together, t.
    """
    control, target, free = (x**2 for x in _pairs(bias))
    pair = ratio * (control + control * target + ratio * target)
    logs = np.log1p(pair).sum(axis=1) + np.log1p(ratio * free).sum(axis=1)
    return logs, control, target, free, pair


def _scale(n_qubits: int, bandwidth: float) -> tuple[float, float]:
    """(log of ((1+e)/2)**n, (1-e)/(1+e)): the weights of `divergences.correlator_weights`."""
    e = kernel_at_one(bandwidth)
    return n_qubits * np.log1p((e - 1) / 2), (1 - e) / (1 + e)


def product_mmd_squared(ones: Float, bandwidth: float) -> Float:
    """Eq. (19), exact: MMD² (S,) to the uniform prior.

    >>> product_mmd_squared(np.zeros((1, 14)), 3.5).round(4)  # a point mass
    array([0.4287])
    """
    scale, ratio = _scale(ones.shape[1], bandwidth)
    logs = _correlator_sums(1 - 2 * ones, ratio)[0]
    mmd: Float = -np.exp(scale + logs) * np.expm1(-logs)
    return mmd


def product_mmd_slope(angles: Float, bandwidth: float) -> Float:
    """dMMD²/dtheta (S, n) by the RY angles (S, n)."""
    scale, ratio = _scale(angles.shape[1], bandwidth)
    bias = np.cos(angles)  # <Z> = 1 - 2 p
    logs, control, target, free, pair = _correlator_sums(bias, ratio)
    by_control = ratio * (1 + target) / (1 + pair)  # of the logarithm, by the squared bias
    by_target = ratio * (control + ratio) / (1 + pair)
    by_free = ratio / (1 + ratio * free)
    by_bias = np.empty_like(bias)
    end = 1 + 2 * control.shape[1]
    by_bias[:, 1:end:2], by_bias[:, 2:end:2] = by_control, by_target
    by_bias[:, [0, *range(end, bias.shape[1])]] = by_free
    slope: Float = np.exp(scale + logs)[:, None] * by_bias * 2 * bias * -np.sin(angles)
    return slope


def most_probable_bits(ones: Float) -> Bits:
    """The most probable bitstring (S, n) of each circuit."""
    return _entangled((ones > 0.5).astype(np.uint8))


def product_probability(ones: Float, bits: Bits) -> Float:
    """Exact q (B,) of bitstrings (B, n) measured from one circuit, ones (n,).

    >>> product_probability(np.array([0.5, 1.0, 0.25]), np.array([[1, 1, 1]], dtype=np.uint8))
    array([0.375])
    """
    q: Float = np.where(_entangled(bits) == 1, ones, 1 - ones).prod(axis=1)
    return q


def _entangled(bits: Bits) -> Bits:
    """Bitstrings (B, n) after the CX gates of layer 1, their own inverse."""
    end = 1 + 2 * ((bits.shape[1] - 1) // 2)
    out = bits.copy()
    out[:, 2:end:2] ^= bits[:, 1:end:2]
    return out
