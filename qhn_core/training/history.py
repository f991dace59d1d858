"""What training tells of each epoch and seed: the columns of the history, in chunks and as a table."""

from typing import Any

import numpy as np
import pandas as pd

Rows = dict[str, Any]
"""History columns as arrays of equal length, one entry per (epoch, seed)."""

HISTORY_COLUMNS = (
    "seed",
    "epoch",
    "objective",
    "expected_log_likelihood",
    "kl",
    "mmd_squared",
    "gradient_magnitude",
    "learning_rate",
    "train_bce",
    "train_accuracy",
    "test_bce",
    "test_accuracy",
    "exact_objective",
)


def join_rows(rows: list[Rows]) -> Rows:
    """Chunks of history rows as one."""
    empty = {c: np.zeros(0, dtype=int if c in ("seed", "epoch") else float) for c in HISTORY_COLUMNS}
    return {c: np.concatenate([empty[c], *(r[c] for r in rows)]) for c in HISTORY_COLUMNS}


def tidy(rows: Rows) -> pd.DataFrame:
    """History rows as a tidy table, sorted by seed and epoch."""
    return pd.DataFrame(rows).sort_values(["seed", "epoch"], ignore_index=True)
