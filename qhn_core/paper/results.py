"""The results of `qhn reproduce`: collect them from runs, write them, load them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from qhn_core.assets import ASSETS
from qhn_core.config import LandscapeConfig, RunConfig, explain
from qhn_core.figures.style import over_seeds
from qhn_core.landscape.scanner import roughness_table, scan_landscape
from qhn_core.model.references import exhaustive_search
from qhn_core.model.scores import SCORES, score_table
from qhn_core.paper.conventions import METHODS, NETWORKS, Conventions, method_of
from qhn_core.paper.cost import Cost
from qhn_core.training.evaluation import last_epochs, seed_scores
from qhn_core.training.loop import RunResult

SHIPPED = ASSETS / "paper"
CURVES = (
    "objective",
    "expected_log_likelihood",
    "kl",
    "mmd_squared",
    "gradient_magnitude",
    "learning_rate",
    "test_bce",
    "exact_objective",
)
PER_POINT = ("objective", "expected_log_likelihood", "gradient_magnitude")
"""Curves that grow with the number of training points if the likelihood is summed."""
TABLES = {
    "scores": ("run", "seed", "network", *SCORES),
    "curves": ("run", "epoch", *(f"{c}_{f}" for c in CURVES for f in ("mean", "std"))),
    "landscape": ("x", "y", "mle", "elbo", "selbo"),
}
"""The parquet files and their columns."""


class Slice(BaseModel):
    """The plane of Figure 6, through theta* of one seed of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: RunConfig
    landscape_config: LandscapeConfig
    seed: int
    roughness: dict[str, dict[str, float]]
    """Objective -> measure -> value; see `roughness.roughness`."""


class Provenance(BaseModel):
    """The origin of results: the command, the time, the versions, the runs, the cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    command: str
    made: AwareDatetime
    versions: dict[str, str]
    paper: tuple[RunConfig, ...]
    """The runs of Section IV."""
    beyond: tuple[RunConfig, ...]
    """The runs beyond it."""
    exhaustive: dict[str, dict[str, float]]
    """Dataset -> score -> value of the best network on the training set."""
    slice: Slice
    cost: Cost
    epochs_computed: int
    """Epochs that this command computed; the store had the others already."""
    epochs_total: int


@dataclass(frozen=True, eq=False)
class PaperResults:
    """All data of the tables and figures. A run is identified by its place in `configs`."""

    provenance: Provenance
    scores: pd.DataFrame
    """Columns: run, seed, network (how the circuit predicts), train and test BCE (nats) and accuracy."""
    curves: pd.DataFrame
    """Columns: run, epoch, mean and standard deviation over seeds of the history. Section IV only."""
    landscape: pd.DataFrame
    """Exact objectives in nats at the points (x, y), radians, of the plane `provenance.slice`."""

    @cached_property
    def configs(self) -> tuple[RunConfig, ...]:
        """All runs: first those of Section IV, then those beyond it."""
        return self.provenance.paper + self.provenance.beyond

    @property
    def datasets(self) -> list[str]:
        """The datasets of Section IV that were run, in the paper's order."""
        return list(self.provenance.exhaustive)

    def find(self, dataset: str, method: str, conventions: Conventions) -> int | None:
        """Find the run of a method of Section IV under a choice of conventions; None if it was not run."""
        gradient = "chain-rule" if method == "MLE" else conventions.gradient
        likelihood = conventions.likelihood_of(method)
        return self._paper_runs.get((dataset, method, gradient, likelihood))

    @cached_property
    def _paper_runs(self) -> dict[tuple[str, str, str, str], int]:
        runs = enumerate(self.provenance.paper)
        return {(c.dataset, method_of(c), c.gradient, c.likelihood): i for i, c in runs}

    @cached_property
    def _by_run(self) -> dict[tuple[int, str], pd.DataFrame]:
        groups = self.scores.groupby(["run", "network"])
        return {key: rows.set_index("seed").sort_index() for key, rows in groups}

    def seed_scores(self, run: int, network: str, score: str) -> "pd.Series[float]":
        """Return one score of every seed of a run, indexed by seed; empty if all seeds diverged."""
        rows = self._by_run.get((run, network))
        return pd.Series(dtype=float) if rows is None else rows[score]

    def curve(self, run: int) -> pd.DataFrame:
        """Return mean and standard deviation over the seeds of a run, by epoch."""
        return self.curves[self.curves.run == run]

    def curves_per_point(self, dataset: str, conventions: Conventions) -> dict[str, pd.DataFrame]:
        """Return the `curve` of each method of Section IV that was run, by method.

        Objective, likelihood and gradient are divided by the number of training points where the
        likelihood is summed, so that sum and mean compare.
        """
        columns = [f"{name}_{part}" for name in PER_POINT for part in ("mean", "std")]
        found = {}
        for method in METHODS:
            if (run := self.find(dataset, method, conventions)) is not None:
                config, curve = self.configs[run], self.curve(run)
                points = 2 * config.n_train_per_class if config.likelihood == "sum" else 1
                found[method] = curve.assign(**{c: curve[c] / points for c in columns})
        return found


