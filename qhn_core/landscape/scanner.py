"""Scan the objective on a plane through theta*, coarse to fine; one scan serves every λ and h."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd

from qhn_core.bits import Float, Index
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.planes import choose_plane
from qhn_core.landscape.point_terms import PointTerms, point_evaluator, threads_for
from qhn_core.landscape.roughness import roughness
from qhn_core.landscape.scan import LandscapeScan, scan_key
from qhn_core.objectives.terms import Objective

MARGIN = 1.4
"""A plane with named points reaches at least this many times as far as they do."""
STAGE_SECONDS = 0.1
"""Seconds between stages, after which a scan can be shown and stopped; one point may take longer."""
BYTES_AT_ONCE = 2**20
"""Bytes of probabilities that a thread works on at once, so that they stay in the cache."""
MOST_AT_ONCE = 64
"""Most points that a thread works on at once."""
LEAST_AT_ONCE = 16
"""Least points that a thread works on at once, for circuits in closed form: they hold no probabilities."""


def scan_in_stages(
    config: RunConfig,
    landscape_config: LandscapeConfig,
    angles: Float,
    seed_row: int = 0,
    start: LandscapeScan | None = None,
) -> Generator[LandscapeScan, None, None]:
    """Scan the plane through theta* = angles (n_layers, 2, n_qubits), exactly, in steps of about 0.1 s.

    Each step yields the scan so far: first a coarse grid over the whole plane, then finer ones. The last
    scan is complete. To cancel, stop iterating. start: a scan of the same arguments that this one
    continues; the result is the same, bit for bit. seed_row: the seed of the run that ended in theta*,
    for planes that look at its training. Raises ValueError for angles or a start that do not fit.

    >>> config = RunConfig(n_hidden=1)
    >>> scans = scan_in_stages(config, LandscapeConfig(resolution=11), np.zeros(config.angle_shape))
    >>> [*scans][-1].complete
    True
    """
    angles = np.asarray(angles, dtype=np.float64)
    if angles.shape != config.angle_shape or not np.isfinite(angles).all():
        raise ValueError(
            f"angles has shape {angles.shape}; they must be finite numbers of shape {config.angle_shape}"
        )
    if start is None:
        start = _nothing_yet(config, landscape_config, angles, seed_row)
    elif start.key != scan_key(config, landscape_config, angles, seed_row):
        raise ValueError(
            "start is a scan of another config, plane, theta* or seed; this scan cannot continue it"
        )
    return _stages(start)


def _stages(scan: LandscapeScan) -> Generator[LandscapeScan, None, None]:
    evaluate = point_evaluator(scan.config)
    least = LEAST_AT_ONCE if scan.config.has_closed_form else 1
    size = min(MOST_AT_ONCE, max(least, BYTES_AT_ONCE // (8 * 2**scan.config.n_qubits)))
    order = coarse_to_fine(len(scan.axis))
    order = order[~scan.done.ravel()[order]]
    blocks = iter([order[i : i + size] for i in range(0, len(order), size)])
    threads = threads_for(scan.config)

    def work(until: float) -> list[tuple[Index, PointTerms]]:
        found = []
        for block in blocks:  # shared by the threads: each takes the next
            found.append((block, evaluate(_points(scan, block))))
            if time.monotonic() > until:
                break
        return found

    with ThreadPoolExecutor(threads) as pool:
        while not scan.complete:
            parts = list(pool.map(work, [time.monotonic() + STAGE_SECONDS] * threads))
            scan = _with(scan, [part for some in parts for part in some])
            if not scan.complete:
                yield scan
    yield scan


def coarse_to_fine(n: int) -> Index:
    """List the points of an n x n grid as flat indices: a coarse grid around the middle, then finer ones.

    >>> np.unravel_index(coarse_to_fine(5)[:9], (5, 5))[0]
    array([0, 0, 0, 2, 2, 2, 4, 4, 4])
    """
    offset = np.abs(np.arange(n) - n // 2)
    strides = 2 ** np.arange(int(np.log2((n - 1) / 2)) + 1)[::-1]
    level = (offset[:, None] % strides != 0).sum(axis=1)  # the number of grids that skip a line
    return np.argsort(np.maximum.outer(level, level), axis=None, kind="stable")


def _nothing_yet(
    config: RunConfig, landscape_config: LandscapeConfig, angles: Float, seed_row: int
) -> LandscapeScan:
    """A scan in which no point is done."""
    plane = choose_plane(config, landscape_config, angles, seed_row)
    radius = max(landscape_config.radius, MARGIN * plane.reach)
    n = landscape_config.resolution
    grid = np.full((n, n), np.nan)
    return LandscapeScan(
        config,
        expected_log_likelihood=grid,
        expected_test_log_likelihood=grid,
        entropy=grid,
        correlators=np.full((n, n, config.n_qubits + 1), np.nan),
        landscape_config=landscape_config,
        plane=plane,
        axis=np.linspace(-radius, radius, n),
        done=np.zeros((n, n), dtype=bool),
        angles=angles,
        seed_row=seed_row,
    )


def _points(scan: LandscapeScan, flat: Index) -> Float:
    """Angles (B, n_layers, 2, n_qubits) of grid points, by their flat indices."""
    i, j = np.unravel_index(flat, scan.done.shape)
    x, y = (scan.axis[k].reshape(-1, 1, 1, 1) for k in (j, i))
    return scan.plane.center + x * scan.plane.directions[0] + y * scan.plane.directions[1]


def _with(scan: LandscapeScan, parts: list[tuple[Index, PointTerms]]) -> LandscapeScan:
    """The scan with more points done."""
    grids = {name: getattr(scan, name).copy() for name in ("done", *PointTerms.FIELDS)}
    for flat, terms in parts:
        where = np.unravel_index(flat, scan.done.shape)
        grids["done"][where] = True
        for name in PointTerms.FIELDS:
            grids[name][where] = getattr(terms, name)
    return replace(scan, **grids)


def scan_landscape(
    config: RunConfig,
    landscape_config: LandscapeConfig,
    angles: Float,
    progress: Callable[[int, int], None] | None = None,
    seed_row: int = 0,
) -> LandscapeScan:
    """Scan the plane through theta* = angles (n_layers, 2, n_qubits), exactly, to the end.

    progress(done, total) counts grid points; an exception that it raises stops the scan. seed_row and
    errors: as of `scan_in_stages`.

    >>> config = RunConfig(n_hidden=1)
    >>> scan = scan_landscape(config, LandscapeConfig(resolution=11), np.zeros(config.angle_shape))
    >>> scan.values("elbo", regularization=2.0).shape
    (11, 11)
    """
    for scan in scan_in_stages(config, landscape_config, angles, seed_row):
        if progress is not None:
            progress(int(scan.done.sum()), scan.done.size)
    return scan


def roughness_table(scan: LandscapeScan, objective: Objective | None = None) -> pd.DataFrame:
    """Measure the `roughness` of MLE, ELBO and SELBO on one plane: a column for each.

    objective: its λ and h are used for all three; default: the config's.
    """
    spacing = float(scan.axis[1] - scan.axis[0])
    kinds = (objective or Objective.of(scan.config)).of_each_kind()
    return pd.DataFrame({each.kind.upper(): roughness(scan.form(each), spacing) for each in kinds})
