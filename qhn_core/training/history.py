"""What training reports of each epoch and seed: the columns of the history, in chunks and as a table."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float, Index

Rows = dict[str, Any]
"""History columns as arrays of equal length, one entry for each epoch and seed."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch of S seeds: the columns of the history, each (S,)."""

    seed: Index
    epoch: Index
    objective: Float
    """Nats, as estimated, with the λ of the epoch."""
    expected_log_likelihood: Float
    """Nats."""
    kl: Float
    """Nats."""
    mmd_squared: Float
    gradient_magnitude: Float
    """Mean absolute derivative, nats per radian."""
    learning_rate: Float
    """Of the step that led here."""
    train_bce: Float
    """Nats, as all BCE."""
    train_accuracy: Float
    test_bce: Float
    test_accuracy: Float
    exact_objective: Float
    """Nats; NaN where there is no table of all networks."""

    def columns(self) -> Rows:
        """The row as a chunk of the history."""
        return {name: getattr(self, name) for name in HISTORY_COLUMNS}


HISTORY_COLUMNS = tuple(f.name for f in fields(EpochRow))


def join_rows(rows: list[Rows]) -> Rows:
    """Join chunks of the history; without any, all columns are empty."""
    empty = {c: np.zeros(0, dtype=int if c in ("seed", "epoch") else float) for c in HISTORY_COLUMNS}
    return {c: np.concatenate([empty[c], *(r[c] for r in rows)]) for c in HISTORY_COLUMNS}


def tidy(rows: Rows) -> pd.DataFrame:
    """Turn history rows into a tidy table, sorted by seed and epoch."""
    return pd.DataFrame(rows).sort_values(["seed", "epoch"], ignore_index=True)
