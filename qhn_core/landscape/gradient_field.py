"""The gradient field on a plane, by both rules, kept so that λ and h stay free.

At a point, every q of a circuit with one angle shifted by +-pi/2, eq. (13), gives both. Algorithm 1
takes half the difference of each term of the objective. The chain rule takes half the difference of
q itself, which is dq/dtheta, and from it the derivative of each term.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qhn_core.bits import Float
from qhn_core.circuits.divergences import correlator_spectrum, correlator_weights
from qhn_core.circuits.simulators import row_blocks
from qhn_core.config import RunConfig
from qhn_core.kernels.transforms import row_dots
from qhn_core.landscape.point_terms import PointEvaluator, changed, threads_for
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.objectives.terms import Terms

Rule = Literal["chain-rule", "algorithm-1"]
RULES: tuple[Rule, Rule] = ("chain-rule", "algorithm-1")
NEGLIGIBLE = np.finfo(float).tiny


@dataclass(frozen=True)
class Slopes:
    """Slopes of the exact terms along directions; arrays (...), the last axis but W's the direction.

    The expected log-likelihood is linear in q: both rules give the same.
    """

    config: RunConfig
    expected_log_likelihood: Float
    """Nats per radian, (..., 2)."""
    entropy: dict[Rule, Float]
    """Nats per radian, (..., 2)."""
    correlators: dict[Rule, Float]
    """Of W_0 to W_N, per radian, (..., 2, N + 1)."""

    def values(
        self,
        rule: Rule,
        objective: str,
        regularization: float | None = None,
        bandwidth: float | None = None,
    ) -> Float:
        """What the rule says of the objective's slope, (..., 2), nats per radian.

        λ and h default to the config's. Raises ValueError as `PointTerms.values` does.
        """
        config = changed(self.config, objective, regularization, bandwidth)
        weights = correlator_weights(config.n_qubits, config.h)
        terms = Terms(self.expected_log_likelihood, -self.entropy[rule], self.correlators[rule] @ weights)
        return terms.value(config.objective, config.regularization)


@dataclass(frozen=True)
class GradientField(Slopes):
    """Slopes on a grid of a plane along its two directions: arrays (n, n, 2), as a scan's grids."""

    axis: Float
    """Distances from the plane's center, (n,), radians."""


def gradient_field(
    scan: LandscapeScan, resolution: int = 11, progress: Callable[[int, int], None] | None = None
) -> GradientField:
    """The exact gradient by both rules, projected on the plane of a scan, on a coarser grid of it.

    progress(done, total) counts grid points; an exception that it raises stops the work.

    >>> from qhn_core import LandscapeConfig, scan_landscape
    >>> config = RunConfig(n_hidden=1)
    >>> scan = scan_landscape(config, LandscapeConfig(resolution=11), np.ones(config.angle_shape))
    >>> field = gradient_field(scan, resolution=3)
    >>> mle, elbo = (field.values("algorithm-1", objective) for objective in ("mle", "elbo"))
    >>> mle.shape, np.allclose(mle, elbo)  # with one layer, Algorithm 1 does not see the regulariser
    ((3, 3, 2), True)
    """
    axis, points = coarse_points(scan, resolution)
    evaluate = PointEvaluator(scan.config)
    parts = []
    with ThreadPoolExecutor(threads_for(scan.config)) as pool:
        for slopes in pool.map(lambda theta: gradient_at(evaluate, theta, scan.plane.directions), points):
            parts.append(slopes)
            if progress is not None:
                progress(len(parts), len(points))
    expected, entropies, correlators = join_slopes(parts, resolution)
    return GradientField(scan.config, expected, entropies, correlators, axis)


def coarse_points(scan: LandscapeScan, resolution: int) -> tuple[Float, Float]:
    """(axis (n,), angles (n * n, n_layers, 2, n_qubits)) of a grid of n points a side on a scan's plane."""
    if not 2 <= resolution <= 101:
        raise ValueError(f"resolution={resolution}: allowed are 2 to 101 points along a side")
    axis = np.linspace(scan.axis[0], scan.axis[-1], resolution)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    offsets = np.tensordot(np.stack([x.ravel(), y.ravel()], axis=1), scan.plane.directions, axes=1)
    return axis, scan.plane.center + offsets


def live_steps(theta: Float) -> Float:
    """Unit steps (P, L, 2, n) of all angles (L, 2, n) but the dead ones: the RZ of the first layer."""
    steps = np.eye(theta.size).reshape(-1, *theta.shape)
    return steps[steps[:, 0, 1].sum(axis=1) == 0]


def shift_signs(steps: Float, directions: Float) -> Float:
    """How much of each shifted circuit goes into the slope along each direction: (2, 2 P).

    Half the difference of +shift and -shift, eq. (12), times the angle's part in the direction.
    """
    along = np.tensordot(directions, steps, axes=([1, 2, 3], [1, 2, 3]))
    return np.repeat(along, 2, axis=1) * np.tile([0.5, -0.5], len(steps))


def gradient_at(
    evaluate: PointEvaluator,
    theta: Float,
    directions: Float,
    look: Callable[[slice, Float], None] = lambda rows, q: None,
) -> Slopes:
    """Slopes along directions (2, L, 2, n) at theta (L, 2, n).

    look(rows, q) sees the probabilities (B, 2**n) of the shifted circuits `rows`, flattened to
    (2 P, 2**n), as they pass.
    """
    steps = live_steps(theta)
    signs = shift_signs(steps, directions)
    circuits = theta + (np.pi / 2) * np.stack([steps, -steps], axis=1).reshape(-1, *theta.shape)
    q = evaluate.simulator.probabilities(theta[None])
    dq = np.zeros((2, q.shape[1]))
    expected, entropies, spectra = np.zeros(2), np.zeros(2), np.zeros((2, evaluate.config.n_qubits + 1))
    for rows in row_blocks(len(circuits), 4 + evaluate.config.n_qubits):
        shifted_q = evaluate.simulator.probabilities(circuits[rows])
        look(rows, shifted_q)
        terms = evaluate.terms(circuits[rows], shifted_q)
        dq += signs[:, rows] @ shifted_q
        expected += signs[:, rows] @ terms.expected_log_likelihood
        entropies += signs[:, rows] @ terms.entropy
        spectra += signs[:, rows] @ terms.correlators
    chain_entropy = -row_dots(dq, np.log(np.maximum(q, NEGLIGIBLE)))  # dq sums to 0
    # W_w is a sum of squares, so dW_w is twice one of products: polarised, from sums and differences.
    chain_spectra = (correlator_spectrum(q + dq) - correlator_spectrum(q - dq)) / 2
    return Slopes(
        evaluate.config,
        expected,
        {"chain-rule": chain_entropy, "algorithm-1": entropies},
        {"chain-rule": chain_spectra, "algorithm-1": spectra},
    )


def join_slopes(parts: list[Slopes], resolution: int) -> tuple[Float, dict[Rule, Float], dict[Rule, Float]]:
    """The three fields of many points' slopes, each on the grid (n, n, ...)."""

    def grid(values: list[Float]) -> Float:
        return np.array(values).reshape(resolution, resolution, *values[0].shape)

    return (
        grid([s.expected_log_likelihood for s in parts]),
        {rule: grid([s.entropy[rule] for s in parts]) for rule in RULES},
        {rule: grid([s.correlators[rule] for s in parts]) for rule in RULES},
    )
