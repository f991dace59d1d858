"""A 41x41 exact landscape with entropy and spectrum, against a plain loop over the same points."""

import numpy as np

import qhn_core as qhn
from tests.benchmarks.bench_simulator import plain_loop
from tests.benchmarks.measure import median_seconds, row

NAIVE_POINTS = 60


def rows() -> list[str]:
    """Time per scan, and how many times longer plain circuits alone would take."""
    out = []
    plane = qhn.LandscapeConfig()
    for n_layers in (1, 2, 3):
        config = qhn.RunConfig(n_layers=n_layers)
        center = np.random.default_rng(0).uniform(0, 2 * np.pi, config.angle_shape)
        seconds = median_seconds(lambda c=config, t=center: qhn.scan_landscape(c, plane, t))
        some = np.tile(center, (NAIVE_POINTS, 1, 1, 1))
        naive = median_seconds(lambda a=some: plain_loop(a), repeats=3) * plane.resolution**2 / NAIVE_POINTS
        out.append(
            row(
                f"41x41 landscape, L={n_layers}",
                f"{seconds:.2f} s",
                "<= 1 s",
                f"{naive / seconds:.0f} x naive",
            )
        )
    return out
