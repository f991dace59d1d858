"""Does regularisation smooth the landscape? Paired measurements over many optima and planes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.comparisons import holm, paired
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.roughness import MEASURES, roughness
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.scanner import scan_landscape
from qhn_core.training.loop import train

STRENGTHS = (0.01, 1.0, 10.0, 100.0)
"""λ of Tables II and III, and one in between."""
NARROW = 1.0
"""A bandwidth h at which MMD² sees correlations of many bits; at the default h, mostly single bits."""
SURFACE = ["objective", "regularization", "bandwidth"]


def measure_planes(
    config: RunConfig,
    landscape_config: LandscapeConfig,
    strengths: Sequence[float] = STRENGTHS,
    bandwidths: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Measure how rough MLE, and ELBO and SELBO at every λ and h, are around the theta* of every seed.

    Each seed of the config is trained to its theta* and gets a plane of its own, made from the seed
    landscape_config.seed + seed. One exact scan of that plane serves all surfaces, so differences between
    surfaces are paired. bandwidths: by default `NARROW` and the config's h. progress(done, total) counts
    planes.

    Returns a row per seed and surface: seed, objective, regularization and bandwidth (NaN where the
    objective has none), and the measures of `roughness`, each scaled by the range of its surface.
    """
    bandwidths = sorted({NARROW, config.h}) if bandwidths is None else bandwidths
    best = train(config).best_angles
    rows = []
    for seed, angles in enumerate(best):
        own = landscape_config.model_copy(update={"seed": landscape_config.seed + seed})
        scan = scan_landscape(config, own, angles, seed_row=seed)
        rows += [{"seed": seed, **row} for row in _surfaces(scan, strengths, bandwidths)]
        if progress is not None:
            progress(seed + 1, len(best))
    return pd.DataFrame(rows)


def _surfaces(
    scan: LandscapeScan, strengths: Sequence[float], bandwidths: Sequence[float]
) -> list[dict[str, Any]]:
    wanted = [("mle", np.nan, np.nan)]
    wanted += [("elbo", strength, np.nan) for strength in strengths]
    wanted += [("selbo", strength, h) for strength in strengths for h in bandwidths]
    spacing = float(scan.axis[1] - scan.axis[0])
    rows = []
    for objective, strength, h in wanted:
        given = [None if np.isnan(value) else value for value in (strength, h)]
        measures = roughness(scan.values(objective, *given), spacing)
        rows.append({"objective": objective, "regularization": strength, "bandwidth": h, **measures})
    return rows


def paired_differences(measured: pd.DataFrame) -> pd.DataFrame:
    """Compare each regularised surface of `measure_planes` with MLE's on the same planes.

    Returns a row per surface and measure: the means of MLE and of the surface; the mean difference
    (surface minus MLE) with its 95 % confidence interval; the shares of planes where the surface's
    measure is smaller and where it is larger; p of the signed-rank test (`comparisons.signed_rank_p`),
    and p_holm, adjusted for all rows at once. Raises ValueError for fewer than 2 planes.

    >>> measured = pd.DataFrame({
    ...     "seed": [0, 1, 2] * 2, "objective": ["mle"] * 3 + ["elbo"] * 3,
    ...     "regularization": [np.nan] * 3 + [1.0] * 3, "bandwidth": [np.nan] * 6,
    ...     **{name: [1.0, 2.0, 3.0, 0.5, 1.5, 2.0] for name in MEASURES},
    ... })
    >>> row = paired_differences(measured).iloc[0]
    >>> print(f"{row.difference:.3f} from {row.low:.3f} to {row.high:.3f}")
    -0.667 from -1.384 to 0.050
    """
    seeds = measured.seed.unique()
    if len(seeds) < 2:
        raise ValueError(f"{len(seeds)} plane: a comparison needs at least 2 (n_seeds)")
    base = measured[measured.objective == "mle"].set_index("seed").loc[seeds]
    rows = []
    for surface, group in measured[measured.objective != "mle"].groupby(SURFACE, dropna=False, sort=False):
        ordered = group.set_index("seed").loc[seeds]
        for name in MEASURES:
            ours, theirs = ordered[name].to_numpy(float), base[name].to_numpy(float)
            named = dict(zip(SURFACE, surface, strict=True))
            rows.append({**named, "measure": name, **_compare(ours, theirs)})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table.p.tolist()))


def short_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Return a line per surface and a column per measure: the change against MLE's mean, in percent.

    A star marks p < 0.05 after Holm's adjustment. The first line has MLE's means.
    """

    def cell(row: pd.Series) -> str:
        change = 100 * row.difference / row.mle if row.mle else np.nan
        return f"{change:+.1f} %{'*' if row.p_holm < 0.05 else ' '}"

    lines = {
        "MLE": {name: f"{mean:.4g}  " for name, mean in compared.groupby("measure").mle.first().items()}
    }
    for _, row in compared.iterrows():
        width = "" if np.isnan(row.bandwidth) else f" h={row.bandwidth:g}"
        line = lines.setdefault(f"{row.objective.upper()} λ={row.regularization:g}{width}", {})
        line[row.measure] = cell(row)
    return pd.DataFrame.from_dict(lines, orient="index")[list(MEASURES)]


def _compare(ours: Float, mle: Float) -> dict[str, float]:
    """Compare one measure over the planes, pair by pair."""
    found = paired(ours, mle)
    return {
        "mle": mle.mean(),
        "mean": ours.mean(),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "smaller": (ours < mle).mean(),
        "larger": (ours > mle).mean(),
        "p": found.p_wilcoxon,
    }
