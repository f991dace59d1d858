"""What an optimiser sees of a plane: the objective and both gradient rules from N shots, many times.

Each point and repeat draws from SeedSequence(seed, spawn_key=(point, repeat)) and from nothing else.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    Rule,
    coarse_points,
    gradient_at,
    live_steps,
    shift_signs,
)
from qhn_core.landscape.point_terms import PointEvaluator, changed, threads_for
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.objectives.terms import Terms, log_likelihoods

MOST_SHOTS = 100_000
"""Of one circuit, in all repeats."""


@dataclass(frozen=True)
class SampledScan:
    """Estimates from N shots at each point of a plane, R times over; λ and h stay free.

    The MMD² of samples depends on h only through how many pairs are at each Hamming distance, so
    those shares are kept. KL needs the amplitudes, so it is exact here too (Section III-A).
    """

    config: RunConfig
    axis: Float
    """Distances from the plane's center, (n,), radians."""
    shots: int
    expected_log_likelihood: Float
    """Mean over the shots, (n, n, R), as config.likelihood says, nats."""
    distances: Float
    """Of eq. (21): shares of pairs x x', plus y y', minus twice x y, by distance, (n, n, R, N + 1)."""
    kl: Float
    """Exact, (n, n), nats."""
    slope: Float
    """Of the expected log-likelihood along both directions, (n, n, R, 2), nats per radian."""
    slope_distances: dict[Rule, Float]
    """The same of `distances`, by each rule, (n, n, R, 2, N + 1)."""
    slope_kl: dict[Rule, Float]
    """Exact, by each rule, (n, n, 2)."""

    def values(
        self, objective: str, regularization: float | None = None, bandwidth: float | None = None
    ) -> Float:
        """Estimates of the objective (n, n, R), nats; λ and h default to the config's."""
        config, table = self._with(objective, regularization, bandwidth)
        terms = Terms(self.expected_log_likelihood, self.kl[..., None], self.distances @ table)
        return terms.value(config.objective, config.regularization)

    def slopes(
        self,
        rule: Rule,
        objective: str,
        regularization: float | None = None,
        bandwidth: float | None = None,
    ) -> Float:
        """Estimates of the gradient by a rule, along both directions, (n, n, R, 2), nats per radian."""
        config, table = self._with(objective, regularization, bandwidth)
        terms = Terms(self.slope, self.slope_kl[rule][:, :, None], self.slope_distances[rule] @ table)
        return terms.value(config.objective, config.regularization)

    def _with(
        self, objective: str, regularization: float | None, bandwidth: float | None
    ) -> tuple[RunConfig, Float]:
        config = changed(self.config, objective, regularization, bandwidth)
        return config, kernel_table(config.n_qubits, config.h)


def mean_and_error(estimates: Float) -> tuple[Float, Float]:
    """Mean over the repeats (the third axis) of estimates, and the standard error of that mean.

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
    progress: Callable[[int, int], None] | None = None,
) -> SampledScan:
    """Measure the plane of a scan, on a coarser grid of it, `repeats` times with `shots` each.

    progress(done, total) counts grid points; an exception that it raises stops the work. Raises
    ValueError for numbers out of range.
    """
    if shots < 2 or repeats < 2 or shots * repeats > MOST_SHOTS:
        raise ValueError(
            f"shots={shots}, repeats={repeats}: allowed are at least 2 of each, and a product of at most "
            f"{MOST_SHOTS}"
        )
    axis, points = coarse_points(scan, resolution)
    evaluate = PointEvaluator(scan.config)
    parts: list[tuple[Float, ...]] = []

    def measure(point: int) -> tuple[Float, ...]:
        return _measure(evaluate, points[point], scan.plane.directions, (shots, repeats, seed, point))

    with ThreadPoolExecutor(threads_for(scan.config)) as pool:
        for part in pool.map(measure, range(len(points))):
            parts.append(part)
            if progress is not None:
                progress(len(parts), len(points))
    grids = [
        np.array(column).reshape(resolution, resolution, *column[0].shape)
        for column in zip(*parts, strict=True)
    ]
    expected, distances, kl, slope, chain, printed, chain_kl, printed_kl = grids
    return SampledScan(
        scan.config,
        axis,
        shots,
        expected,
        distances,
        kl,
        slope,
        dict(zip(RULES, (chain, printed), strict=True)),
        dict(zip(RULES, (chain_kl, printed_kl), strict=True)),
    )


def draws(
    config: RunConfig, circuits: int, shots: int, repeats: int, seed: int, point: int
) -> tuple[Index, Float]:
    """Samples of the prior (R, shots) and uniforms (circuits, R, shots), each repeat's from its stream."""
    prior = np.empty((repeats, shots), dtype=np.int64)
    uniforms = np.empty((circuits, repeats, shots))
    for repeat in range(repeats):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(point, repeat)))
        prior[repeat] = rng.integers(2**config.n_qubits, size=shots)
        uniforms[:, repeat] = rng.random((circuits, shots))
    return prior, uniforms


