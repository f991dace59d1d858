"""A run as it is stored: its state and history rows as npz, bit for bit."""

import secrets
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

import numpy as np

from qhn_core.circuits.base import samples_shape
from qhn_core.config import RunConfig
from qhn_core.storage.safe_zip import Layout, pack_arrays, unpack_arrays
from qhn_core.training.history import HISTORY_COLUMNS, Rows, tidy
from qhn_core.training.loop import RunResult
from qhn_core.training.state import TrainingState

MAX_NAME = 120
ROW = np.dtype([(c, "<i8" if c in ("seed", "epoch") else "<f8") for c in HISTORY_COLUMNS])


@dataclass(frozen=True)
class StoredRun:
    """A run as it was saved: as far as it had come, with all that is needed to go on."""

    config: RunConfig
    status: str
    state: TrainingState | None
    rows: Rows
    """The history, in the order in which it was saved."""
    name: str = ""
    message: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    """How long it has run, in seconds of wall time."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of what computed it last: qhn_core, cirq, qsimcirq, numpy, python."""
    imported: bool = False
    """Whether it came in a zip, so that nobody here can vouch for its numbers."""

    def result(self) -> RunResult:
        """The run as `train` returns it; raises ValueError where it has not started."""
        if self.state is None:
            raise ValueError("this run has not started yet")
        return RunResult(self.config, tidy(self.rows), self.state)


def check_name(name: str) -> str:
    """The name of a run, unchanged; raises ValueError where it is too long or not printable."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"name={name[:40]!r}: allowed are up to {MAX_NAME} printable characters")
    return name


def pack_state(state: TrainingState) -> bytes:
    """A state as npz; the same fields as TrainingState."""
    return pack_arrays({f.name: np.asarray(getattr(state, f.name)) for f in fields(state)})


def unpack_state(config: RunConfig, data: bytes, where: str = "state.npz") -> TrainingState:
    """The state, bit for bit; raises ValueError where its arrays are not those of the config."""
    arrays = unpack_arrays(data, state_layout(config), where)
    return TrainingState(epoch=int(arrays.pop("epoch")), **arrays)


def state_layout(config: RunConfig) -> Layout:
    """dtype and shape of each field of a TrainingState of all seeds of a config."""
    seeds = (config.n_seeds,)
    per_seed, angles = ("<i8", seeds), ("<f8", (*seeds, *config.angle_shape))
    return {
        "epoch": ("<i8", ()),
        "seeds": per_seed,
        "angles": angles,
        "best_angles": angles,
        "best_objective": ("<f8", seeds),
        "learning_rate": ("<f8", seeds),
        "stale_epochs": per_seed,
        "samples": ("<i8", (*seeds, *samples_shape(config))),
        "gradient": angles,
        "diverged_at": per_seed,
    }


def pack_rows(rows: Rows) -> bytes:
    """History rows as an npz of one table."""
    table = np.empty(len(rows["epoch"]), ROW)
    for column in HISTORY_COLUMNS:
        table[column] = rows[column]
    return pack_arrays({"rows": table})


def unpack_rows(data: bytes, where: str) -> Rows:
    """History rows, bit for bit; raises ValueError where the columns are others."""
    table = unpack_arrays(data, {"rows": (ROW, (-1,))}, where)["rows"]
    return {column: table[column].copy() for column in HISTORY_COLUMNS}


def pack_angles(state: TrainingState) -> bytes:
    """angles.npz: the best and the last angles of each seed, (S, n_layers, 2, n_qubits), radians."""
    return pack_arrays({"best": state.best_angles, "last": state.angles})


def new_run_id() -> str:
    """An id that can't be guessed, and that a command line does not take for an option."""
    while (run_id := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return run_id
