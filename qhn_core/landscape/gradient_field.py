"""The gradient field on a plane, by both rules, kept so that λ and h stay free.

At a point, every q of a circuit with one angle shifted by +-pi/2, eq. (13), gives both. Algorithm 1
takes half the difference of each term of the objective. The chain rule takes half the difference of
q itself, which is dq/dtheta, and from it the derivative of each term.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import numpy as np

from qhn_core.bits import Float
from qhn_core.circuits.divergences import correlator_spectrum, correlator_weights, safe_log
from qhn_core.circuits.simulators import row_blocks
from qhn_core.config import RunConfig
from qhn_core.kernels.transforms import row_dots
from qhn_core.landscape.point_terms import PointEvaluator, checked, point_evaluator, threads_for
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.objectives.terms import Objective, Terms

Rule = Literal["chain-rule", "algorithm-1"]
RULES: tuple[Rule, Rule] = ("chain-rule", "algorithm-1")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""progress(done, total): how many points are done, and how many there are."""


@dataclass(frozen=True)
class Slopes:
    """Slopes of the exact terms along two directions: arrays (..., 2), but correlators (..., 2, N + 1).

    The expected log-likelihood is linear in q, so both rules give the same slope of it.
    """

    expected_log_likelihood: Float
    """Nats per radian."""
    entropy: dict[Rule, Float]
    """Nats per radian."""
    correlators: dict[Rule, Float]
    """Of W_0 to W_N, per radian."""


@dataclass(frozen=True)
class GradientField(Slopes):
    """Slopes on a grid of a plane along its two directions: arrays (n, n, 2), as a scan's grids."""

    config: RunConfig
    axis: Float
    """Distances from the plane's center, (n,), radians."""

    def values(self, rule: Rule, objective: Objective) -> Float:
        """Compute the slope (n, n, 2) that a rule gives of an objective, nats per radian.

        Raises ValueError where λ makes slopes so large that their lengths overflow.
        """
        weights = correlator_weights(self.config.n_qubits, objective.bandwidth)
        terms = Terms(self.expected_log_likelihood, -self.entropy[rule], self.correlators[rule] @ weights)
        return checked(terms.value(objective), objective)


def gradient_field(
    scan: LandscapeScan, resolution: int = 11, progress: Progress | None = None
) -> GradientField:
    """Compute the exact gradient by both rules on the plane of a scan, on a grid of its own.

    resolution: points along a side, 2 to 101. progress(done, total) counts grid points; an exception
    that it raises stops the work.

    >>> from qhn_core import LandscapeConfig, scan_landscape
    >>> config = RunConfig(n_hidden=1)
    >>> scan = scan_landscape(config, LandscapeConfig(resolution=11), np.ones(config.angle_shape))
    >>> field = gradient_field(scan, resolution=3)
    >>> mle, elbo, _ = (field.values("algorithm-1", o) for o in Objective.of(config).of_each_kind())
    >>> mle.shape, np.allclose(mle, elbo)  # with one layer, Algorithm 1 does not see the regulariser
    ((3, 3, 2), True)
    """
    evaluate = point_evaluator(scan.config)

    def slopes(point: int, theta: Float) -> Slopes:
        return gradient_at(evaluate, theta, scan.plane.directions)

    axis, parts = at_each_point(scan, resolution, slopes, progress)
    return GradientField(**on_grid(parts), config=scan.config, axis=axis)


def at_each_point(
    scan: LandscapeScan,
    resolution: int,
    work: Callable[[int, Float], Result],
    progress: Progress | None,
) -> tuple[Float, list[Result]]:
    """Return (axis (n,), results of work(point, angles)) at all points of a grid of n points a side.

    The points are counted from 0; threads share the work.
    """
    axis, points = coarse_points(scan, resolution)
    results: list[Result] = []
    with ThreadPoolExecutor(threads_for(scan.config)) as pool:
        for result in pool.map(work, range(len(points)), points):
            results.append(result)
            if progress is not None:
                progress(len(results), len(points))
    return axis, results


def on_grid(parts: list[Any]) -> dict[str, Any]:
    """Turn the results at all n * n points of a grid into arrays (n, n, ...), by the name of their field.

    parts: objects of one dataclass; its fields are arrays or dictionaries of arrays.
    """
    side = round(len(parts) ** 0.5)

    def grid(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: grid([value[key] for value in values]) for key in values[0]}
        return np.array(values).reshape(side, side, *np.shape(values[0]))

    return {field.name: grid([getattr(part, field.name) for part in parts]) for field in fields(parts[0])}


def coarse_points(scan: LandscapeScan, resolution: int) -> tuple[Float, Float]:
    """Return (axis (n,), angles (n * n, n_layers, 2, n_qubits)) of a grid on a scan's plane.

    resolution: n, points along a side. Raises ValueError unless it is 2 to 101.
    """
    if not 2 <= resolution <= 101:
        raise ValueError(f"resolution={resolution}: must be 2 to 101 points along a side")
    axis = np.linspace(scan.axis[0], scan.axis[-1], resolution)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    offsets = np.tensordot(np.stack([x.ravel(), y.ravel()], axis=1), scan.plane.directions, axes=1)
    return axis, scan.plane.center + offsets


def live_steps(theta: Float) -> Float:
    """Return unit steps (P, L, 2, n) of all angles (L, 2, n) except the RZ of layer 1, which do nothing."""
    steps = np.eye(theta.size).reshape(-1, *theta.shape)
    return steps[steps[:, 0, 1].sum(axis=1) == 0]


def shift_signs(steps: Float, directions: Float) -> Float:
    """Return the weight of each shifted circuit in the slope along each direction: (2, 2 P).

    By the parameter-shift rule, eq. (12), the slope by an angle is half the difference of its circuits at
    +pi/2 and -pi/2. It is multiplied by the direction's component along that angle.
    """
    along = np.tensordot(directions, steps, axes=([1, 2, 3], [1, 2, 3]))
    return np.repeat(along, 2, axis=1) * np.tile([0.5, -0.5], len(steps))


def gradient_at(
    evaluate: PointEvaluator,
    theta: Float,
    directions: Float,
    look: Callable[[slice, Float], None] = lambda rows, q: None,
) -> Slopes:
    """Compute the slopes along directions (2, L, 2, n) at theta (L, 2, n).

    look(rows, q) is called with the probabilities (B, 2**n) of each block of shifted circuits; `rows`
    says which of the 2 P circuits they are.
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
        terms = evaluate(circuits[rows], shifted_q)
        dq += signs[:, rows] @ shifted_q
        expected += signs[:, rows] @ terms.expected_log_likelihood
        entropies += signs[:, rows] @ terms.entropy
        spectra += signs[:, rows] @ terms.correlators
    chain_entropy = -row_dots(dq, safe_log(q))  # dq sums to 0
    # W_w is a sum of squares, so dW_w is twice one of products: polarised, from sums and differences.
    chain_spectra = (correlator_spectrum(q + dq) - correlator_spectrum(q - dq)) / 2
    return Slopes(
        expected,
        {"chain-rule": chain_entropy, "algorithm-1": entropies},
        {"chain-rule": chain_spectra, "algorithm-1": spectra},
    )
