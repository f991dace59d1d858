"""MLE, ELBO and SELBO, from the same few terms. All are maximised."""

from dataclasses import dataclass, fields

import numpy as np

from qhn_core import kernels
from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.divergences import kernel_table, kl_to_uniform, mmd_squared_to_uniform
from qhn_core.problem import Problem, build_problem
from qhn_core.simulators import get_simulator


@dataclass(frozen=True)
class Terms:
    """What every objective is made of, for a batch of circuits; each (B,), in nats but MMD²."""

    expected_log_likelihood: Float
    kl: Float
    mmd_squared: Float

    def value(self, objective: str, regularization: float) -> Float:
        """MLE = E[ll], eq. (11); ELBO = E[ll] - λ KL, eq. (15); SELBO = E[ll] - λ MMD², eq. (22)."""
        if objective == "mle":
            return self.expected_log_likelihood
        penalty = self.kl if objective == "elbo" else self.mmd_squared
        with np.errstate(over="ignore"):  # an infinite objective is reported as divergence
            return self.expected_log_likelihood - regularization * penalty


def join_terms(parts: list[Terms]) -> Terms:
    """The terms of several batches as those of one."""
    return Terms(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Terms)))


def log_likelihoods(config: RunConfig, problem: Problem) -> Float:
    """Training log-likelihood of every network (2**n,), summed or averaged as the config says."""
    total = problem.train_log_likelihood
    return total if config.likelihood == "sum" else total / len(problem.dataset.y_train)


def exact_terms(config: RunConfig, problem: Problem, probabilities: Float) -> Terms:
    """The terms of distributions (B, 2**n), without sampling."""
    return Terms(
        kernels.row_dots(probabilities, log_likelihoods(config, problem)[None]),
        kl_to_uniform(probabilities),
        mmd_squared_to_uniform(probabilities, config.h),
    )


def sampled_terms(config: RunConfig, problem: Problem, samples: Index, prior: Index, kl: Float) -> Terms:
    """The terms as measured: samples (B, shots), prior samples (B, shots), the exact KL (B,).

    KL needs the amplitudes, so it is exact here too (Section III-A); MMD² is eq. (21), and NaN
    for a single shot.
    """
    expected = log_likelihoods(config, problem)[samples].mean(axis=1)
    if samples.shape[1] < 2:
        return Terms(expected, kl, np.full(len(samples), np.nan))
    table = kernel_table(config.n_qubits, config.h)
    mmd_squared = kernels.mean_kernel_within(samples, table) + kernels.mean_kernel_within(prior, table)
    for i in range(len(samples)):
        mmd_squared[i] -= 2 * kernels.mean_kernel_between(samples[i : i + 1], prior[i], table)[0]
    return Terms(expected, kl, mmd_squared)


def objective_value(config: RunConfig, angles: Float) -> Float:
    """The exact objective (B,) at angles (B, n_layers, 2, n_qubits), in nats.

    >>> config = RunConfig(objective="elbo", shots=None)
    >>> objective_value(config, np.full((1, 1, 2, 14), np.pi / 2)).shape
    (1,)
    """
    check_shape(config, angles)
    problem = build_problem(config)
    probabilities = get_simulator(config.simulator, config.n_qubits).probabilities(angles)
    return exact_terms(config, problem, probabilities).value(config.objective, config.regularization)


def check_shape(config: RunConfig, angles: Float) -> None:
    """Raise ValueError unless angles is a batch of this config's angles."""
    if np.shape(angles)[1:] != config.angle_shape or np.ndim(angles) != 4:
        raise ValueError(
            f"angles has shape {np.shape(angles)}; this config needs (B, *{config.angle_shape})"
        )
