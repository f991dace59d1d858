"""Runs and scans that outlive the process: an SQLite file, and a folder of files for the command line.

What is saved at once is saved in one transaction, so a crash at any moment leaves either the last
checkpoint or the next. Nothing is pickled.
"""

import errno
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from qhn_core.config import RunConfig, new_run_id
from qhn_core.exchange import (
    StoredRun,
    check_name,
    current_versions,
    pack_angles,
    pack_rows,
    pack_state,
    unpack_rows,
    unpack_state,
)
from qhn_core.scans import LandscapeScan, pack_scan, unpack_scan
from qhn_core.training import Rows, RunResult, TrainingState, join_rows

SCHEMA_VERSION = 2
"""Goes up when the tables, HISTORY_COLUMNS or the fields of TrainingState change."""
BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""
SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, config TEXT NOT NULL, hash TEXT NOT NULL, words TEXT NOT NULL,
    status TEXT NOT NULL, message TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    seconds REAL NOT NULL, versions TEXT NOT NULL, imported INTEGER NOT NULL);
CREATE INDEX runs_by_hash ON runs (hash);
CREATE TABLE states (
    run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL, npz BLOB NOT NULL);
CREATE TABLE chunks (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_epoch INTEGER NOT NULL, last_epoch INTEGER NOT NULL,
    test_bce REAL, test_accuracy REAL, npz BLOB NOT NULL,
    PRIMARY KEY (run_id, first_epoch));
"""
"""Version 1. test_bce and test_accuracy are means over the seeds at the last epoch of the chunk."""
SCANS_SCHEMA = "CREATE TABLE scans (key TEXT PRIMARY KEY, updated TEXT NOT NULL, npz BLOB NOT NULL)"
SCHEMAS = {1: SCHEMA, 2: SCANS_SCHEMA}
"""What each version adds to the one before."""
WRITABLE = "Make the folder writable, or set QHN_HOME to one that is"
DAMAGED = (
    "The file is damaged and was left as it is. To start an empty store, move it away, together with the "
    "files beside it that end in -wal and -shm"
)
OTHERWISE = "The store cannot be used as it is. Set QHN_HOME to another folder to start an empty one"
ADVICE = {
    sqlite3.SQLITE_FULL: "Free some space, or set QHN_HOME to a folder on another disk",
    sqlite3.SQLITE_IOERR: "The disk failed, or is full. Set QHN_HOME to a folder on another disk",
    sqlite3.SQLITE_READONLY: WRITABLE,
    sqlite3.SQLITE_CANTOPEN: WRITABLE,
    sqlite3.SQLITE_PERM: WRITABLE,
    sqlite3.SQLITE_BUSY: "Another program is writing to it. Close that one, or try again",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}
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
MAX_SCANS_BYTES = 200_000_000
"""Of all scans together; the oldest go first. A 51x51 one at 14 qubits has 0.4 MB."""
DROP_OLD_SCANS = """
DELETE FROM scans WHERE key IN (SELECT key FROM (
    SELECT key, sum(length(npz)) OVER (ORDER BY updated DESC, key) AS total FROM scans) WHERE total > ?)
