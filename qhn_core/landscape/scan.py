"""A scan of a plane, finished or not: its arrays, its identity and its table."""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.planes import Plane
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.objectives.terms import Objective
from qhn_core.versions import current_versions

FORMAT = 1
"""Version of the file of a scan; it goes up when the file's members or their meaning change."""


@dataclass(frozen=True)
class LandscapeScan(PointTerms):
    """The terms of MLE, ELBO and SELBO at each point of a plane; `values` combines them at any λ and h.

    Grids are (n, n): [i, j] is at axis[j] along directions[0] and axis[i] along directions[1]. They are
    NaN where a point is not done yet.
    """

    landscape_config: LandscapeConfig
    plane: Plane
    axis: Float
    """Distances from the plane's center, (n,), radians."""
    done: NDArray[np.bool_]
    """Which points are computed, (n, n)."""
    angles: Float
    """theta* (n_layers, 2, n_qubits), by which the plane was chosen; its center, except for "optima"."""
    seed_row: int
    """The seed of the run that ended in theta*."""

    @property
    def complete(self) -> bool:
        """Whether every point is done."""
        return bool(self.done.all())

    @property
    def key(self) -> str:
        """The identity of this scan, as `scan_key` computes it."""
        return scan_key(self.config, self.landscape_config, self.angles, self.seed_row)

    def filled(self) -> Self:
        """Return a scan to look at: a point that is not done gets the values of the nearest one that is."""
        if self.complete or not self.done.any():
            return self
        i, j = distance_transform_edt(~self.done, return_distances=False, return_indices=True)
        grids = {name: getattr(self, name)[i, j] for name in self.FIELDS}
        return replace(self, **grids)


def scan_key(config: RunConfig, landscape_config: LandscapeConfig, angles: Float, seed_row: int) -> str:
    """Compute the identity of a scan: 32 hexadecimal digits, a hash of everything that determines it."""
    what = [
        f"{FORMAT} {current_versions()['qhn_core']}",
        config.model_dump_json(),
        landscape_config.model_dump_json(),
        np.ascontiguousarray(angles, dtype="<f8").tobytes().hex(),
        str(int(seed_row)),
    ]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:32]


def scan_table(scan: LandscapeScan, objective: Objective | None = None) -> pd.DataFrame:
    """List the points of a scan that are computed, in long form: a row for each.

    objective: its λ and h are used for MLE, ELBO and SELBO alike; default: the config's.

    Columns: x, y (radians from the plane's center), expected_log_likelihood and
    expected_test_log_likelihood (nats, as config.likelihood says), entropy (nats), W_1 to W_N,
    regularization (λ) and bandwidth (h), and at these mle, elbo and selbo (nats). λ and h are columns,
    the same in each row, so that `pandas.read_csv` needs no options and tables can be concatenated.
    """
    objective = objective or Objective.of(scan.config)
    y, x = np.meshgrid(scan.axis, scan.axis, indexing="ij")
    columns = {"x": x, "y": y, **{name: getattr(scan, name) for name in scan.FIELDS[:3]}}
    columns |= {f"W_{w}": scan.correlators[..., w] for w in range(1, scan.correlators.shape[-1])}
    columns |= {"regularization": np.full_like(x, objective.strength)}
    columns |= {"bandwidth": np.full_like(x, objective.bandwidth)}
    columns |= {each.kind: scan.exact(each) for each in objective.of_each_kind()}
    return pd.DataFrame({name: grid[scan.done] for name, grid in columns.items()})
