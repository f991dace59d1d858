"""What every objective is made of at points of angle space, kept so that λ and h stay free.

The objective depends on λ and h only through how these few numbers are weighted (`divergences`), so
what is computed once serves all of them.
"""

import os
from dataclasses import dataclass

import numpy as np

from qhn_core.ansatz import bit_probabilities, check_angles, cx_pairs
from qhn_core.bits import Float
from qhn_core.config import RunConfig
from qhn_core.divergences import correlator_spectrum, correlator_weights, entropy
from qhn_core.kernels.transforms import row_dots
from qhn_core.objectives import Terms
from qhn_core.problem import build_problem
from qhn_core.simulators import Simulator, get_simulator
from qhn_core.simulators.compiled import Compiled

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
        self.problem = build_problem(config)
        self.simulator = exact_simulator(config)
        data = self.problem.dataset
        mean = config.likelihood == "mean"
        self.train_scale = 1 / len(data.y_train) if mean else 1.0
        self.test_scale = 1 / len(data.y_test) if mean else 1.0

    def __call__(self, angles: Float) -> PointTerms:
        """The terms (B,) at angles (B, n_layers, 2, n_qubits); each row's do not depend on the others."""
        angles = check_angles(angles)
        return self.terms(angles, self.simulator.probabilities(angles))

    def terms(self, angles: Float, q: Float) -> PointTerms:
        """The same where the probabilities q (B, 2**n) are known."""
        if self.config.n_layers == 1:
            entropies, spectrum = product_terms(angles[:, 0])
        else:
            entropies, spectrum = entropy(q), correlator_spectrum(q)
        return PointTerms(
            self.config,
            self.train_scale * row_dots(q, self.problem.train_log_likelihood[None]),
            self.test_scale * row_dots(q, self.problem.test_log_likelihood[None]),
            entropies,
            spectrum,
        )


def product_terms(first_layer: Float) -> tuple[Float, Float]:
    """(entropy (B,), correlator spectrum (B, n + 1)) of one layer, angles (B, 2, n), in closed form.

    q is a product distribution pushed through the CX gates, a permutation, so entropy is the sum over
    the bits. A parity of bits after a CX is a parity before it: of <Z_c> = cos(theta_c) = a and
    <Z_t> = b, the correlators after CX(c, t) are a, a b and, of both bits, b.
    """
    n = first_layer.shape[-1]
    ones = bit_probabilities(first_layer)
    squares = (1 - 2 * ones) ** 2
    entropies = np.zeros(len(ones))
    spectrum = np.zeros((len(ones), n + 1))
    spectrum[:, 0] = 1.0
    paired = dict(cx_pairs(n, 1))
    for q in range(n):
        for p in (ones[:, q], 1 - ones[:, q]):
            entropies -= p * np.log(np.maximum(p, np.finfo(float).tiny))  # 0 log 0 = 0
        if q in paired:  # times 1 + (a + a b) x + b x**2, where the power of x is the order
            a, b = squares[:, q, None], squares[:, q + 1, None]
            spectrum[:, 2:] += (a + a * b) * spectrum[:, 1:-1] + b * spectrum[:, :-2]
            spectrum[:, 1] += ((a + a * b) * spectrum[:, :1])[:, 0]
        elif q not in paired.values():
            spectrum[:, 1:] += squares[:, q, None] * spectrum[:, :-1]
    return entropies, spectrum
