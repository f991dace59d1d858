"""The store of runs: they outlive the process."""

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from qhn_core.config import RunConfig
from qhn_core.storage.database import Database, RunLostError
from qhn_core.storage.run_record import (
    StoredRun,
    check_name,
    new_run_id,
    pack_rows,
    pack_state,
    unpack_rows,
    unpack_state,
)
from qhn_core.storage.scans import ScanStore
from qhn_core.training.history import Rows, join_rows
from qhn_core.training.state import TrainingState
from qhn_core.versions import current_versions

ALIVE = "status IN ('queued', 'running', 'paused')"
UPSERT = """
INSERT INTO runs VALUES (:id, :name, :config, :hash, :words, :status, :message, :created, :updated,
    coalesce(:seconds, 0), :versions, :imported)
ON CONFLICT (id) DO UPDATE SET config = :config, hash = :hash, words = :words, status = :status,
    message = :message, updated = :updated, versions = :versions,
    seconds = coalesce(:seconds, (julianday(:updated) - julianday(created)) * 86400)
"""
LIST = """
SELECT runs.*, coalesce(states.epoch, 0) AS epoch, test_bce, test_accuracy FROM runs
LEFT JOIN states ON states.run_id = runs.id
LEFT JOIN chunks ON chunks.run_id = runs.id
    AND first_epoch = (SELECT max(first_epoch) FROM chunks WHERE run_id = runs.id)
ORDER BY runs.rowid DESC
"""
FINISHED = """
SELECT id, versions FROM runs WHERE hash = ? AND config = ? AND status = 'done' AND NOT imported
ORDER BY rowid DESC
"""


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunInfo:
    """One line of the list of runs."""

    id: str
    name: str
    config: dict[str, Any]
    """As it was saved. Another version may have saved it, so this one may be unable to read it."""
    words: str
    """The config in words."""
    status: str
    message: str
    epoch: int
    created: datetime
    updated: datetime
    seconds: float
    versions: dict[str, str]
    imported: bool
    test_bce: float | None
    """Mean over seeds at the last epoch, nats; None before the first."""
    test_accuracy: float | None