def _measure(
    evaluate: PointEvaluator, theta: Float, directions: Float, plan: tuple[int, int, int, int]
) -> tuple[Float, ...]:
    """The arrays of a SampledScan, in their order, at one point; slopes of the two rules in turn."""
    config, (shots, repeats, seed, point) = evaluate.config, plan
    n_bits, scores = config.n_qubits, log_likelihoods(config, evaluate.problem)
    signs = shift_signs(live_steps(theta), directions)
    prior, uniforms = draws(config, signs.shape[1] + 1, shots, repeats, seed, point)

    def sample(q: Float, rows: slice) -> Index:
        flat = sample_table(q, uniforms[rows].reshape(len(q), -1))
        return flat.reshape(len(q), repeats, shots)

    q = evaluate.simulator.probabilities(theta[None])
    measured = sample(q, slice(0, 1))[0]
    prior_pairs = distances_within(prior, n_bits)
    distances = (
        distances_within(measured, n_bits) + prior_pairs - 2 * distances_between(measured, prior, n_bits)
    )
    slope = np.zeros((repeats, 2))
    chain, printed = np.zeros((2, repeats, 2, n_bits + 1))

    def look(rows: slice, shifted_q: Float) -> None:
        samples = sample(shifted_q, slice(rows.start + 1, rows.stop + 1))
        for sign, some in zip(signs[:, rows].T, samples, strict=True):
            slope[:] += scores[some].mean(axis=1)[:, None] * sign
            # Liu and Wang (2018), arXiv:1804.04168: the derivative of E k(x, x') is 2 E k(x+-, x).
            chain[:] += 2 * distances_between(some, measured, n_bits)[:, None] * sign[:, None]
            pairs = distances_within(some, n_bits) - 2 * distances_between(some, prior, n_bits)
            printed[:] += pairs[:, None] * sign[:, None]

    exact = gradient_at(evaluate, theta, directions, look)
    entropy = evaluate.terms(theta[None], q).entropy[0]
    kl = np.array(n_bits * np.log(2) - entropy)
    expected = scores[measured].mean(axis=1)
    return expected, distances, kl, slope, chain, printed, *(-exact.entropy[rule] for rule in RULES)


def rules_table(
    field: GradientField,
    sampled: SampledScan,
    regularization: float | None = None,
    bandwidth: float | None = None,
) -> pd.DataFrame:
    """How good each gradient rule is on the plane, by objective and rule; averages over the grid.

    exact slope: mean length of what the rule gives without noise, nats per radian. cosine: of that with
    the true slope. spread of one estimate: its standard deviation, root mean square over the grid and
    both directions. mean error: length of the mean estimate minus the true slope.
    """
    rows = []
    for objective in ("mle", "elbo", "selbo"):
        own = (objective, regularization, bandwidth)
        true = field.values("chain-rule", *own)
        for rule in RULES:
            exact = field.values(rule, *own)
            estimates = sampled.slopes(rule, *own)
            mean, error = mean_and_error(estimates)
            spread = error * np.sqrt(estimates.shape[2])
            rows.append(
                {
                    "objective": objective.upper(),
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
    """Of two fields as two long vectors; NaN where one vanishes."""
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float((a * b).sum() / size) if size > 0 else float("nan")
