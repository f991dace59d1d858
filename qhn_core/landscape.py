"""The objective on a plane through theta*: scanned once, recombined for every λ and h."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.divergences import correlator_spectrum, correlator_weights, entropy
from qhn_core.objectives import Terms
from qhn_core.planes import Plane, choose_plane
from qhn_core.problem import build_problem
from qhn_core.roughness import roughness
from qhn_core.simulators import get_simulator

MARGIN = 1.4
"""A plane with named points is at least so much wider than they reach."""
POINTS_AT_ONCE = 8
"""Few enough that their probabilities stay in the cache."""


@dataclass(frozen=True)
class LandscapeScan:
    """What MLE, ELBO and SELBO at any λ and h are made of, at each point of a plane.

    The objective depends on λ and h only through how these few numbers are weighted, so one scan
    serves all of them. Grids are (n, n), [i, j] at axis[j] along directions[0], axis[i] along [1].
    """

    config: RunConfig
    landscape_config: LandscapeConfig
    plane: Plane
    axis: Float
    """Distances from theta*, (n,), radians."""
    expected_log_likelihood: Float
    """Training set, as config.likelihood says, nats."""
    entropy: Float
    """Nats."""
    correlators: Float
    """W_0 to W_N at each point, (n, n, N + 1); see `divergences.correlator_spectrum`."""

    def values(
        self, objective: str, regularization: float | None = None, bandwidth: float | None = None
    ) -> Float:
        """The exact objective (n, n) in nats; λ and h default to the config's.

        Raises ValueError for an unknown objective, λ < 0 or h <= 0.
        """
        changes = {"objective": objective, "regularization": regularization, "bandwidth": bandwidth}
        kept = {name: value for name, value in changes.items() if value is not None}
        config = RunConfig(**{**self.config.model_dump(), "shots": None, **kept})
        n_qubits = config.n_qubits
        terms = Terms(
            self.expected_log_likelihood,
            n_qubits * np.log(2) - self.entropy,
            self.correlators @ correlator_weights(n_qubits, config.h),
        )
        return terms.value(config.objective, config.regularization)


def scan_landscape(
    config: RunConfig,
    landscape_config: LandscapeConfig,
    angles: Float,
    progress: Callable[[int, int], None] | None = None,
    seed_row: int = 0,
) -> LandscapeScan:
    """Scan the plane through theta* = angles (n_layers, 2, n_qubits), exactly.

    progress(done, total) counts grid points; an exception that it raises stops the scan.
    seed_row: the seed of the run that ended in theta*, for planes that look at its training.

    >>> config = RunConfig(n_hidden=1)
    >>> scan = scan_landscape(config, LandscapeConfig(resolution=11), np.zeros(config.angle_shape))
    >>> scan.values("elbo", regularization=2.0).shape
    (11, 11)
    """
    angles = np.asarray(angles, dtype=np.float64)
    if angles.shape != config.angle_shape or not np.isfinite(angles).all():
        raise ValueError(
            f"angles has shape {angles.shape}; needed are finite numbers of shape {config.angle_shape}"
        )
    problem = build_problem(config)
    simulator = get_simulator(config.simulator, config.n_qubits)
    scale = 1 / len(problem.dataset.y_train) if config.likelihood == "mean" else 1.0
    n = landscape_config.resolution
    plane = choose_plane(config, landscape_config, angles, seed_row)
    radius = max(landscape_config.radius, MARGIN * plane.reach)
    axis = np.linspace(-radius, radius, n)
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))

    def scan_points(start: int) -> tuple[Float, Float, Float]:
        rows = slice(start, start + POINTS_AT_ONCE)
        offsets = np.tensordot(np.stack([x[rows], y[rows]], axis=1), plane.directions, axes=1)
        q = simulator.probabilities(plane.center + offsets)
        return scale * (q @ problem.train_log_likelihood), entropy(q), correlator_spectrum(q)

    parts = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(scan_points, range(0, n * n, POINTS_AT_ONCE)):
            parts.append(part)
            if progress is not None:
                progress(min(len(parts) * POINTS_AT_ONCE, n * n), n * n)
    expected, entropies, correlators = (np.concatenate(column) for column in zip(*parts, strict=True))
    return LandscapeScan(
        config,
        landscape_config,
        plane,
        axis,
        expected.reshape(n, n),
        entropies.reshape(n, n),
        correlators.reshape(n, n, -1),
    )


def roughness_table(
    scan: LandscapeScan, regularization: float | None = None, bandwidth: float | None = None
) -> pd.DataFrame:
    """The measures of `roughness` for MLE, ELBO and SELBO on one plane; λ and h default to the config's."""
    spacing = float(scan.axis[1] - scan.axis[0])
    columns = {
        name.upper(): roughness(scan.values(name, regularization, bandwidth), spacing)
        for name in ("mle", "elbo", "selbo")
    }
    return pd.DataFrame(columns)


def save_scan(path: Path | BinaryIO, scan: LandscapeScan) -> None:
    """Write the scan's arrays and both configs (as JSON text) into an npz file, without pickle."""
    np.savez_compressed(
        path,
        config=np.array(scan.config.model_dump_json()),
        landscape_config=np.array(scan.landscape_config.model_dump_json()),
        center=scan.plane.center,
        directions=scan.plane.directions,
        axis=scan.axis,
        expected_log_likelihood=scan.expected_log_likelihood,
        entropy=scan.entropy,
        correlators=scan.correlators,
    )
