"""Scans in the store: saved while they run, and continued from where they stopped."""

import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.scan import LandscapeScan, scan_key
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.storage.database import Database, RunLostError, StoreError
from qhn_core.storage.scan_file import pack_scan, unpack_scan

SAVE_SECONDS = 2.0
"""How much of a scan is lost when the process is killed; a scan that is stopped loses nothing."""
MAX_SCANS_BYTES = 200_000_000
"""Of all scans together; the oldest are dropped first. A scan of 51x51 points at 14 qubits has 0.4 MB."""
DROP_OLD_SCANS = """
DELETE FROM scans WHERE key IN (SELECT key FROM (
    SELECT key, sum(length(npz)) OVER (ORDER BY updated DESC, key) AS total FROM scans) WHERE total > ?)
"""


class ScanStore:
    """The scans in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, scan: LandscapeScan) -> None:
        """Save a scan, finished or not; it replaces an earlier state of the same scan."""
        values = (scan.key, datetime.now(UTC).isoformat(), pack_scan(scan))
        with self._database.writing() as db:
            db.execute("INSERT OR REPLACE INTO scans VALUES (?, ?, ?)", values)
            db.execute(DROP_OLD_SCANS, (MAX_SCANS_BYTES,))

    def load(self, key: str) -> LandscapeScan | None:
        """Return the scan of this `scan_key` as far as it came, or None; RunLostError: it is damaged."""
        with self._database.reading() as db:
            row = db.execute("SELECT npz FROM scans WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        where = f"{self._database.path}: landscape {key}"
        try:
            scan = unpack_scan(row["npz"], where)
            if scan.key != key:
                raise ValueError(f"{where} holds another one, {scan.key}")
        except ValueError as error:
            raise RunLostError(f"{error}. It can be scanned again") from error
        return scan


def scan_with_store(
    store: ScanStore,
    config: RunConfig,
    landscape_config: LandscapeConfig,
    angles: Float,
    seed_row: int = 0,
    report: Callable[[str], None] = lambda message: None,
) -> Generator[LandscapeScan, None, None]:
    """Yield what `scan_in_stages` yields, starting from what the store has, and save it every 2 s.

    To cancel, close the iterator: what is done is then saved too. report(message) is called once where the
    stored scan cannot be read, so that it starts anew, and once where the scan cannot be saved.
    """
    start = None
    try:
        start = store.load(scan_key(config, landscape_config, angles, seed_row))
    except StoreError as error:
        report(str(error))
    saved = scan = start
    may_save, saved_at = True, time.monotonic()

    def save() -> None:
        nonlocal may_save, saved, saved_at
        if scan is None or scan is saved or not may_save:
            return
        try:
            store.save(scan)
        except StoreError as error:
            may_save = False
            report(f"The scan is not saved: {error}")
        saved, saved_at = scan, time.monotonic()

    try:
        for scan in scan_in_stages(config, landscape_config, angles, seed_row, start):
            if scan.complete or time.monotonic() > saved_at + SAVE_SECONDS:
                save()
            yield scan
    finally:
        save()
