"""What circuits are worth at given angles, and how to improve them: from full sums, or from samples."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws, Keys, as_words, samples_shape, seed_keys
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.circuits.divergences import kernel_table, mean_kernel_to_uniform
from qhn_core.config import RunConfig
from qhn_core.kernels import hamming
from qhn_core.model.scores import SCORES, NetworkScores, ScoreTable, network_scores_for, score_table
from qhn_core.objectives.gradients import exact_gradient, sampled_gradient
from qhn_core.objectives.terms import (
    Objective,
    Terms,
    circuit_objective,
    log_likelihoods,
    mean_log_likelihood,
)


@dataclass(frozen=True)
class Estimate:
    """What the circuits of S seeds are worth at given angles."""

    samples: Index
    """`TrainingState.samples`."""
    terms: Terms
    """The terms of the objective, each (S,)."""
    scores: dict[str, Float]
    """Mean SCORES of the networks, each (S,)."""
    exact_objective: Float
    """The objective without shot noise (S,), nats; NaN where it would be a sum over too many networks."""

    def take(self, rows: Any) -> "Estimate":
        """Keep some of the seeds: rows is a slice, mask or index array."""
        return Estimate(
            self.samples[rows],
            Terms(*(getattr(self.terms, f.name)[rows] for f in fields(Terms))),
            {name: values[rows] for name, values in self.scores.items()},
            self.exact_objective[rows],
        )


def _join(config: RunConfig, parts: list[Estimate]) -> Estimate:
    """Put the estimates of some seeds after each other, in order; there may be none."""
    none = np.zeros(0)
    parts = [
        Estimate(
            np.zeros((0, *samples_shape(config)), dtype=np.int64),
            Terms(none, none, none),
            dict.fromkeys(SCORES, none),
            none,
        ),
        *parts,
    ]
    return Estimate(
        np.concatenate([part.samples for part in parts]),
        Terms(*(np.concatenate([getattr(part.terms, f.name) for part in parts]) for f in fields(Terms))),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in SCORES},
        np.concatenate([part.exact_objective for part in parts]),
    )


class Estimator(ABC):
    """How the circuits of S seeds are measured: `FullSum` or `MonteCarlo`, see `estimator_for`."""

    @abstractmethod
    def take(self, rows: Any) -> Self:
        """Keep some of the seeds: rows is a slice, mask or index array."""

    @abstractmethod
    def with_other_shots(self, number: int) -> Self:
        """Measure with other random numbers, those of a number from 1; its own are those of 0."""

    def estimate(self, config: RunConfig, angles: Float, epoch: int) -> Estimate:
        """Measure the circuits at angles (S, L, 2, n), as training does after the step of an epoch."""
        blocks = circuit_blocks(config, angles)
        return _join(config, [self.take(rows).of_circuits(config, c, epoch) for rows, c in blocks])

    def gradient(self, config: RunConfig, angles: Float, epoch: int, samples: Index) -> Float:
        """Compute dL/dtheta (S, L, 2, n) for the step of an epoch; samples: measured at the angles."""
        gradient = np.empty_like(angles)
        words = as_words(samples)
        for rows, circuits in circuit_blocks(config, angles):
            gradient[rows] = self.take(rows).circuit_gradient(config, circuits, epoch, words[rows])
        return gradient

    @abstractmethod
    def of_circuits(self, config: RunConfig, circuits: Circuits, epoch: int) -> Estimate:
        """Measure circuits of these seeds."""

    @abstractmethod
    def circuit_gradient(self, config: RunConfig, circuits: Circuits, epoch: int, measured: Index) -> Float:
        """Compute the gradient of circuits of these seeds; measured (S, n_words, shots)."""


@dataclass(frozen=True)
class FullSum(Estimator):
    """All numbers exactly, by sums over all 2**n networks."""

    networks: ScoreTable

    @override
    def take(self, rows: Any) -> Self:
        return self

    @override
    def with_other_shots(self, number: int) -> Self:
        return self

    @override
    def of_circuits(self, config: RunConfig, circuits: Circuits, epoch: int) -> Estimate:
        scores = (getattr(self.networks, name) for name in SCORES)
        means = circuits.means(np.array([log_likelihoods(config, self.networks), *scores])).T
        terms = Terms(means[0], circuits.kl(), circuits.mmd_squared())
        samples = np.zeros((len(means[0]), 0), dtype=np.int64)
        return Estimate(
            samples, terms, dict(zip(SCORES, means[1:], strict=True)), objective_of(config, terms)
        )

    @override
    def circuit_gradient(self, config: RunConfig, circuits: Circuits, epoch: int, measured: Index) -> Float:
        return exact_gradient(config, self.networks, circuits)


@dataclass(frozen=True)
class MonteCarlo(Estimator):
    """Every number from the shots of an epoch, and the exact objective beside it where there is a table."""

    networks: NetworkScores
    keys: Keys
    """The seeds' own, (S, 2), see `Draws`."""

    @override
    def take(self, rows: Any) -> "MonteCarlo":
        return MonteCarlo(self.networks, self.keys[rows])

    @override
    def with_other_shots(self, number: int) -> "MonteCarlo":
        return MonteCarlo(self.networks, self.keys ^ np.uint64(number))

    def _draws(self, config: RunConfig, epoch: int) -> Draws:
        assert config.shots is not None
        return Draws(self.keys, epoch, config.shots)

    @override
    def of_circuits(self, config: RunConfig, circuits: Circuits, epoch: int) -> Estimate:
        draws = self._draws(config, epoch)
        words = circuits.samples(draws)
        terms = sampled_terms(config, self.networks, words, circuits.kl())
        table = self.networks.table
        exact_objective = (
            np.full(len(words), np.nan) if table is None else circuit_objective(config, table, circuits)
        )
        samples = words[:, 0] if words.shape[1] == 1 else words
        return Estimate(samples, terms, self.networks.mean_scores(words), exact_objective)

    @override
    def circuit_gradient(self, config: RunConfig, circuits: Circuits, epoch: int, measured: Index) -> Float:
        return sampled_gradient(config, self.networks, circuits, self._draws(config, epoch), measured)


