"""The terms of MLE, ELBO and SELBO at points of angle space, kept so that λ and h stay free.

The objective depends on λ and h only through the weights of a few numbers (see `divergences`), so
terms that are computed once serve every λ and every h.
"""

import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float
from qhn_core.circuits.ansatz import check_angles
from qhn_core.circuits.batches import closed_form
from qhn_core.circuits.divergences import correlator_spectrum, correlator_weights, entropy
from qhn_core.circuits.simulators import Simulator, get_simulator
from qhn_core.circuits.simulators.numba_states import Compiled
from qhn_core.config import RunConfig
from qhn_core.kernels.transforms import row_dots
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective, Terms

WORKING_BYTES = 2**31
"""Memory for the states and probabilities of all threads together."""
LARGEST_VALUE = 1e150
"""Nats, or nats per radian; the squares of larger numbers overflow."""


@dataclass(frozen=True)
class PointTerms:
    """The exact terms of MLE, ELBO and SELBO at points of any shape (...)."""

    FIELDS: ClassVar = ("expected_log_likelihood", "expected_test_log_likelihood", "entropy", "correlators")
    """The names of the four arrays."""

    config: RunConfig
    expected_log_likelihood: Float
    """On the training set, summed or averaged as config.likelihood says, nats."""
    expected_test_log_likelihood: Float
    """On the test set, summed or averaged alike, nats."""
    entropy: Float
    """Shannon entropy of q, nats."""
    correlators: Float
    """W_0 to W_N at each point, (..., N + 1); see `divergences.correlator_spectrum`."""

    def values(
        self, objective: str, regularization: float | None = None, bandwidth: float | None = None
    ) -> Float:
        """Compute the exact objective (...) in nats; no circuit is simulated again.

        objective: "mle", "elbo" or "selbo". regularization: λ; bandwidth: h; each is the config's where
        it is not given. Raises ValueError for an unknown objective, λ < 0 or h <= 0.
        """
        return self.exact(Objective.of(self.config, objective, regularization, bandwidth))

    def exact(self, objective: Objective) -> Float:
        """Compute an exact objective (...) in nats."""
        n_qubits = self.config.n_qubits
        mmd_squared = self.correlators @ correlator_weights(n_qubits, objective.bandwidth)
        kl = n_qubits * np.log(2) - self.entropy
        return Terms(self.expected_log_likelihood, kl, mmd_squared).value(objective)

    def form(self, objective: Objective) -> Float:
        """Compute an exact objective (...) times a power of two, at most 1, so that no λ overflows.

        Measures that do not depend on the scale of a surface get the same value from it, bit for bit.
        """
        strength = 0.0 if objective.kind == "mle" else objective.strength
        factor = 2.0 ** min(0, -math.frexp(strength)[1])
        scaled = replace(self, expected_log_likelihood=factor * self.expected_log_likelihood)
        return scaled.exact(replace(objective, strength=factor * objective.strength))


def checked(values: Float, objective: Objective) -> Float:
    """Return values of an objective; raise ValueError where λ makes them too large to be squared."""
    if not (np.abs(values) <= LARGEST_VALUE).all():
        raise ValueError(
            f"regularization={objective.strength:g}: λ must be so small that no value or slope of "
            f"{objective.kind.upper()} exceeds {LARGEST_VALUE:g} nats"
        )
    return values


def exact_simulator(config: RunConfig) -> Simulator:
    """Return the simulator that the config names; for "auto" on a CPU, the one for many exact circuits."""
    simulator = get_simulator(config.simulator, config.n_qubits, config.entangler)
    return Compiled() if config.simulator == "auto" and simulator.name == "qsim" else simulator


def threads_for(config: RunConfig) -> int:
    """Return how many threads may work on circuits of this size at once, 1 or more."""
    return min(os.cpu_count() or 1, max(1, WORKING_BYTES // (6 * 8 * 2**config.n_qubits)))


class PointEvaluator(ABC):
    """Computes the terms of batches of circuits of one config; threads may share it."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.table = score_table(config)
        self.simulator = exact_simulator(config)
        data = self.table.dataset
        self._tables = np.stack([self.table.train_log_likelihood, self.table.test_log_likelihood])
        mean = config.likelihood == "mean"
        self._scales = [1 / len(y) if mean else 1.0 for y in (data.y_train, data.y_test)]

    @abstractmethod
    def __call__(self, angles: Float, q: Float | None = None) -> PointTerms:
        """Compute the terms (B,) at angles (B, n_layers, 2, n_qubits).

        q: the probabilities (B, 2**n) at the angles, where the caller has them already. The terms of one
        row do not depend on the other rows.
        """

    def _terms(self, means: Float, entropies: Float, spectrum: Float) -> PointTerms:
        """Scale the means (B, 2) of the log-likelihoods, summed over the training and the test set."""
        train, test = (scale * mean for scale, mean in zip(self._scales, means.T, strict=True))
        return PointTerms(self.config, train, test, entropies, spectrum)


class ClosedFormPoints(PointEvaluator):
    """Circuits of one or two layers, by their closed form; q is ignored."""

    @override
    def __call__(self, angles: Float, q: Float | None = None) -> PointTerms:
        circuits = closed_form(self.config, check_angles(angles))
        entropies = self.config.n_qubits * np.log(2) - circuits.kl()
        return self._terms(circuits.means(self._tables), entropies, circuits.correlator_spectrum())


class StateVectorPoints(PointEvaluator):
    """Circuits of any depth, by the probabilities of all 2**n outcomes."""

    @override
    def __call__(self, angles: Float, q: Float | None = None) -> PointTerms:
        if q is None:
            q = self.simulator.probabilities(check_angles(angles))
        means = np.stack([row_dots(q, table[None]) for table in self._tables], axis=1)
        return self._terms(means, entropy(q), correlator_spectrum(q))


def point_evaluator(config: RunConfig) -> PointEvaluator:
    """Return the evaluator that suits the config's circuits."""
    return ClosedFormPoints(config) if config.has_closed_form else StateVectorPoints(config)
