"""Lines through a landscape: the path of the training, and straight lines between optima."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.circuits.simulators import row_blocks
from qhn_core.config import RunConfig
from qhn_core.landscape.planes import nearest_equivalent, retrain_trajectory, trained_optima
from qhn_core.landscape.point_terms import PointTerms, point_evaluator
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.objectives.terms import KINDS, Objective

LINE_POINTS = 101
"""Points at which a line between two optima is evaluated."""


@dataclass(frozen=True)
class TrainingPath:
    """Where a run was after each epoch, seen from a plane: (E,) arrays, the first before epoch 1.

    Many angles make the same circuit; those nearest to the plane's center are used
    (`nearest_equivalent`).
    """

    x: Float
    """Of the projection, along the plane's first direction, radians."""
    y: Float
    """Of the projection, along the second direction, radians."""
    distance: Float
    """From the plane, radians: what the projection hides."""
    at: PointTerms
    """The terms where the run was."""
    projected: PointTerms
    """The terms at the projection, which is the nearest point on the plane."""

    def table(self, objective: Objective) -> pd.DataFrame:
        """List the epochs: epoch, x, y, distance (radians), value and value_on_plane (exact, nats)."""
        return pd.DataFrame(
            {
                "epoch": np.arange(len(self.x)),
                "x": self.x,
                "y": self.y,
                "distance": self.distance,
                "value": self.at.exact(objective),
                "value_on_plane": self.projected.exact(objective),
            }
        )


def training_path(scan: LandscapeScan, config: RunConfig | None = None) -> TrainingPath:
    """Project the training that ended in the scan's theta* on the scan's plane.

    The run of the seed scan.seed_row is trained again. config: of that run, if its objective, λ or h
    differ from the scan's; default: the scan's.
    """
    config = config or scan.config
    center, directions = scan.plane.center, scan.plane.directions
    angles = nearest_equivalent(retrain_trajectory(config, scan.seed_row), center)
    live = directions.copy()
    live[:, 0, 1] = 0.0  # dead angles change no circuit: distances leave them out
    offsets = (angles - center).reshape(len(angles), -1)
    coordinates = offsets @ np.linalg.pinv(live.reshape(2, -1))
    on_plane = center + np.tensordot(coordinates, directions, axes=1)
    distance = np.linalg.norm(offsets - coordinates @ live.reshape(2, -1), axis=1)
    x, y = coordinates.T
    return TrainingPath(x, y, distance, terms_at(config, angles), terms_at(config, on_plane))


def terms_at(config: RunConfig, angles: Float) -> PointTerms:
    """Compute the exact terms (B,) at angles (B, n_layers, 2, n_qubits), a block at a time."""
    evaluate = point_evaluator(config)
    parts = [evaluate(angles[block]) for block in row_blocks(len(angles), config.n_qubits)]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in PointTerms.FIELDS}
    return PointTerms(config, **arrays)


def barriers(config: RunConfig, seed_row: int = 0) -> pd.DataFrame:
    """Measure the barriers on the straight lines between MLE*, ELBO* and SELBO*.

    The three are trained from the same initial angles, with the config's λ and h. Many angles make the
    circuit of a line's second optimum; the line ends at the nearest of them. The table has a row for each
    pair and objective: distance (radians), the values at both ends and the lowest on the line (nats),
    barrier, and dip.

    barrier: mean of the ends minus the lowest value. For a maximised objective this is the error
    barrier height of Frankle et al. (2020), arXiv:1912.05671. dip: the lower end minus the lowest
    value, zero where the line never falls below its ends (compare Draxler et al. 2018,
    arXiv:1803.00885, who bend the line).
    """
    best = trained_optima(config, seed_row)
    t = np.linspace(0, 1, LINE_POINTS)
    rows = []
    for first, second in combinations(KINDS, 2):
        step = nearest_equivalent(best[second], best[first]) - best[first]
        line = terms_at(config, best[first] + t[:, None, None, None] * step)
        for objective in KINDS:
            values = line.values(objective)
            start, end, lowest = float(values[0]), float(values[-1]), float(values.min())
            rows.append(
                {
                    "from": f"{first.upper()}*",
                    "to": f"{second.upper()}*",
                    "objective": objective.upper(),
                    "distance": float(np.linalg.norm(step)),
                    "start": start,
                    "end": end,
                    "lowest": lowest,
                    "barrier": (start + end) / 2 - lowest,
                    "dip": min(start, end) - lowest,
                }
            )
    return pd.DataFrame(rows)
