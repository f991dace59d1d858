"""Scans that are kept in the store while they run, and gone on from where they were."""

import time
from collections.abc import Callable, Generator

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape import scan_in_stages
from qhn_core.scans import LandscapeScan, scan_key
from qhn_core.store import RunStore, StoreError

SAVE_SECONDS = 2.0
"""How much of a scan may be lost when the process is killed; one that is stopped loses nothing."""


def scan_with_store(
    store: RunStore,
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