class RunStore:
    """The runs of one computer, and beside them its scans, in the `Database` of a folder.

    Every method raises StoreError where the file cannot be used; then nothing was written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.database = Database(folder)
        self.scans = ScanStore(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def checkpoint(
        self,
        run_id: str,
        config: RunConfig,
        status: str,
        state: TrainingState | None,
        rows: Rows | None,
        message: str = "",
        *,
        seconds: float | None = None,
        wait: float | None = None,
    ) -> None:
        """Save where a run stands, all or nothing.

        state, rows: the new state and the history rows that led to it; None leaves both as they are saved.
        The rows replace saved ones of the same and of later epochs: a chunk may come twice, and a run may
        start again from an earlier state. seconds: wall time of the run; default: the time since its first
        checkpoint. wait: seconds to wait for another program that is writing, see `Database.writing`.

        Raises ValueError for another config than the run's and for rows without a state. Raises StoreError
        also where epochs would be missing: pass all rows since the last checkpoint that worked then.
        """
        now = datetime.now(UTC)
        run = StoredRun(
            config, str(status), state, rows or {}, "", message, now, now, versions=current_versions()
        )
        self._save(run_id, run, seconds, wait)

    def add(self, run: StoredRun) -> str:
        """Save a run that came in a zip, and return its new id.

        It keeps its name, times and versions. `find_finished` never finds it.
        """
        run_id = new_run_id()
        self._save(run_id, run, run.seconds)
        return run_id

    def _save(self, run_id: str, run: StoredRun, seconds: float | None, wait: float | None = None) -> None:
        has_rows = len(run.rows.get("epoch", ())) > 0
        if has_rows and run.state is None:
            raise ValueError(f"run {run_id}: rows without the state that they lead to; pass both")
        values = {
            "id": run_id,
            "name": run.name,
            "config": run.config.model_dump_json(),
            "hash": run.config.hash,
            "words": run.config.in_words(),
            "status": run.status,
            "message": run.message,
            "created": run.created.isoformat(),
            "updated": run.updated.isoformat(),
            "seconds": seconds,
            "versions": json.dumps(run.versions),
            "imported": run.imported,
        }
        npz = None if run.state is None else pack_state(run.config, run.state)
        with self.database.writing(wait) as db:
            old = db.execute("SELECT config FROM runs WHERE id = ?", (run_id,)).fetchone()
            if old is not None and RunConfig.model_validate_json(old["config"]) != run.config:
                raise ValueError(f"run {run_id}: it is saved with another config, {old['config']}")
            db.execute(UPSERT, values)
            if run.state is not None:
                db.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (run_id, run.state.epoch, npz))
                self._put_rows(db, run_id, run.state, run.rows if has_rows else join_rows([]))

    def _put_rows(self, db: sqlite3.Connection, run_id: str, state: TrainingState, rows: Rows) -> None:
        """Make the history end at the state: the saved rows before `rows`, then `rows`."""
        end = last_epoch(state)
        begin = int(rows["epoch"].min()) if len(rows["epoch"]) else end + 1
        stale = "FROM chunks WHERE run_id = ? AND last_epoch >= ?"
        chunks = db.execute(f"SELECT npz {stale}", (run_id, begin)).fetchall()
        db.execute(f"DELETE {stale}", (run_id, begin))
        old = join_rows([unpack_rows(chunk["npz"], "history") for chunk in chunks])
        rows = join_rows([{c: values[old["epoch"] < begin] for c, values in old.items()}, rows])
        epochs = rows["epoch"]
        last = "SELECT coalesce(max(last_epoch), 0) FROM chunks WHERE run_id = ?"
        [saved] = db.execute(last, (run_id,)).fetchone()
        if len(epochs) and epochs.min() == saved + 1:
            scores = [float(rows[c][epochs == epochs.max()].mean()) for c in ("test_bce", "test_accuracy")]
            chunk = (run_id, int(epochs.min()), int(epochs.max()), *scores, pack_rows(rows))
            db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", chunk)
            saved = int(epochs.max())
        if saved != end:
            raise RunLostError(
                f"{self.database.path}: run {run_id} is at epoch {end}, but its saved history would end "
                f"at {saved}: it was deleted, or a checkpoint is missing. Save it with all its rows"
            )

    def load(self, run_id: str) -> StoredRun | None:
        """Return a run, or None where there is no such id; raises RunLostError where it is damaged."""
        with self.database.reading() as db:  # so that all parts are of one checkpoint
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            state = db.execute("SELECT npz FROM states WHERE run_id = ?", (run_id,)).fetchone()
            chunks = db.execute(
                "SELECT npz FROM chunks WHERE run_id = ? ORDER BY first_epoch", (run_id,)
            ).fetchall()
        if row is None:
            return None
        try:
            config = RunConfig.model_validate_json(row["config"])
            return StoredRun(
                config=config,
                state=None if state is None else unpack_state(config, state["npz"], "state"),
                rows=join_rows([unpack_rows(chunk["npz"], "history") for chunk in chunks]),
                **_described(row),
            )
        except (ValueError, TypeError) as error:
            raise RunLostError(
                f"{self.database.path}: run {run_id}, saved with {row['versions']}, cannot be read: "
                f"{error}. Delete it, or use the version of qhn that saved it"
            ) from error

    def runs(self, report: Callable[[str], None] = logger.warning) -> list[RunInfo]:
        """List all runs, the newest first, without their arrays.

        A run whose row is damaged is left out, and report(message) is told its id.
        """
        with self.database.reading() as db:
            rows = db.execute(LIST).fetchall()
        found = []
        for row in rows:
            try:
                found.append(_info(row))
            except (ValueError, TypeError) as error:
                report(
                    f"Run {row['id']} is left out, because its row in {self.database.path} is damaged "
                    f"({error}). `qhn runs delete {row['id']}` removes it"
                )
        return found

    def find_finished(self, config: RunConfig) -> str | None:
        """Return the id of a finished run of this config, or None.

        This version of qhn_core must have computed it here: anybody may have made up the numbers of a zip,
        and another version may have computed others.
        """
        with self.database.reading() as db:
            rows = db.execute(FINISHED, (config.hash, config.model_dump_json())).fetchall()
        ours = current_versions()["qhn_core"]
        for row in rows:
            try:
                if _mapping(row["versions"]).get("qhn_core") == ours:
                    return str(row["id"])
            except ValueError:  # damaged, so nobody knows what computed it
                continue
        return None

    def rename(self, run_id: str, name: str) -> None:
        """Give a run a name; raises ValueError for a bad name or an unknown run."""
        check_name(name)
        with self.database.writing() as db:
            if not db.execute("UPDATE runs SET name = ? WHERE id = ?", (name, run_id)).rowcount:
                raise ValueError(f"run {run_id}: there is no such run")

    def delete(self, run_id: str) -> bool:
        """Remove a run and all that belongs to it; False where it was not there."""
        with self.database.writing() as db:
            return db.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount > 0

    def mark_interrupted(self) -> list[str]:
        """Mark the runs that a dead server left queued, running or paused, and return their ids.

        Only the server that has claimed the folder may do so, before its first job.
        """
        with self.database.writing() as db:
            rows = db.execute(f"SELECT id FROM runs WHERE {ALIVE} ORDER BY rowid").fetchall()
            db.execute(f"UPDATE runs SET status = 'interrupted' WHERE {ALIVE}")
        return [row["id"] for row in rows]


def last_epoch(state: TrainingState) -> int:
    """Return the last epoch with history rows: the state's, or the one before its last seed diverged."""
    alive = (state.diverged_at == 0).any()
    return state.epoch if alive else int(state.diverged_at.max()) - 1


def _mapping(text: str) -> dict[str, Any]:
    """Parse a JSON object; raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"found {text[:40]!r} in place of a JSON object")
    return found


def _info(row: sqlite3.Row) -> RunInfo:
    """Read a row of LIST; raises ValueError or TypeError where it is damaged."""
    own = ("id", "words", "epoch", "test_bce", "test_accuracy")
    return RunInfo(config=_mapping(row["config"]), **{k: row[k] for k in own}, **_described(row))


def _described(row: sqlite3.Row) -> dict[str, Any]:
    """Read the columns that StoredRun and RunInfo have in common."""
    return {
        **{key: row[key] for key in ("name", "status", "message")},
        "seconds": float(row["seconds"]),
        "created": datetime.fromisoformat(row["created"]),
        "updated": datetime.fromisoformat(row["updated"]),
        "versions": _mapping(row["versions"]),
        "imported": bool(row["imported"]),
    }
