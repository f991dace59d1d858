"""Scans of the store: kept while they run, and gone on from where they were."""

import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.scan import LandscapeScan, scan_key
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.storage.database import RunLostError, StoreError, StoreFile
from qhn_core.storage.scan_file import pack_scan, unpack_scan

SAVE_SECONDS = 2.0
"""How much of a scan may be lost when the process is killed; one that is stopped loses nothing."""
MAX_SCANS_BYTES = 200_000_000
"""Of all scans together; the oldest go first. A 51x51 one at 14 qubits has 0.4 MB."""
DROP_OLD_SCANS = """
DELETE FROM scans WHERE key IN (SELECT key FROM (
    SELECT key, sum(length(npz)) OVER (ORDER BY updated DESC, key) AS total FROM scans) WHERE total > ?)
"""


class ScanStore(StoreFile):
    """The scans in a `StoreFile`."""

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


def scan_with_store(
    store: ScanStore,
    config: RunConfig,
    landscape_config: LandscapeConfig,
    angles: Float,
    seed_row: int = 0,
    report: Callable[[str], None] = lambda message: None,
) -> Generator[LandscapeScan, None, None]:
    """`scan_in_stages`, from what the store has of this scan, saved every 2 s and at the end.

    To cancel, close the iterator: what is done is then saved too. report(message): why what was
    stored could not be read, so that the scan starts anew, or why it is not saved; once.
    """
    start = None
    try:
        start = store.load_scan(scan_key(config, landscape_config, angles, seed_row))
    except StoreError as error:
        report(str(error))
    saved = scan = start
    may_save, saved_at = True, time.monotonic()

    def save() -> None:
        nonlocal may_save, saved, saved_at
        if scan is None or scan is saved or not may_save:
            return
        try:
            store.save_scan(scan)
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