"""
FINISHED = """
SELECT id, versions FROM runs WHERE hash = ? AND config = ? AND status = 'done' AND NOT imported
ORDER BY rowid DESC
"""


class StoreError(RuntimeError):
    """The store cannot be used, or not now: what happened, to which file, and what to do."""


class RunLostError(StoreError):
    """One run or scan cannot be saved or read; the others can."""


@dataclass(frozen=True)
class RunInfo:
    """A line of the list of runs."""

    id: str
    name: str
    config: dict[str, Any]
    """As saved: perhaps by a version whose configs this one cannot read."""
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


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def default_folder() -> Path:
    """QHN_HOME, or the folder for data that this system gives its user."""
    if home := os.environ.get("QHN_HOME"):
        return Path(home).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "qhn"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "qhn"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qhn"


class RunStore:
    """The runs of one computer: one file, runs.sqlite3, for all threads and processes that want it.

    folder: where the file is, made if missing; default: `default_folder()`. Not on a network
    drive, where SQLite's write-ahead log does not work. Every method raises StoreError where the
    file cannot be used; then nothing was written. Opening changes nothing that the file holds; to a
    file of an older version it adds the tables that are new.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            self.path = (folder or default_folder()) / "runs.sqlite3"
        except RuntimeError as error:  # a user without a home
            raise StoreError(f"no folder for the runs: {error}. Set QHN_HOME to one") from error
        self._lock = threading.RLock()
        self._claim: sqlite3.Connection | None = None
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One connection for all threads, behind the lock; transactions are begun by hand.
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        self._db.row_factory = sqlite3.Row
        # Tables first, version second: another process may be making them, both at once.
        tables = self._one("SELECT count(*) FROM sqlite_master")
        found = self._one("PRAGMA user_version")
        if found > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: written by a newer version of qhn (schema {found}; this one knows up to "
                f"{SCHEMA_VERSION}), and left as it is. Update qhn, or set QHN_HOME to another folder"
            )
        if tables and not found:
            raise StoreError(f"{self.path}: another program's SQLite file, left as it is. {OTHERWISE}")
        if (problem := self._one("PRAGMA quick_check(1)")) != "ok":
            raise StoreError(f"{self.path}: {problem}. {DAMAGED}")
        self._switch_to_write_ahead_log()
        # NORMAL: no wait for the disk at each commit. A killed process loses nothing, since the
        # system has the data; a power cut may lose the last checkpoints, whole ones, never the file.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as db:
            for added in range(self._one("PRAGMA user_version") + 1, SCHEMA_VERSION + 1):
                for statement in SCHEMAS[added].split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {added}")

    def _switch_to_write_ahead_log(self) -> None:
        """So that readers never wait for the writer. SQLite does not wait for this lock, so we do."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

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
    ) -> None:
        """Save where a run stands, all or nothing.

        state, rows: the new state and the history rows that led to it; None leaves both as saved.
        Rows of epochs that are saved already replace them, and later ones go, so a chunk may come
        twice and a run may start again from an earlier state. seconds: how long the run has run;
        default: since its first checkpoint.

        Raises ValueError for another config than the run's, or rows without a state, and StoreError
        also where epochs would be missing: then pass all rows since the last checkpoint that worked.
        """
        now = datetime.now(UTC)
        run = StoredRun(
            config, str(status), state, rows or {}, "", message, now, now, versions=current_versions()
        )
        self._save(run_id, run, seconds)

    def add(self, run: StoredRun) -> str:
        """Save a run that came in a zip, under a new id, which is returned.

        It keeps its name, times and versions, and `find_finished` never answers with it.
        """
        run_id = new_run_id()
        self._save(run_id, run, run.seconds)
        return run_id

    def _save(self, run_id: str, run: StoredRun, seconds: float | None) -> None:
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
        npz = None if run.state is None else pack_state(run.state)
        with self._transaction() as db:
            old = db.execute("SELECT config FROM runs WHERE id = ?", (run_id,)).fetchone()
            if old is not None and RunConfig.model_validate_json(old["config"]) != run.config:
                raise ValueError(f"run {run_id}: it is saved with another config, {old['config']}")
            db.execute(UPSERT, values)
            if run.state is not None:
                db.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (run_id, run.state.epoch, npz))
                self._put_rows(db, run_id, run.state, run.rows if has_rows else join_rows([]))

    def _put_rows(self, db: sqlite3.Connection, run_id: str, state: TrainingState, rows: Rows) -> None:
        """Make the history end at the state: what is saved before `rows`, then `rows`."""
        end = last_epoch(state)
        begin = int(rows["epoch"].min()) if len(rows["epoch"]) else end + 1
        stale = "FROM chunks WHERE run_id = ? AND last_epoch >= ?"
        chunks = db.execute(f"SELECT npz {stale}", (run_id, begin)).fetchall()
        db.execute(f"DELETE {stale}", (run_id, begin))
        old = join_rows([unpack_rows(chunk["npz"], "history") for chunk in chunks])
        rows = join_rows([{c: values[old["epoch"] < begin] for c, values in old.items()}, rows])
        epochs = rows["epoch"]
        saved = self._one("SELECT coalesce(max(last_epoch), 0) FROM chunks WHERE run_id = ?", run_id)
        if len(epochs) and epochs.min() == saved + 1:
            scores = [float(rows[c][epochs == epochs.max()].mean()) for c in ("test_bce", "test_accuracy")]
            chunk = (run_id, int(epochs.min()), int(epochs.max()), *scores, pack_rows(rows))
            db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", chunk)
            saved = int(epochs.max())
        if saved != end:
            raise RunLostError(
                f"{self.path}: run {run_id} is at epoch {end}, but its saved history would end at {saved}: "
                "it was deleted, or a checkpoint is missing. Save it with all its rows"
            )

    def load(self, run_id: str) -> StoredRun | None:
        """The run, or None where there is no such id."""
        with self._transaction("DEFERRED") as db:  # so that all parts are of one checkpoint
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
        except ValueError as error:
            raise RunLostError(
                f"{self.path}: run {run_id}, saved with {row['versions']}, cannot be read: {error}. "
                "Delete it, or use the version of qhn that saved it"
            ) from error

    def runs(self) -> list[RunInfo]:
        """All runs, the newest first, without their arrays."""
        with self._transaction("DEFERRED") as db:
            rows = db.execute(LIST).fetchall()
        own = ("id", "words", "epoch", "test_bce", "test_accuracy")
        return [
            RunInfo(config=json.loads(row["config"]), **{k: row[k] for k in own}, **_described(row))
            for row in rows
        ]

    def find_finished(self, config: RunConfig) -> str | None:
        """The id of a finished run of this config, or None.

        Only one that this version of qhn_core computed here: not one from a zip, whose numbers
        could be anybody's, and not one from before a change that may have changed them.
        """
        with self._transaction("DEFERRED") as db:
            rows = db.execute(FINISHED, (config.hash, config.model_dump_json())).fetchall()
        ours = current_versions()["qhn_core"]
        return next(
            (row["id"] for row in rows if json.loads(row["versions"]).get("qhn_core") == ours), None
        )

    def rename(self, run_id: str, name: str) -> None:
        """Give a run a name; raises ValueError for a bad name or an unknown run."""
        check_name(name)
        with self._transaction() as db:
            if not db.execute("UPDATE runs SET name = ? WHERE id = ?", (name, run_id)).rowcount:
                raise ValueError(f"run {run_id}: there is no such run")

    def delete(self, run_id: str) -> bool:
        """Remove a run and all that belongs to it; False where it was not there."""
        with self._transaction() as db:
            return db.execute("DELETE FROM runs WHERE id = ?", (run_id,)).rowcount > 0

    def save_scan(self, scan: LandscapeScan) -> None:
        """Save a scan, finished or not, in the place of an earlier state of the same."""
        values = (scan.key, datetime.now(UTC).isoformat(), pack_scan(scan))
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO scans VALUES (?, ?, ?)", values)
            db.execute(DROP_OLD_SCANS, (MAX_SCANS_BYTES,))

    def load_scan(self, key: str) -> LandscapeScan | None:
        """The scan of this `scan_key` as far as it came, or None; RunLostError where it is damaged."""
        with self._transaction("DEFERRED") as db:
            row = db.execute("SELECT npz FROM scans WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            scan = unpack_scan(row["npz"], f"{self.path}: landscape {key}")
            if scan.key != key:
                raise ValueError(f"{self.path}: landscape {key} holds another one, {scan.key}")
        except ValueError as error:
            raise RunLostError(f"{error}. It can be scanned again") from error
        return scan

    def claim(self) -> bool:
        """Become the server of this folder, until this store is closed; False where another one lives.

        A lock of SQLite's on a file beside the runs: it ends with the process, however that ends.
        """
        lock = self.path.with_name("server.lock")
        with self._lock, _explained(lock):
            self._claim = sqlite3.connect(lock, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                self._claim.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                self._claim.close()
                if not _is_busy(error):
                    raise
                return False
            return True

    def mark_interrupted(self) -> list[str]:
        """Runs that a dead server left queued, running or paused become "interrupted": their ids.

        For the server that has claimed the folder, before its first job; nobody else's business.
        """
        with self._transaction() as db:
            rows = db.execute(f"SELECT id FROM runs WHERE {ALIVE} ORDER BY rowid").fetchall()
            db.execute(f"UPDATE runs SET status = 'interrupted' WHERE {ALIVE}")
        return [row["id"] for row in rows]

    def close(self) -> None:
        """Close the file; harmless twice."""
        with self._lock, _explained(self.path):
            self._db.close()
            if self._claim is not None:
                self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, query: str, *values: Any) -> Any:
        return self._db.execute(query, values).fetchone()[0]

    @contextmanager
    def _transaction(self, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it; IMMEDIATE, since a read that turns into a write can fail."""
        with self._lock, _explained(self.path):
            self._db.execute(f"BEGIN {mode}")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise


