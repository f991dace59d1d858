"""MLE, ELBO and SELBO, from the same few terms. All are maximised."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Self, get_args

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.ansatz import check_angles
from qhn_core.circuits.base import Circuits
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.config import ObjectiveName, RunConfig
from qhn_core.model.scores import NetworkScores, ScoreTable, score_table

KINDS: tuple[ObjectiveName, ...] = get_args(ObjectiveName)
"""MLE, ELBO and SELBO, as a config names them."""


@dataclass(frozen=True)
class Objective:
    """What is maximised: MLE, ELBO or SELBO, with its λ and h.

    kind: "mle", eq. (11), "elbo", eq. (15), or "selbo", eq. (22). strength: λ, the weight of KL or MMD²;
    a config calls it `regularization`. bandwidth: h of the kernel of MMD², eq. (20). MLE uses neither λ
    nor h, and ELBO does not use h. Raises ValueError where one of them is not allowed.

    >>> Objective("elbo", strength=-1.0, bandwidth=3.5)
    Traceback (most recent call last):
    ...
    ValueError: strength=-1.0: λ (regularization) must be a finite number, 0 or more
    """

    kind: str
    strength: float
    bandwidth: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r}: the objective must be one of {', '.join(KINDS)}")
        if not (_is_finite(self.strength) and self.strength >= 0):
            raise ValueError(
                f"strength={self.strength!r}: λ (regularization) must be a finite number, 0 or more"
            )
        if not (_is_finite(self.bandwidth) and self.bandwidth > 0):
            raise ValueError(f"bandwidth={self.bandwidth!r}: h must be a finite number above 0")

    @classmethod
    def of(
        cls,
        config: RunConfig,
        kind: str | None = None,
        regularization: float | None = None,
        bandwidth: float | None = None,
    ) -> Self:
        """Make the objective of a config; what is given takes the place of the config's own.

        >>> Objective.of(RunConfig(), "elbo", regularization=2.0)
        Objective(kind='elbo', strength=2.0, bandwidth=3.5)
        """
        return cls(
            config.objective if kind is None else kind,
            config.regularization if regularization is None else regularization,
            config.h if bandwidth is None else bandwidth,
        )

    def of_each_kind(self) -> "list[Objective]":
        """MLE, ELBO and SELBO at this λ and h."""
        return [replace(self, kind=kind) for kind in KINDS]


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


@dataclass(frozen=True)
class Terms:
    """The terms of every objective, for a batch of circuits: each (B,), in nats but for MMD²."""

    expected_log_likelihood: Float
    kl: Float
    mmd_squared: Float

    def value(self, objective: Objective) -> Float:
        """Compute an objective (B,), nats.

        MLE = E[ll], eq. (11); ELBO = E[ll] - λ KL, eq. (15); SELBO = E[ll] - λ MMD², eq. (22). The MMD²
        must have been computed with the objective's h. A value that overflows is infinite.
        """
        if objective.kind == "mle":
            return self.expected_log_likelihood
        penalty = self.kl if objective.kind == "elbo" else self.mmd_squared
        with np.errstate(over="ignore"):  # training reports an infinite objective as divergence
            return self.expected_log_likelihood - objective.strength * penalty


def log_likelihoods(config: RunConfig, table: ScoreTable) -> Float:
    """Return the training log-likelihood of every network (2**n,), nats, summed or averaged by config."""
    total = table.train_log_likelihood
    return total if config.likelihood_divisor == 1 else total / config.likelihood_divisor


def mean_log_likelihood(config: RunConfig, networks: NetworkScores, samples: Index) -> Float:
    """Average that over each circuit's samples, packed (C, n_words, shots): (C,)."""
    return 1 / config.likelihood_divisor * networks.mean_log_likelihood(samples)


def objective_value(config: RunConfig, angles: Float) -> Float:
    """Compute the exact objective (B,) at angles (B, n_layers, 2, n_qubits), in nats.

    Raises ValueError where the angles do not fit the config, or all 2**n networks not the memory.

    >>> config = RunConfig(objective="elbo", shots=None)
    >>> objective_value(config, np.full((1, 1, 2, 14), np.pi / 2)).shape
    (1,)
    """
    check_shape(config, angles)
    table = score_table(config)
    blocks = circuit_blocks(config, check_angles(angles))
    return np.concatenate([circuit_objective(config, table, circuits) for _, circuits in blocks])


def circuit_objective(config: RunConfig, table: ScoreTable, circuits: Circuits) -> Float:
    """Compute the exact objective (S,) of circuits, nats."""
    expected = circuits.means(log_likelihoods(config, table)[None])[:, 0]
    none = np.zeros(len(expected))
    kl = circuits.kl() if config.objective == "elbo" else none
    mmd_squared = circuits.mmd_squared() if config.objective == "selbo" else none
    return Terms(expected, kl, mmd_squared).value(Objective.of(config))


def upper_bound(config: RunConfig, table: ScoreTable) -> tuple[float, str]:
    """Bound the objective over all distributions q over networks: (nats, what the bound is called).

    E_q[ll] is at most the log-likelihood of the best network, which exhaustive search finds; KL and MMD²
    only reduce it. The ELBO cannot reach that: the best q is the posterior at temperature λ,
    q ∝ exp(ll / λ), and its ELBO is λ log mean exp(ll / λ). At λ = 1, with the likelihood summed, that
    is the log evidence. With annealing λ falls to 0, and the best network is the bound.

    >>> from qhn_core.model.scores import score_table
    >>> upper_bound(RunConfig(objective="elbo"), score_table(RunConfig()))[1]
    'log evidence'
    """
    scores, strength = log_likelihoods(config, table), config.regularization
    best = float(scores.max())
    if config.objective == "mle" or strength == 0:
        return best, "exhaustive search"
    if config.objective == "selbo":
        return best, "best network, no MMD²"
    if config.annealing != "constant":
        return best, "best network, no KL"
    tempered = best + strength * _log_mean_exp(scores - best, strength)
    evidence = config.likelihood == "sum" and strength == 1
    return tempered, "log evidence" if evidence else "tempered log evidence"


def _log_mean_exp(losses: Float, strength: float) -> float:
    """log mean exp(losses / strength), losses at most 0 and strength above 0.

    Where λ is large the mean is near 1, and its logarithm would keep few digits of it, or none.
    """
    with np.errstate(over="ignore"):  # at the smallest λ all but the best network count for nothing
        exponents = losses / strength
    below_one = float(np.expm1(exponents).mean())
    return float(np.log1p(below_one)) if below_one > -0.5 else float(np.log(np.exp(exponents).mean()))


def check_shape(config: RunConfig, angles: Float) -> None:
    """Raise ValueError unless angles is a batch of this config's angles."""
    if np.shape(angles)[1:] != config.angle_shape or np.ndim(angles) != 4:
        raise ValueError(
            f"angles has shape {np.shape(angles)}; this config needs (B, *{config.angle_shape})"
        )
