"""Checks of a run from elsewhere: can its numbers be those of its config?"""

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.config import RunConfig
from qhn_core.model.capacity import has_tables
from qhn_core.training.history import HISTORY_COLUMNS, Rows
from qhn_core.training.loop import LARGEST_ANGLE
from qhn_core.training.state import TrainingState

RANGES = {
    "train_accuracy": (0.0, 1.0),
    "test_accuracy": (0.0, 1.0),
    "train_bce": (0.0, np.inf),
    "test_bce": (0.0, np.inf),
    "gradient_magnitude": (0.0, np.inf),
    "expected_log_likelihood": (-np.inf, 0.0),
}
"""What the columns of a history can be; the others may be any finite number."""
ROUNDING = 1e-9
"""A mean of exact zeros or ones may miss them by so much."""


def require(ok: Any, values: Any, what: str, allowed: str) -> None:
    """Raise ValueError unless all are ok; its message shows the first value that is not."""
    bad = np.asarray(values)[~np.asarray(ok)]
    if bad.size:
        found = f"{bad.flat[0]}" + (f" and {bad.size - 1} more" if bad.size > 1 else "")
        raise ValueError(f"{what}: found {found}; allowed: {allowed}")


def check_state(config: RunConfig, state: TrainingState) -> None:
    """Raise ValueError unless the numbers of a state, of the right shapes, fit the config."""
    where, epochs, patience = "state.npz", config.epochs, config.patience
    require(0 <= state.epoch <= epochs, state.epoch, f"{where}: epoch", f"0 to {epochs}")
    for f in fields(state):
        values = np.asarray(getattr(state, f.name))
        require(np.isfinite(values), values, f"{where}: {f.name}", "finite numbers")
    for values, end, name in (
        (state.samples, 2 ** min(config.n_qubits, 63), "samples"),
        (state.stale_epochs, patience, "stale_epochs"),
        (state.diverged_at, state.epoch + 1, "diverged_at"),
    ):
        require((values >= 0) & (values < end), values, f"{where}: {name}", f"0 to {end - 1}")
    in_order = state.seeds == np.arange(len(state.seeds))
    require(in_order, state.seeds, f"{where}: seeds", f"0 to {config.n_seeds - 1} in order")
    given = np.abs(config.initial_angles or 0.0).max()  # a seed that diverges at once stays there
    largest = max(LARGEST_ANGLE, float(given))
    for name in ("angles", "best_angles"):
        values = getattr(state, name)
        allowed = f"-{largest:g} to {largest:g}"
        require(np.abs(values) <= largest, values, f"{where}: {name}", allowed)
    rates, first = state.learning_rate, config.learning_rate
    require((rates >= 0) & (rates <= first), rates, f"{where}: learning_rate", f"0 to {first}")


def check_history(config: RunConfig, state: TrainingState, rows: Rows | pd.DataFrame) -> None:
    """Raise ValueError unless rows hold finite numbers for every seed and epoch up to the state, once."""
    for column in HISTORY_COLUMNS:
        values = np.asarray(rows[column])
        single = column == "mmd_squared" and config.shots == 1  # eq. (21) needs two
        undefined = single or (column == "exact_objective" and not has_tables(config))
        ok = np.isnan(values) if undefined else np.isfinite(values)
        require(ok, values, f"history.csv: {column}", "nan" if undefined else "finite numbers")
    first_rate = config.learning_rate
    for column, (low, high) in {**RANGES, "learning_rate": (0.0, first_rate)}.items():
        values = np.asarray(rows[column])
        require(
            (values >= low) & (values <= high), values, f"history.csv: {column}", f"{low:g} to {high:g}"
        )
    # A seed has a row for every epoch, up to the one before it diverged.
    last = np.where(state.diverged_at > 0, state.diverged_at - 1, state.epoch)
    needed = sum(last.tolist())
    if len(rows["epoch"]) != needed:
        raise ValueError(
            f"history.csv: {len(rows['epoch'])} rows; the state needs {needed}, one per seed and epoch"
        )
    seeds, epochs = np.asarray(rows["seed"]), np.asarray(rows["epoch"])
    order = np.lexsort((epochs, seeds))
    found = np.stack([seeds[order], epochs[order]], axis=1)
    epochs_of_seed = np.arange(needed) - np.repeat(np.cumsum(last) - last, last) + 1
    expected = np.stack([np.repeat(state.seeds, last), epochs_of_seed], axis=1)
    wrong = np.flatnonzero((found != expected).any(axis=1))
    if wrong.size:
        (seed, epoch), (s, e) = found[wrong[0]], expected[wrong[0]]
        raise ValueError(
            f"history.csv: found seed {seed} epoch {epoch} in place of seed {s} epoch {e}; allowed: each "
            "seed and epoch up to the state, once"
        )
