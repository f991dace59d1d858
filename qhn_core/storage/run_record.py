"""A run as it is stored: its state and history rows as npz, bit for bit."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from qhn_core.circuits.base import samples_shape
from qhn_core.config import RunConfig
from qhn_core.storage.safe_zip import Layout, pack_arrays, unpack_arrays
from qhn_core.training.history import HISTORY_COLUMNS, Rows, tidy
from qhn_core.training.loop import RunResult
from qhn_core.training.optimizers import moments_shape
from qhn_core.training.state import TrainingState

MAX_NAME = 120
ROW = np.dtype([(c, "<i8" if c in ("seed", "epoch") else "<f8") for c in HISTORY_COLUMNS])


@dataclass(frozen=True)
class StoredRun:
    """A run as far as it had come when it was saved, with all that is needed to go on."""

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
    """Wall time that it has run."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of what computed it last: qhn_core, cirq, qsimcirq, numpy, python."""
    imported: bool = False
    """Whether it came in a zip. Nobody here can vouch for its numbers then."""

    def result(self) -> RunResult:
        """Return the run as `train` does; raises ValueError where it has not started."""
        if self.state is None:
            raise ValueError("this run has not started yet")
        return RunResult(self.config, tidy(self.rows), self.state)


def check_name(name: str) -> str:
    """Return the name unchanged; raises ValueError where it is too long or not printable."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"name={name[:40]!r}: it must be at most {MAX_NAME} printable characters")
    return name


def pack_state(config: RunConfig, state: TrainingState) -> bytes:
    """Pack a state as npz, an array for each field in `state_layout`."""
    return pack_arrays({name: np.asarray(getattr(state, name)) for name in state_layout(config)})


def unpack_state(config: RunConfig, data: bytes, where: str = "state.npz") -> TrainingState:
    """Unpack a state, bit for bit; raises ValueError where its arrays do not fit the config."""
    arrays = unpack_arrays(data, state_layout(config), where)
    arrays.setdefault("objective_to_beat", arrays["best_objective"])
    arrays.setdefault("moments", np.zeros((config.n_seeds, *moments_shape(config))))
    return TrainingState(epoch=int(arrays.pop("epoch")), **arrays)


def state_layout(config: RunConfig) -> Layout:
    """Return the dtype and shape of each field that is stored of a state of all seeds of a config.

    What only some configs need is left out for the others. So the states of version 0.2.0, which knew none
    of these configs, are read too.
    """
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
        **({"objective_to_beat": ("<f8", seeds)} if config.plateau == "previous-epoch" else {}),
        **({"moments": ("<f8", (*seeds, *moments_shape(config)))} if moments_shape(config)[0] else {}),
    }


def pack_rows(rows: Rows) -> bytes:
    """Pack history rows as an npz of one table."""
    table = np.empty(len(rows["epoch"]), ROW)
    for column in HISTORY_COLUMNS:
        table[column] = rows[column]
    return pack_arrays({"rows": table})


def unpack_rows(data: bytes, where: str) -> Rows:
    """Unpack history rows, bit for bit; raises ValueError where the columns differ."""
    table = unpack_arrays(data, {"rows": (ROW, (-1,))}, where)["rows"]
    return {column: table[column].copy() for column in HISTORY_COLUMNS}


def pack_angles(state: TrainingState) -> bytes:
    """Pack the best and the last angles of each seed, (S, n_layers, 2, n_qubits), radians, as npz."""
    return pack_arrays({"best": state.best_angles, "last": state.angles})


def new_run_id() -> str:
    """Make an id that nobody can guess, and that no command line takes for an option."""
    while (run_id := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return run_id
