"""The SQLite file of runs and scans: its tables, its locks, and its errors in words.

A checkpoint is one transaction, so a crash at any moment leaves either the last checkpoint or the next.
"""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

SCHEMA_VERSION = 2
"""Goes up when the tables, HISTORY_COLUMNS or the fields of TrainingState change."""
BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""
READ_SECONDS = 1.0
"""How long a reader waits: only a program that has the whole file for itself makes it wait at all."""
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


class StoreError(RuntimeError):
    """The store cannot be used, or not now; the message says what happened, where, and what to do."""


class StoreBusyError(StoreError):
    """Another program is writing to the store now; later it will work."""


class RunLostError(StoreError):
    """One run or scan cannot be saved or read; the others can."""


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def default_folder() -> Path:
    """QHN_HOME, or else the folder that this system has for the data of a user's programs."""
    if home := os.environ.get("QHN_HOME"):
        return Path(home).expanduser()
    return platformdirs.user_data_path("qhn", appauthor=False).expanduser()  # fails where there is no home


class Database:
    """Open the file runs.sqlite3, which all threads and processes of a computer may use at once.

    folder: where the file is, made if missing; default: `default_folder()`. It must not be on a network
    drive, where SQLite's write-ahead log does not work. Every method raises StoreError where the file
    cannot be used; then nothing was written. Opening changes nothing that the file holds, but adds the
    tables that a file of an older version lacks.
    """

    def __init__(self, folder: Path | None = None) -> None:
        try:
            self.path = (folder or default_folder()) / "runs.sqlite3"
        except RuntimeError as error:  # this user has no home
            raise StoreError(f"no folder for the runs: {error}. Set QHN_HOME to one") from error
        self._lock = threading.RLock()
        self._reading_lock = threading.RLock()
        self._claim: sqlite3.Connection | None = None
        with _explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Two connections for all threads, each behind its lock: a reader never waits for a writer.
            self._db = self._connect(BUSY_SECONDS)
            try:
                self._open()
                self._reader = self._connect(READ_SECONDS)
            except BaseException:
                self._db.close()
                raise

    def _connect(self, timeout: float) -> sqlite3.Connection:
        """Connect to the file; transactions are begun by hand."""
        db = sqlite3.connect(self.path, timeout=timeout, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        # A text with a damaged byte must not keep all other rows from being read.
        db.text_factory = lambda text: text.decode(errors="replace")
        return db

    def _open(self) -> None:
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
        with self.writing() as db:
            for added in range(self._one("PRAGMA user_version") + 1, SCHEMA_VERSION + 1):
                for statement in SCHEMAS[added].split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {added}")

    def _switch_to_write_ahead_log(self) -> None:
        """Let readers never wait for a writer. SQLite does not wait for the lock that this needs: we do."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def claim(self) -> bool:
        """Become the server of this folder until the file is closed; False where there is one already.

        The claim is an SQLite lock on a file beside the runs: it ends with the process, however that ends.
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

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock, self._reading_lock, _explained(self.path):
            self._reader.close()
            self._db.close()
            if self._claim is not None:
                self._claim.close()

    def _one(self, query: str) -> Any:
        return self._db.execute(query).fetchone()[0]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read in one transaction: all that the block reads is of one moment."""
        with self._reading_lock, _explained(self.path), _transaction(self._reader, "DEFERRED"):
            yield self._reader

    @contextmanager
    def writing(self, wait: float | None = None) -> Iterator[sqlite3.Connection]:
        """Write in one transaction: all that the block writes is kept, or nothing of it.

        wait: seconds to wait for others that are writing, then StoreBusyError; default: BUSY_SECONDS.
        """
        wait = BUSY_SECONDS if wait is None else wait
        if not self._lock.acquire(timeout=wait):
            raise StoreBusyError(f"{self.path}: another thread is writing. Try again")
        try:
            with _explained(self.path):
                self._db.execute(f"PRAGMA busy_timeout = {1000 * wait:.0f}")
                with _transaction(self._db, "IMMEDIATE"):  # a read that becomes a write later can fail
                    yield self._db
        finally:
            self._lock.release()


@contextmanager
def _transaction(db: sqlite3.Connection, mode: str) -> Iterator[None]:
    db.execute(f"BEGIN {mode}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # where the disk is full, SQLite has rolled back already
            db.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into StoreErrors."""
    try:
        yield
    except sqlite3.Error as error:
        code = (
            getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        )  # the higher bits are details
        kind = StoreBusyError if code == sqlite3.SQLITE_BUSY else StoreError
        raise kind(f"{path}: {error}. {ADVICE.get(code, OTHERWISE)}") from error
    except OSError as error:
        code = sqlite3.SQLITE_FULL if error.errno == errno.ENOSPC else sqlite3.SQLITE_CANTOPEN
        raise StoreError(f"{path}: {error.strerror}. {ADVICE[code]}") from error
