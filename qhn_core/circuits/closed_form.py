"""Circuits of one or two layers in closed form: products of groups, pushed through the last CX gates.

All need only `groups` (S, groups, 4), the probabilities of each qubit or pair of qubits before those
CX gates (`kernels.groups`). The CX gates map bitstrings to bitstrings, so entropy is a sum over groups,
and MMD² to uniform a product of small matrices along the qubits. Nothing here but the means of tables
grows faster than the number of qubits.
"""

import numpy as np
from typing_extensions import override

from qhn_core.bits import Bits, Float, Index
from qhn_core.circuits.ansatz import entangle_bits
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.divergences import kernel_at_one, safe_log
from qhn_core.config import RunConfig
from qhn_core.kernels import contraction, correlators, group_samples
from qhn_core.kernels.groups import angle_slopes, group_probabilities, group_starts


class ClosedForm(Circuits):
    """Circuits of one or two layers, in closed form for any number of qubits; only tables need 2**n.

    >>> certain = ClosedForm(RunConfig(), np.zeros((1, 1, 2, 14)))
    >>> certain.mmd_squared().round(4), (certain.kl() / np.log(2)).round(4)
    (array([0.4287]), array([14.]))
    """

    def __init__(self, config: RunConfig, angles: Float) -> None:
        super().__init__(config, np.ascontiguousarray(angles))
        self.groups: Float = group_probabilities(self.angles)
        """Probabilities (S, groups, 4) before the last CX gates, see `kernels.groups`."""
        self.starts: Index = group_starts(self.n_layers, self.n_qubits)
        """The first qubit of each group, and at the end the number of qubits."""
        self.first_control = self.n_layers % 2
        """The first control of the last CX gates, which are on neighbours from there on."""

    @override
    def samples(self, draws: Draws) -> Index:
        return group_samples.group_samples(
            self.groups, self.starts, self.first_control, draws.keys, draws.epoch, draws.shots
        )

    @override
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        return group_samples.shifted_group_samples(
            self.angles[row], draws.keys[row], draws.epoch, draws.shots
        )

    @override
    def means(self, tables: Float) -> Float:
        return contraction.group_means(tables, self.groups, self.starts, self.first_control)

    @override
    def kl(self) -> Float:
        return self.n_qubits * np.log(2) + (self.groups * self.kl_slopes()).sum(axis=(1, 2))

    def kl_slopes(self) -> Float:
        """dKL/dq (S, groups, 4) by the groups' probabilities, up to a constant."""
        return safe_log(self.groups)

    @override
    def mmd_squared(self) -> Float:
        return correlators.chain_mmd(self.groups, self.starts, self.first_control, *self._weights())

    def mmd_slopes(self) -> Float:
        """dMMD²/dq (S, groups, 4) by the groups' probabilities."""
        return correlators.chain_mmd_slopes(self.groups, self.starts, self.first_control, *self._weights())

    def _weights(self) -> tuple[float, float]:
        """(1+e)/2, (1-e)/(1+e): the weights of `divergences.correlator_weights`, a qubit and a Z."""
        e = kernel_at_one(self.config.h)
        return (1 + e) / 2, (1 - e) / (1 + e)

    def correlator_spectrum(self) -> Float:
        """`divergences.correlator_spectrum` (S, n + 1) of the circuits' distributions."""
        return correlators.chain_spectra(self.groups, self.starts, self.first_control)

    @override
    def gradient(self, scores: Float | None, objective: str) -> Float:
        slopes = np.zeros_like(self.groups)
        if scores is not None:
            slopes += contraction.group_mean_slopes(scores, self.groups, self.starts, self.first_control)
        with np.errstate(over="ignore"):  # training reports an infinite slope as divergence
            slopes -= self.config.regularization * self._regularizer_slopes(objective)
        return self.angle_slopes(slopes)

    def angle_slopes(self, by_group: Float) -> Float:
        """Slopes (S, L, 2, n) by the angles, given those by the groups' probabilities (S, groups, 4)."""
        return angle_slopes(self.angles, by_group)

    def _regularizer_slopes(self, objective: str) -> Float:
        """d(regulariser)/dq (S, groups, 4) by the groups' probabilities, up to constants."""
        if objective == "mle":
            return np.zeros_like(self.groups)
        return self.kl_slopes() if objective == "elbo" else self.mmd_slopes()

    def entangled(self, bits: Bits) -> Bits:
        """Apply the last CX gates to bitstrings (B, n); twice undoes it."""
        return entangle_bits(bits, self.n_layers)

    def most_probable_bits(self) -> Bits:
        """Find the most probable bitstring (S, n) of each circuit.

        >>> turned = np.full((1, 1, 2, 14), 2.0)  # all 1 before CX(1, 2), CX(3, 4), ...
        >>> ClosedForm(RunConfig(), turned).most_probable_bits()
        array([[1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]], dtype=uint8)
        """
        bits = np.zeros((len(self.angles), self.n_qubits), dtype=np.uint8)
        for g, best in enumerate(self.groups.argmax(axis=2).T):
            width = self.starts[g + 1] - self.starts[g]
            for place in range(width):
                bits[:, self.starts[g] + place] = best >> (width - 1 - place) & 1
        return self.entangled(bits)

    def probability(self, bits: Bits) -> Float:
        """Compute the exact q (B,) of bitstrings (B, n) of the first circuit.

        >>> certain = ClosedForm(RunConfig(), np.zeros((1, 1, 2, 14)))
        >>> certain.probability(np.eye(2, 14, k=-1, dtype=np.uint8))  # 00000000000000, 10000000000000
        array([1., 0.])
        """
        before = self.entangled(bits)
        chain = group_samples.conditionals(self.groups[0], self.starts)
        previous = np.concatenate([np.zeros((len(bits), 1), dtype=np.uint8), before[:, :-1]], axis=1)
        ones = chain[np.arange(bits.shape[1]), previous]
        return np.where(before == 1, ones, 1 - ones).prod(axis=1)
