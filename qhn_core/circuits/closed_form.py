"""Circuits of one or two layers in closed form: products of groups, pushed through the last CX gates.

All need only `groups` (S, groups, 4), the probabilities of each qubit or pair of qubits before those
CX gates (`kernels.groups`), which map bitstrings to bitstrings: entropy is a sum over groups, and MMD²
to uniform a product of small matrices along the qubits. Nothing here grows faster than their number.
"""

import numpy as np

from qhn_core.bits import Bits, Float, Index
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.divergences import kernel_at_one
from qhn_core.config import RunConfig
from qhn_core.kernels import contraction, correlators, group_samples, groups
from qhn_core.kernels.groups import group_probabilities, group_starts


def product_kl(groups: Float, n_qubits: int) -> Float:
    """KL(q || uniform) (S,), nats, of groups (S, groups, 4).

    >>> flat = group_probabilities(np.array([[[[np.pi / 2, 0, np.pi], [0, 0, 0]]]]))
    >>> product_kl(flat, 3).round(4)  # one free bit, two certain ones: 2 ln 2
    array([1.3863])
    """
    kl: Float = n_qubits * np.log(2) + (groups * log_probabilities(groups)).sum(axis=(1, 2))
    return kl


def log_probabilities(q: Float) -> Float:
    """log q, and where q is 0 a large negative number: 0 log 0 = 0. dKL/dq is this, up to a constant."""
    logs: Float = np.log(np.maximum(q, np.finfo(float).tiny))
    return logs


def _scale(bandwidth: float) -> tuple[float, float]:
    """(1+e)/2, (1-e)/(1+e): the weights of `divergences.correlator_weights`, for each qubit and each Z."""
    e = kernel_at_one(bandwidth)
    return (1 + e) / 2, (1 - e) / (1 + e)


def product_mmd_squared(groups: Float, n_layers: int, n_qubits: int, bandwidth: float) -> Float:
    """Eq. (19), exact: MMD² (S,) to the uniform prior.

    >>> product_mmd_squared(group_probabilities(np.zeros((1, 1, 2, 14))), 1, 14, 3.5).round(4)
    array([0.4287])
    """
    starts = group_starts(n_layers, n_qubits)
    mmd: Float = correlators.chain_mmd(groups, starts, n_layers % 2, *_scale(bandwidth))
    return mmd


def product_mmd_slopes(groups: Float, n_layers: int, n_qubits: int, bandwidth: float) -> Float:
    """dMMD²/dq (S, groups, 4) by the groups' probabilities."""
    starts = group_starts(n_layers, n_qubits)
    slopes: Float = correlators.chain_mmd_slopes(groups, starts, n_layers % 2, *_scale(bandwidth))
    return slopes


def most_probable_bits(angles: Float) -> Bits:
    """The most probable bitstring (S, n) of each circuit, angles (S, L, 2, n), L = 1 or 2.

    >>> most_probable_bits(np.full((1, 1, 2, 3), 2.0))  # 1, 1, 1 before CX(1, 2)
    array([[1, 1, 0]], dtype=uint8)
    """
    n_layers, n_qubits = angles.shape[1], angles.shape[3]
    starts = group_starts(n_layers, n_qubits)
    bits = np.zeros((len(angles), n_qubits), dtype=np.uint8)
    for g, best in enumerate(group_probabilities(angles).argmax(axis=2).T):
        width = starts[g + 1] - starts[g]
        for place in range(width):
            bits[:, starts[g] + place] = best >> (width - 1 - place) & 1
    return entangled_bits(bits, n_layers)


def product_probability(angles: Float, bits: Bits) -> Float:
    """Exact q (B,) of bitstrings (B, n) measured from one circuit, angles (L, 2, n), L = 1 or 2.

    >>> turns = np.array([[[np.pi / 2, np.pi, np.pi / 3], [0, 0, 0]]])
    >>> product_probability(turns, np.array([[1, 1, 1]], dtype=np.uint8)).round(4)
    array([0.375])
    """
    before = entangled_bits(bits, len(angles))
    groups = group_probabilities(angles[None])[0]
    chain = group_samples.conditionals(groups, group_starts(len(angles), angles.shape[2]))
    previous = np.concatenate([np.zeros((len(bits), 1), dtype=np.uint8), before[:, :-1]], axis=1)
    ones = chain[np.arange(bits.shape[1]), previous]
    q: Float = np.where(before == 1, ones, 1 - ones).prod(axis=1)
    return q


def entangled_bits(bits: Bits, layer: int) -> Bits:
    """Bitstrings (B, n) after the CX gates of a layer (1-based), their own inverse."""
    first = layer % 2
    end = first + 2 * ((bits.shape[1] - first) // 2)
    out = bits.copy()
    out[:, first + 1 : end : 2] ^= bits[:, first : end - 1 : 2]
    return out


class ClosedForm(Circuits):
    """Circuits of one or two layers, in closed form for any number of qubits; only tables need 2**n."""

    def __init__(self, config: RunConfig, angles: Float) -> None:
        super().__init__(config, np.ascontiguousarray(angles))
        self.groups: Float = groups.group_probabilities(self.angles)
        """Probabilities (S, groups, 4) before the last CX gates, see `kernels.groups`."""
        self._starts = groups.group_starts(config.n_layers, config.n_qubits)

    def samples(self, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = group_samples.group_samples(
            self.groups, self._starts, self.config.n_layers, draws.keys, draws.epoch, draws.shots
        )
        return words

    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = group_samples.shifted_group_samples(
            self.angles[row], draws.keys[row], draws.epoch, draws.shots
        )
        return words

    def means(self, tables: Float) -> Float:
        """See `Circuits`."""
        means: Float = contraction.group_means(tables, self.groups, self._starts, self.config.n_layers)
        return means

    def kl(self) -> Float:
        """See `Circuits`."""
        return product_kl(self.groups, self.config.n_qubits)

    def mmd_squared(self) -> Float:
        """See `Circuits`."""
        config = self.config
        return product_mmd_squared(self.groups, config.n_layers, config.n_qubits, config.h)

    def correlator_spectrum(self) -> Float:
        """`divergences.correlator_spectrum` (S, n + 1) of the circuits' distributions."""
        first = self.config.n_layers % 2
        spectrum: Float = correlators.chain_spectra(self.groups, self._starts, first)
        return spectrum

    def gradient(self, scores: Float | None, objective: str) -> Float:
        """See `Circuits`."""
        config = self.config
        slopes = np.zeros_like(self.groups)
        if scores is not None:
            slopes += contraction.group_mean_slopes(scores, self.groups, self._starts, config.n_layers)
        with np.errstate(over="ignore"):  # an infinite slope is reported as divergence
            slopes -= config.regularization * self._regularizer_slopes(objective)
        gradient: Float = groups.angle_slopes(self.angles, slopes)
        return gradient

    def _regularizer_slopes(self, objective: str) -> Float:
        """d(regulariser)/dq (S, groups, 4) by the groups' probabilities, up to constants."""
        config = self.config
        if objective == "mle":
            return np.zeros_like(self.groups)
        if objective == "elbo":
            return log_probabilities(self.groups)
        return product_mmd_slopes(self.groups, config.n_layers, config.n_qubits, config.h)
