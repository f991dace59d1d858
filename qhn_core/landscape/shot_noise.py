"""What an optimiser sees of a plane: the objective and both gradient rules from N shots, many times.

Each point and repeat draws from SeedSequence(seed, spawn_key=(point, repeat)) and from nothing else.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from qhn_core.bits import Float, Index
from qhn_core.circuits.divergences import kernel_table
from qhn_core.config import RunConfig
from qhn_core.kernels.hamming import distances_between, distances_within
from qhn_core.kernels.sampling import sample_table
from qhn_core.landscape.gradient_field import (
    RULES,
    GradientField,
    Progress,
    Rule,
    at_each_point,
    gradient_at,
    live_steps,
    on_grid,
    shift_signs,
)
from qhn_core.landscape.point_terms import PointEvaluator, checked, point_evaluator
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.objectives.terms import Objective, Terms, log_likelihoods

MOST_SHOTS = 100_000
"""Most samples of one circuit, over all repeats."""


@dataclass(frozen=True)
class Shots:
    """How each point is measured: `repeats` times with `shots` samples of each circuit.

    Raises ValueError for numbers out of range.
    """

    shots: int
    repeats: int
    seed: int

    def __post_init__(self) -> None:
        if self.shots < 2 or self.repeats < 2 or self.shots * self.repeats > MOST_SHOTS:
            raise ValueError(
                f"shots={self.shots}, repeats={self.repeats}: each must be at least 2, and their product "
                f"at most {MOST_SHOTS}"
            )


@dataclass(frozen=True)
class PointDraws:
    """The random numbers of one point, each repeat's from its own stream."""

    prior: Index
    """Samples of the uniform prior, (R, shots)."""
    uniforms: Float
    """Numbers in [0, 1) that pick the outcomes of the circuits, (circuits, R, shots)."""


@dataclass(frozen=True)
class Estimates:
    """Estimates from N shots, R times over, at one point; at the points of a grid, arrays (n, n, ...).

    The MMD² of samples depends on h only through how many pairs of samples are at each Hamming
    distance, so those shares are kept. KL needs the amplitudes, so it is exact here too (Section III-A).
    """

    expected_log_likelihood: Float
    """Mean over the shots, (R,), as config.likelihood says, nats."""
    distances: Float
    """Of eq. (21): shares of pairs x x', plus y y', minus twice x y, by distance, (R, N + 1)."""
    kl: Float
    """Exact, one number, nats."""
    slope: Float
    """Of the expected log-likelihood along both directions, (R, 2), nats per radian."""
    slope_distances: dict[Rule, Float]
    """Slopes of `distances`, by each rule, (R, 2, N + 1)."""
    slope_kl: dict[Rule, Float]
    """Exact, by each rule, (2,)."""


@dataclass(frozen=True)
class SampledScan(Estimates):
    """Estimates at each point of a grid of n points a side on a plane; λ and h stay free.

    Both methods raise ValueError where λ makes estimates so large that their spread overflows.
    """

    config: RunConfig
    axis: Float
    """Distances from the plane's center, (n,), radians."""
    shots: int

    def values(self, objective: Objective) -> Float:
        """Compute the estimates of an objective, (n, n, R), nats."""
        table = kernel_table(self.config.n_qubits, objective.bandwidth)
        terms = Terms(self.expected_log_likelihood, self.kl[..., None], self.distances @ table)
        return checked(terms.value(objective), objective)

    def slopes(self, rule: Rule, objective: Objective) -> Float:
        """Compute a rule's estimates of the slopes along both directions, (n, n, R, 2), nats per radian."""
        table = kernel_table(self.config.n_qubits, objective.bandwidth)
        terms = Terms(self.slope, self.slope_kl[rule][:, :, None], self.slope_distances[rule] @ table)
        return checked(terms.value(objective), objective)


def mean_and_error(estimates: Float) -> tuple[Float, Float]:
    """Return the mean of estimates over the repeats (the third axis), and the standard error of that mean.

    The spread of one estimate, which is what an optimiser steps with, is sqrt(R) standard errors.

    >>> mean, error = mean_and_error(np.array([[[1.0, 3.0]]]))
    >>> mean.item(), error.item()
    (2.0, 1.0)
    """
    repeats = estimates.shape[2]
    return estimates.mean(axis=2), estimates.std(axis=2, ddof=1) / np.sqrt(repeats)


def sample_landscape(
    scan: LandscapeScan,
    shots: int = 100,
    repeats: int = 20,
    resolution: int = 11,
    seed: int = 0,
    progress: Progress | None = None,
) -> SampledScan:
    """Measure the plane of a scan, on a grid of its own, `repeats` times with `shots` each.

    resolution: points along a side, 2 to 101. progress(done, total) counts grid points; an exception
    that it raises stops the work. Raises ValueError for numbers out of range.
    """
    plan = Shots(shots, repeats, seed)
    evaluate = point_evaluator(scan.config)

    def measure(point: int, theta: Float) -> Estimates:
        return _measure(evaluate, theta, scan.plane.directions, plan, point)

    axis, parts = at_each_point(scan, resolution, measure, progress)
    return SampledScan(**on_grid(parts), config=scan.config, axis=axis, shots=shots)


