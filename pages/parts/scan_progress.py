"""A scan that goes on from one run of the page to the next, until it is complete or stopped."""

import time
from collections.abc import Generator
from dataclasses import dataclass

import streamlit as st

from pages.parts.text import plain
from pages.parts.visitor import visitor
from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.jobs.service import default_service
from qhn_core.landscape.scan import LandscapeScan, scan_key
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.storage.scans import scan_with_store

SECONDS_AT_ONCE = 0.4
"""Time that a page waits for more of a scan before it draws what there is."""


@dataclass
class Scanning:
    """The scan on show: how far it is, and how to go on."""

    key: str
    stages: Generator[LandscapeScan, None, None]
    scan: LandscapeScan | None = None
    stopped: bool = False
    problem: str = ""

    def advance(self) -> None:
        """Scan for SECONDS_AT_ONCE, at least one step."""
        until = time.monotonic() + SECONDS_AT_ONCE
        for scan in self.stages:
            self.scan = scan
            if scan.complete or time.monotonic() > until:
                break

    def stop(self) -> None:
        """Stop scanning; the generator saves what is done when it ends."""
        self.stages.close()
        self.stopped = True


def shown_scan(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed: int) -> Scanning:
    """Return the scan of this plane, and continue it for SECONDS_AT_ONCE unless it is complete or stopped.

    Raises ValueError where the config has no such plane.
    """
    key = scan_key(config, landscape_config, center, seed)
    now = visitor().scanning
    if now is None or now.key != key:
        if now is not None:
            now.stages.close()
            visitor().point = None  # it was on another plane
        now = Scanning(key, scan_in_stages(config, landscape_config, center, seed))
        store = default_service().store
        if store is not None:
            now.stages = scan_with_store(
                *(store.scans, config, landscape_config, center, seed),
                lambda problem: setattr(now, "problem", problem),
            )
    if now.scan is None or not (now.scan.complete or now.stopped):
        now.advance()
    visitor().scanning = now
    return now


def scan_again() -> None:
    """Forget a stopped scan, so that the next run of the page continues from the stored part."""
    visitor().scanning = None


def progress_of(now: Scanning) -> None:
    """Show how far the scan is, and a button that stops it or continues it."""
    if now.problem:
        st.caption(f":material/warning: {plain(now.problem)}")
    if now.scan.complete:
        return
    done, total = int(now.scan.done.sum()), now.scan.done.size
    bar, button = st.columns([5, 1], vertical_alignment="center")
    state = "stopped at" if now.stopped else "scanning:"
    bar.progress(
        done / total,
        f"{state} {done} of {total} points; the others show the value of the nearest scanned point",
    )
    if now.stopped:
        button.button("Go on", on_click=scan_again, key="scan_on")
    else:
        button.button("Stop", on_click=now.stop, key="scan_stop")
