"""What training asks of the circuits of some seeds, and the random numbers that these draw."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.kernels import philox
from qhn_core.kernels.hamming import WORD_BITS

Keys = NDArray[np.uint64]
PRIOR = 0
"""Stream of the prior's samples; the circuits' follow."""


def seed_keys(seed: int, rows: Index) -> Keys:
    """Make a key (S, 2) for the streams of each seed in `rows`, from SeedSequence(seed).spawn(...)[row]."""
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
        """Keep some of the seeds."""
        return Draws(self.keys[rows], self.epoch, self.shots)

    def prior(self, n_qubits: int) -> Index:
        """Draw uniform bitstrings, packed (S, n_words, shots)."""
        return philox.uniform_words(n_qubits, self.shots, self.keys, self.epoch, PRIOR)


class Circuits(ABC):
    """The circuits of S seeds, at angles (S, L, 2, n)."""

    def __init__(self, config: RunConfig, angles: Float) -> None:
        self.config, self.angles = config, angles
        self.n_layers, self.n_qubits = angles.shape[1], angles.shape[3]

    @abstractmethod
    def samples(self, draws: Draws) -> Index:
        """Measure each circuit: bitstrings, packed (S, n_words, shots)."""

    @abstractmethod
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """Measure all circuits of eq. (13) of one seed: bitstrings, packed (2 P, n_words, shots).

        They are in the order of `gradients.shifted_angles`. Shots of different circuits are independent.
        """

    @abstractmethod
    def means(self, tables: Float) -> Float:
        """Compute the exact means (S, K) of tables (K, 2**n) over the circuits' distributions."""

    @abstractmethod
    def kl(self) -> Float:
        """Compute the exact KL(q || uniform) (S,), nats."""

    @abstractmethod
    def mmd_squared(self) -> Float:
        """Compute the exact MMD² to the uniform prior (S,)."""

    @abstractmethod
    def gradient(self, scores: Float | None, objective: str) -> Float:
        """Compute the exact gradient (S, L, 2, n) of E[scores] - λ regulariser.

        scores (2**n,), or None for 0. objective: "mle" has no regulariser, "elbo" has KL, "selbo" MMD².
        """


def samples_shape(config: RunConfig) -> tuple[int, ...]:
    """The shape of one seed's `TrainingState.samples`.

    >>> samples_shape(RunConfig()), samples_shape(RunConfig(dataset="digits", n_hidden=2))
    ((100,), (3, 100))
    """
    shots = config.shots or 0
    return (
        (shots,) if config.n_qubits <= WORD_BITS or not shots else (-(-config.n_qubits // WORD_BITS), shots)
    )


def as_words(samples: Index) -> Index:
    """`TrainingState.samples` as packed bitstrings (S, n_words, shots), however many bits they have."""
    return samples[:, None] if samples.ndim == 2 else samples
