"""All that training asks of circuits: their samples, those of their shifted copies, and exact numbers.

There are two ways to answer. One or two layers make a product of single qubits or of pairs, up to a
renaming of the outcomes, so `Shallow` needs no state vector and takes any number of qubits; `Deep`
simulates one state, and draws the samples of all shifted circuits from it. Each seed draws from a
stream of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.divergences import mmd_squared_to_uniform, smooth
from qhn_core.kernels import (
    adjoint,
    contraction,
    correlators,
    group_samples,
    groups,
    light_cones,
    philox,
    states,
    transforms,
)
from qhn_core.product import log_probabilities, product_kl, product_mmd_slopes, product_mmd_squared
from qhn_core.simulators import Simulator, get_simulator

Keys = NDArray[np.uint64]
PRIOR = 0
"""Stream of the prior's samples; the circuits' follow."""


def seed_keys(seed: int, rows: Index) -> Keys:
    """A key (S, 2) for the streams of each seed in `rows`: that of SeedSequence(seed).spawn(...)[row]."""
    sequences = [np.random.SeedSequence(seed, spawn_key=(int(row),)) for row in rows]
    keys = [sequence.generate_state(2, np.uint32).astype(np.uint64) for sequence in sequences]
    return np.array(keys, dtype=np.uint64).reshape(len(rows), 2)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one epoch: a function of seed, epoch and circuit, and of nothing else."""

    keys: Keys
    """Two 32-bit numbers for each seed: (S, 2)."""
    epoch: int
    shots: int

    def take(self, rows: slice | NDArray[np.bool_]) -> "Draws":
        """Those of some of the seeds."""
        return Draws(self.keys[rows], self.epoch, self.shots)

    def prior(self, n_qubits: int) -> Index:
        """Uniform bitstrings, packed (S, n_words, shots)."""
        words: Index = philox.uniform_words(n_qubits, self.shots, self.keys, self.epoch, PRIOR)
        return words


class Circuits(ABC):
    """The circuits of S seeds, at angles (S, L, 2, n)."""

    def __init__(self, config: RunConfig, angles: Float) -> None:
        self.config, self.angles = config, angles

    @abstractmethod
    def samples(self, draws: Draws) -> Index:
        """Measured bitstrings, packed (S, n_words, shots)."""

    @abstractmethod
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """Measured bitstrings of all circuits of eq. (13) of one seed, packed (2 P, n_words, shots).

        In the order of `gradients.shifted_angles`; every circuit draws afresh.
        """

    @abstractmethod
    def means(self, tables: Float) -> Float:
        """Exact means (S, K) of tables (K, 2**n) over the circuits' distributions."""

    @abstractmethod
    def kl(self) -> Float:
        """Exact KL(q || uniform) (S,), nats."""

    @abstractmethod
    def mmd_squared(self) -> Float:
        """Exact MMD² to the uniform prior (S,)."""

    @abstractmethod
    def gradient(self, scores: Float | None, objective: str) -> Float:
        """Exact gradient (S, L, 2, n) of E[scores] minus the regulariser, scores (2**n,) or None for 0."""


class Shallow(Circuits):
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


class Deep(Circuits):
    """Circuits of any depth: one seed, angles (1, L, 2, n), and its state vector."""

    def __init__(self, config: RunConfig, angles: Float, simulator: Simulator) -> None:
        super().__init__(config, angles)
        self._simulator = simulator

    @cached_property
    def _state(self) -> Float:
        """Amplitudes (2, 2**n) before the last CX gates."""
        angles = self.angles[0].copy()
        angles[0, 1] = 0.0  # the RZ of layer 1 turn the global phase only, and `adjoint` wants it so
        return self._simulator.state(angles)

    @cached_property
    def _q(self) -> Float:
        """Their squares (2**n,)."""
        q: Float = states.probabilities(self._state)
        return q

    def _renamed(self, values: Float) -> Float:
        """Numbers of basis states (2**n,) after the last CX gates in the order before them, or back."""
        renamed: Float = states.entangled_copy(values, self.config.n_layers, self.config.n_qubits)
        return renamed

    def samples(self, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = light_cones.state_samples(
            self._q, self.config.n_layers, draws.keys[0], draws.epoch, draws.shots
        )
        return words[None]

    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = light_cones.shifted_state_samples(
            self.angles[row], self._state, self._q, draws.keys[row], draws.epoch, draws.shots
        )
        return words

    def means(self, tables: Float) -> Float:
        """See `Circuits`."""
        means: Float = transforms.row_dots(tables, self._renamed(self._q)[None])
        return means[None]

    @cached_property
    def _log_q(self) -> Float:
        """log q (2**n,), and a large negative number where q is 0."""
        logs: Float = np.log(np.maximum(self._q, np.finfo(float).tiny))
        return logs

    def kl(self) -> Float:
        """See `Circuits`."""
        return self.config.n_qubits * np.log(2) + transforms.row_dots(self._q[None], self._log_q[None])

    def mmd_squared(self) -> Float:
        """See `Circuits`."""
        return mmd_squared_to_uniform(self._renamed(self._q)[None], self.config.h)

    def gradient(self, scores: Float | None, objective: str) -> Float:
        """See `Circuits`; one backward pass."""
        slope = -self.config.regularization * self._regularizer_slope(objective)
        if scores is not None:
            slope += self._renamed(scores)
        gradient: Float = adjoint.adjoint_gradient(self.angles[0], self._state, slope)
        return gradient[None]

    def _regularizer_slope(self, objective: str) -> Float:
        """d(regulariser)/dq before the last CX: log q + 1 for KL, 2 K (q - p) for MMD²; (2**n,)."""
        q = self._q
        if objective == "mle":
            return np.zeros_like(q)
        if objective == "elbo":
            return self._log_q + 1
        return self._renamed(2 * smooth((self._renamed(q) - 1 / q.size)[None], self.config.h)[0])


def circuit_blocks(config: RunConfig, angles: Float) -> Iterator[tuple[slice, Circuits]]:
    """The circuits of a config at angles (S, L, 2, n), as few seeds at a time as is best: (rows, circuits).

    Up to two layers: all seeds at once. Else, and on Cirq, the reference, always: one by one.
    """
    if config.is_shallow:
        if config.simulator != "auto":
            get_simulator(config.simulator, config.n_qubits)  # say so where it is missing
        yield slice(0, len(angles)), Shallow(config, angles)
        return
    simulator = get_simulator(config.simulator, config.n_qubits)
    for row in range(len(angles)):
        block = slice(row, row + 1)
        yield block, Deep(config, angles[block], simulator)