def draws(config: RunConfig, circuits: int, plan: Shots, point: int) -> PointDraws:
    """Draw the random numbers for so many circuits at a point, counted from 0."""
    prior = np.empty((plan.repeats, plan.shots), dtype=np.int64)
    uniforms = np.empty((circuits, plan.repeats, plan.shots))
    for repeat in range(plan.repeats):
        rng = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(point, repeat)))
        prior[repeat] = rng.integers(2**config.n_qubits, size=plan.shots)
        uniforms[:, repeat] = rng.random((circuits, plan.shots))
    return PointDraws(prior, uniforms)


def _measure(
    evaluate: PointEvaluator, theta: Float, directions: Float, plan: Shots, point: int
) -> Estimates:
    """The estimates at one point, and their slopes along directions (2, L, 2, n)."""
    config = evaluate.config
    n_bits, scores = config.n_qubits, log_likelihoods(config, evaluate.table)
    signs = shift_signs(live_steps(theta), directions)
    drawn = draws(config, signs.shape[1] + 1, plan, point)

    def sample(q: Float, rows: slice) -> Index:
        flat = sample_table(q, drawn.uniforms[rows].reshape(len(q), -1))
        return flat.reshape(len(q), plan.repeats, plan.shots)

    def to_prior(samples: Index) -> Float:
        """Shares of pairs (sample, sample) minus twice those of pairs (sample, prior), by distance."""
        return distances_within(samples, n_bits) - 2 * distances_between(samples, drawn.prior, n_bits)

    q = evaluate.simulator.probabilities(theta[None])
    measured = sample(q, slice(0, 1))[0]
    slope = np.zeros((plan.repeats, 2))
    chain, printed = np.zeros((2, plan.repeats, 2, n_bits + 1))

    def look(rows: slice, shifted_q: Float) -> None:
        samples = sample(shifted_q, slice(rows.start + 1, rows.stop + 1))
        for sign, shifted in zip(signs[:, rows].T, samples, strict=True):
            slope[:] += scores[shifted].mean(axis=1)[:, None] * sign
            # Liu and Wang (2018), arXiv:1804.04168: the derivative of E k(x, x') is 2 E k(x+-, x).
            chain[:] += 2 * distances_between(shifted, measured, n_bits)[:, None] * sign[:, None]
            printed[:] += to_prior(shifted)[:, None] * sign[:, None]

    exact = gradient_at(evaluate, theta, directions, look)
    return Estimates(
        expected_log_likelihood=scores[measured].mean(axis=1),
        distances=to_prior(measured) + distances_within(drawn.prior, n_bits),
        kl=n_bits * np.log(2) - evaluate(theta[None], q).entropy[0],
        slope=slope,
        slope_distances={"chain-rule": chain, "algorithm-1": printed},
        slope_kl={rule: -exact.entropy[rule] for rule in RULES},
    )


def rules_table(
    field: GradientField, sampled: SampledScan, objective: Objective | None = None
) -> pd.DataFrame:
    """Measure how good each gradient rule is on the plane, averaged over the grid.

    Returns a row per objective and rule.

    objective: its λ and h are used for MLE, ELBO and SELBO alike; default: the config's.

    Columns: exact slope, the mean length of what the rule gives without noise, nats per radian. cosine
    of that with the true slope. spread of one estimate: its standard deviation, root mean square over
    the grid and both directions. mean error: length of the mean estimate minus the true slope.
    """
    rows = []
    for each in (objective or Objective.of(field.config)).of_each_kind():
        true = field.values("chain-rule", each)
        for rule in RULES:
            exact = field.values(rule, each)
            estimates = sampled.slopes(rule, each)
            mean, error = mean_and_error(estimates)
            spread = error * np.sqrt(estimates.shape[2])
            rows.append(
                {
                    "objective": each.kind.upper(),
                    "rule": rule,
                    "exact slope": _length(exact).mean(),
                    "cosine with the true slope": _cosine(exact, true),
                    "spread of one estimate": np.sqrt((spread**2).mean()),
                    "mean error": _length(mean - true).mean(),
                }
            )
    return pd.DataFrame(rows)


def _length(vectors: Float) -> Float:
    return np.asarray(np.linalg.norm(vectors, axis=-1))


def _cosine(a: Float, b: Float) -> float:
    """The cosine of two fields, each taken as one long vector; NaN where one of them vanishes."""
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / size) if size > 0 else float("nan")