def last_epoch(state: TrainingState) -> int:
    """The last epoch with history rows: the state's, or the one before its last seed diverged."""
    alive = (state.diverged_at == 0).any()
    return state.epoch if alive else int(state.diverged_at.max()) - 1


def _described(row: sqlite3.Row) -> dict[str, Any]:
    """What a StoredRun and a RunInfo say alike."""
    return {
        **{key: row[key] for key in ("name", "status", "message", "seconds")},
        "created": datetime.fromisoformat(row["created"]),
        "updated": datetime.fromisoformat(row["updated"]),
        "versions": json.loads(row["versions"]),
        "imported": bool(row["imported"]),
    }


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system, as StoreErrors."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF  # the rest is detail
        raise StoreError(f"{path}: {error}. {ADVICE.get(code, OTHERWISE)}") from error
    except OSError as error:
        code = sqlite3.SQLITE_FULL if error.errno == errno.ENOSPC else sqlite3.SQLITE_CANTOPEN
        raise StoreError(f"{path}: {error.strerror}. {ADVICE[code]}") from error


def save_run(folder: Path, result: RunResult) -> None:
    """Write config.json, history.parquet and angles.npz (best, last) into `folder`, made if missing.

    Raises FileExistsError where the folder already holds a run, so that none is overwritten.
    """
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a run; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    result.history.to_parquet(folder / "history.parquet", index=False)
    (folder / "angles.npz").write_bytes(pack_angles(result.state))
    (folder / "config.json").write_text(result.config.model_dump_json(indent=2) + "\n")
