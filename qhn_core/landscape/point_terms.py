"""What every objective is made of at points of angle space, kept so that λ and h stay free.

The objective depends on λ and h only through how these few numbers are weighted (`divergences`), so
what is computed once serves all of them.
"""

import os
from dataclasses import dataclass

import numpy as np

from qhn_core.bits import Float
from qhn_core.circuits.ansatz import check_angles
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.circuits.divergences import correlator_spectrum, correlator_weights, entropy
from qhn_core.circuits.simulators import Simulator, get_simulator
from qhn_core.circuits.simulators.numba_states import Compiled
from qhn_core.config import RunConfig
from qhn_core.kernels.transforms import row_dots
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Terms

WORKING_BYTES = 2**31
"""Memory for all threads' states and probabilities."""


@dataclass(frozen=True)
class PointTerms:
    """The exact terms of MLE, ELBO and SELBO at points of any shape (...)."""

    config: RunConfig
    expected_log_likelihood: Float
    """Training set, as config.likelihood says, nats."""
    expected_test_log_likelihood: Float
    """The same on the test set."""
    entropy: Float
    """Nats."""
    correlators: Float
    """W_0 to W_N at each point, (..., N + 1); see `divergences.correlator_spectrum`."""

    def values(
        self, objective: str, regularization: float | None = None, bandwidth: float | None = None
    ) -> Float:
        """The exact objective (...) in nats; λ and h default to the config's.

        Raises ValueError for an unknown objective, λ < 0 or h <= 0.
        """
        config = changed(self.config, objective, regularization, bandwidth)
        weights = correlator_weights(config.n_qubits, config.h)
        terms = Terms(
            self.expected_log_likelihood,
            config.n_qubits * np.log(2) - self.entropy,
            self.correlators @ weights,
        )
        return terms.value(config.objective, config.regularization)


def changed(
    config: RunConfig, objective: str, regularization: float | None = None, bandwidth: float | None = None
) -> RunConfig:
    """`config`, exact, with another objective, λ and h (None: its own), validated."""
    changes = {"objective": objective, "regularization": regularization, "bandwidth": bandwidth}
    kept = {name: value for name, value in changes.items() if value is not None}
    return RunConfig(**{**config.model_dump(), "shots": None, **kept})


def exact_simulator(config: RunConfig) -> Simulator:
    """The simulator that the config names; for "auto" on a CPU the one made for many exact circuits."""
    simulator = get_simulator(config.simulator, config.n_qubits)
    return Compiled() if config.simulator == "auto" and simulator.name == "qsim" else simulator


def threads_for(config: RunConfig) -> int:
    """How many threads may each work on circuits of this size at once."""
    return min(os.cpu_count() or 1, max(1, WORKING_BYTES // (6 * 8 * 2**config.n_qubits)))


class PointEvaluator:
    """Terms of batches of circuits of one config; threads may share it."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.problem = score_table(config)
        self.simulator = exact_simulator(config)
        data = self.problem.dataset
        mean = config.likelihood == "mean"
        self.train_scale = 1 / len(data.y_train) if mean else 1.0
        self.test_scale = 1 / len(data.y_test) if mean else 1.0

    def __call__(self, angles: Float) -> PointTerms:
        """The terms (B,) at angles (B, n_layers, 2, n_qubits); each row's do not depend on the others."""
        angles = check_angles(angles)
        if not self.config.has_closed_form:
            return self.terms(angles, self.simulator.probabilities(angles))
        circuits, data = ClosedForm(self.config, angles), self.problem
        means = circuits.means(np.stack([data.train_log_likelihood, data.test_log_likelihood]))
        entropies = self.config.n_qubits * np.log(2) - circuits.kl()
        return self._scaled(means[:, 0], means[:, 1], entropies, circuits.correlator_spectrum())

    def terms(self, angles: Float, q: Float) -> PointTerms:
        """The same where the probabilities q (B, 2**n) are known."""
        if self.config.has_closed_form:  # faster without them
            return self(angles)
        return self._scaled(
            row_dots(q, self.problem.train_log_likelihood[None]),
            row_dots(q, self.problem.test_log_likelihood[None]),
            entropy(q),
            correlator_spectrum(q),
        )

    def _scaled(self, train: Float, test: Float, entropies: Float, spectrum: Float) -> PointTerms:
        return PointTerms(
            self.config, self.train_scale * train, self.test_scale * test, entropies, spectrum
        )