def score_rows(place: int, run: RunResult) -> pd.DataFrame:
    """Make the rows of `PaperResults.scores` of one run."""
    last = last_epochs(run.history).seed.to_numpy()
    parts = []
    scores = seed_scores(run.config, run.history, run.best_angles)
    for network in NETWORKS:
        seeds = last if network == "last epoch" else run.state.seeds
        parts.append(pd.DataFrame({"run": place, "seed": seeds, "network": network, **scores[network]}))
    return pd.concat(parts, ignore_index=True)


def curve_rows(place: int, run: RunResult) -> pd.DataFrame:
    """Make the rows of `PaperResults.curves` of one run."""
    stats = over_seeds({c: run.history[c].to_numpy() for c in ("seed", "epoch", *CURVES)})
    return pd.DataFrame(stats).assign(run=place)[list(TABLES["curves"])]


def exhaustive_scores(runs: Sequence[RunResult]) -> dict[str, dict[str, float]]:
    """Score the network that is best on the training set of each dataset: dataset -> score -> value."""
    configs = {run.config.dataset: run.config for run in runs}
    return {d: vars(exhaustive_search(score_table(c))[1]) for d, c in configs.items()}


def scan_slice(run: RunResult) -> tuple[Slice, pd.DataFrame]:
    """Scan Figure 6: MLE, ELBO and SELBO on one plane through theta* of the best seed of a run."""
    best = int(run.state.best_objective.argmax())
    seed = int(run.state.seeds[best])
    landscape_config = LandscapeConfig()
    scan = scan_landscape(run.config, landscape_config, run.best_angles[best], seed_row=seed)
    y, x = (grid.ravel() for grid in np.meshgrid(scan.axis, scan.axis, indexing="ij"))
    values = {name: scan.values(name).ravel() for name in ("mle", "elbo", "selbo")}
    table = roughness_table(scan)
    rough = {str(c).lower(): {str(k): float(v) for k, v in table[c].items()} for c in table}
    slice_ = Slice(config=run.config, landscape_config=landscape_config, seed=seed, roughness=rough)
    return slice_, pd.DataFrame({"x": x, "y": y, **values})


def save_results(folder: Path, results: PaperResults) -> None:
    """Write about.json and the parquet files into `folder`, over older ones; make it if it is missing.

    Numbers are rounded to single precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        table = getattr(results, name)
        smaller = {
            c: {"f": np.float32, "i": np.int32}[table[c].dtype.kind] for c in table if c != "network"
        }
        table.astype(smaller).to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
    (folder / "about.json").write_text(
        results.provenance.model_dump_json(indent=1) + "\n", encoding="utf-8"
    )


def load_results(folder: Path = SHIPPED) -> PaperResults:
    """Load the results that `qhn reproduce` wrote into `folder`; by default those that ship.

    Raises ValueError, which names the file, its fault, and the command that makes the results anew.
    """
    try:
        provenance = _provenance(folder / "about.json")
        tables = {name: _table(folder / f"{name}.parquet", columns) for name, columns in TABLES.items()}
        known = len(provenance.paper) + len(provenance.beyond)
        for name in ("scores", "curves"):
            if not tables[name].run.between(0, known - 1).all():
                raise ValueError(f"{folder / name}.parquet: holds runs that about.json does not list")
    except ValueError as error:
        advice = f"Make the results anew: qhn reproduce --ship {folder}"
        raise ValueError(f"{error}. {advice}") from error
    return PaperResults(provenance, **tables)


def _provenance(path: Path) -> Provenance:
    try:
        return Provenance.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: can't be read ({error.strerror})") from error
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error)}") from error


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
        raise ValueError(f"{path}: can't be read ({error})") from error
    if missing := sorted(set(columns) - set(table.columns)):
        raise ValueError(f"{path}: the columns {', '.join(missing)} are missing")
    doubles = table.astype({c: np.float64 for c in table if table[c].dtype.kind == "f"})
    wrong = [c for c in doubles.select_dtypes("float64") if not np.isfinite(doubles[c]).all()]
    if wrong:
        raise ValueError(f"{path}: the columns {', '.join(wrong)} hold numbers that are not finite")
    return doubles
