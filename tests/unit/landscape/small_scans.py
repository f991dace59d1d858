"""Small scans that the tests of a scan's values and of its stages share."""

import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape
from tests.unit import oracles

LAYERS = pytest.mark.parametrize("n_layers", [1, 2])
PLANE = LandscapeConfig(resolution=11, radius=2.0, seed=4)


def configured(**options):
    return RunConfig(**{"n_hidden": 1, "regularization": 20, "bandwidth": 1.2, **options})


def scanned(plane=PLANE, **options):
    config = configured(**options)
    return scan_landscape(config, plane, oracles.random_angles(0, *config.angle_shape))


def point(scan, i, j):
    first, second = scan.plane.directions
    return scan.plane.center + scan.axis[j] * first + scan.axis[i] * second
