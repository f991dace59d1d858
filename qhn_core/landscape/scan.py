"""A scan of a plane, finished or not: its arrays, its identity, its table and its file."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.planes import Plane
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.versions import current_versions

GRIDS = ("expected_log_likelihood", "expected_test_log_likelihood", "entropy", "correlators")
FORMAT = 1
"""Of a saved scan; goes up when its members or their meaning change."""


@dataclass(frozen=True)
class LandscapeScan(PointTerms):
    """What MLE, ELBO and SELBO at any λ and h are made of, at each point of a plane.

    Grids are (n, n), [i, j] at axis[j] along directions[0] and axis[i] along directions[1]; NaN
    where a point is not done yet.
    """

    landscape_config: LandscapeConfig
    plane: Plane
    axis: Float
    """Distances from the plane's center, (n,), radians."""
    done: NDArray[np.bool_]
    """Which points are computed, (n, n)."""
    angles: Float
    """theta* (n_layers, 2, n_qubits), by which the plane was chosen: its center, but for "optima"."""
    seed_row: int
    """The seed of the run that ended in theta*."""

    @property
    def complete(self) -> bool:
        """Whether every point is done."""
        return bool(self.done.all())

    @property
    def key(self) -> str:
        """See `scan_key`."""
        return scan_key(self.config, self.landscape_config, self.angles, self.seed_row)

    def filled(self) -> Self:
        """The scan with the nearest computed values at the points that are not done, to look at."""
        if self.complete or not self.done.any():
            return self
        i, j = distance_transform_edt(~self.done, return_distances=False, return_indices=True)
        grids = {name: getattr(self, name)[i, j] for name in GRIDS}
        return type(self)(**{**vars(self), **grids})


def scan_key(config: RunConfig, landscape_config: LandscapeConfig, angles: Float, seed_row: int) -> str:
    """The identity of a scan: a hash of all that determines it, 32 hexadecimal digits."""
    what = [
        f"{FORMAT} {current_versions()['qhn_core']}",
        config.model_dump_json(),
        landscape_config.model_dump_json(),
        np.ascontiguousarray(angles, dtype="<f8").tobytes().hex(),
        str(int(seed_row)),
    ]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:32]


def scan_table(
    scan: LandscapeScan, regularization: float | None = None, bandwidth: float | None = None
) -> pd.DataFrame:
    """The scan in long form, a row per computed point.

    Columns: x, y (radians from the plane's center), expected_log_likelihood and
    expected_test_log_likelihood (nats, as config.likelihood says), entropy (nats), W_1 to W_N, and
    mle, elbo, selbo (nats) at λ and h, which default to the config's.
    """
    y, x = np.meshgrid(scan.axis, scan.axis, indexing="ij")
    columns = {"x": x, "y": y, **{name: getattr(scan, name) for name in GRIDS[:3]}}
    columns |= {f"W_{w}": scan.correlators[..., w] for w in range(1, scan.correlators.shape[-1])}
    columns |= {name: scan.values(name, regularization, bandwidth) for name in ("mle", "elbo", "selbo")}
    return pd.DataFrame({name: grid[scan.done] for name, grid in columns.items()})