def estimator_for(config: RunConfig, seeds: Index) -> Estimator:
    """Choose how a config's seeds are measured: from its shots, or exactly where it has none.

    Raises ValueError where a run needs tables that do not fit the memory.
    """
    if config.shots is None:
        return FullSum(score_table(config))
    return MonteCarlo(network_scores_for(config), seed_keys(config.seed, seeds))


def objective_of(config: RunConfig, terms: Terms) -> Float:
    """Compute the config's objective (B,), nats, from its terms."""
    return terms.value(Objective.of(config))


def sampled_terms(config: RunConfig, networks: NetworkScores, samples: Index, kl: Float) -> Terms:
    """Estimate the terms from samples (S, n_words, shots), with the exact KL (S,).

    KL needs the amplitudes, so it is exact here too (Section III-A). MMD² is the mean kernel over pairs of
    samples minus `mean_kernel_to_uniform`: eq. (21) with its two terms of prior samples replaced by their
    means, which are known for the uniform prior. That has the same mean, less variance and less work.

    It also keeps the measurement apart from the step before it. The gradient of "algorithm-1" uses
    eq. (21) as printed, with samples of the prior. Angles that were chosen by those samples must not be
    judged by them too: the objective would look better than it is.

    MMD² is NaN for a single shot.
    """
    expected = mean_log_likelihood(config, networks, samples)
    if samples.shape[2] < 2:
        return Terms(expected, kl, np.full(len(samples), np.nan))
    table = kernel_table(config.n_qubits, config.h)
    within = hamming.mean_kernel_within(*hamming.distinct(samples), table)
    return Terms(expected, kl, within - mean_kernel_to_uniform(config.n_qubits, config.h))
