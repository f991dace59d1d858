"""All that training asks of circuits: their samples, those of their shifted copies, and exact numbers.

There are two ways to answer. One layer is a product distribution, so `OneLayer` needs no state
vector and takes any number of qubits; `ManyLayers` simulates one state, and draws the samples of all
shifted circuits from it. Each seed draws from a stream of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qhn_core.ansatz import bit_probabilities
from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.divergences import mmd_squared_to_uniform, smooth
from qhn_core.kernels import adjoint, cones, philox, states, transforms
from qhn_core.kernels import product as product_kernels
from qhn_core.product import product_kl, product_kl_slope, product_mmd_slope, product_mmd_squared
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


class OneLayer(Circuits):
    """Circuits of one layer: products, for any number of qubits; only tables need 2**n."""

    def __init__(self, config: RunConfig, angles: Float) -> None:
        super().__init__(config, angles)
        self._turns = angles[:, 0, 0]
        self._ones = bit_probabilities(angles[:, 0])

    def samples(self, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = product_kernels.product_samples(self._ones, draws.keys, draws.epoch, draws.shots)
        return words

    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = product_kernels.shifted_product_samples(
            self._turns[row], draws.keys[row], draws.epoch, draws.shots
        )
        return words

    def means(self, tables: Float) -> Float:
        """See `Circuits`."""
        means: Float = product_kernels.product_expectations(tables, self._ones)
        return means

    def kl(self) -> Float:
        """See `Circuits`."""
        return product_kl(self._ones)

    def mmd_squared(self) -> Float:
        """See `Circuits`."""
        return product_mmd_squared(self._ones, self.config.h)

    def gradient(self, scores: Float | None, objective: str) -> Float:
        """See `Circuits`; the RZ of the first layer act on |0>, and have no gradient."""
        out = np.zeros_like(self.angles)
        if scores is not None:
            out[:, 0, 0] = product_kernels.product_slopes(scores, self._ones) * np.sin(self._turns) / 2
        if objective == "elbo":
            out[:, 0, 0] -= self.config.regularization * product_kl_slope(self._turns)
        elif objective == "selbo":
            out[:, 0, 0] -= self.config.regularization * product_mmd_slope(self._turns, self.config.h)
        return out


class ManyLayers(Circuits):
    """Circuits of any depth: one seed, angles (1, L, 2, n), and its state vector."""

    def __init__(self, config: RunConfig, angles: Float, simulator: Simulator) -> None:
        super().__init__(config, angles)
        self._simulator = simulator

    @cached_property
    def _state(self) -> Float:
        """Amplitudes (2, 2**n) before the last CX gates."""
        return self._simulator.state(self.angles[0])

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
        words: Index = cones.state_samples(
            self._q, self.config.n_layers, draws.keys[0], draws.epoch, draws.shots
        )
        return words[None]

    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = cones.shifted_state_samples(
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

    One layer: all seeds at once. Else, and on Cirq, the reference, always: one by one.
    """
    if config.n_layers == 1 and config.simulator == "auto":
        yield slice(0, len(angles)), OneLayer(config, angles)
        return
    simulator = get_simulator(config.simulator, config.n_qubits)  # and say so where it is missing
    if config.n_layers == 1 and config.simulator != "cirq":
        yield slice(0, len(angles)), OneLayer(config, angles)
        return
    for row in range(len(angles)):
        block = slice(row, row + 1)
        yield block, ManyLayers(config, angles[block], simulator)
