"""A scan that goes on from one run of the page to the next, until it is complete or stopped."""

import time
from collections.abc import Generator
from dataclasses import dataclass

import streamlit as st

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.jobs.service import default_service
from qhn_core.landscape.scan import LandscapeScan, scan_key
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.storage.scans import scan_with_store

SECONDS_AT_ONCE = 0.4
"""So long a page waits for more of a scan before it draws what there is."""


@dataclass
class Scanning:
    """The scan that this visitor looks at."""

    key: str
    stages: Generator[LandscapeScan, None, None]
    scan: LandscapeScan | None = None
    stopped: bool = False
    problem: str = ""

    def advance(self) -> None:
        """Scan for a moment, at least one step."""
        until = time.monotonic() + SECONDS_AT_ONCE
        for scan in self.stages:
            self.scan = scan
            if scan.complete or time.monotonic() > until:
                break

    def stop(self) -> None:
        """No further step; what is done is saved by the generator's end."""
        self.stages.close()
        self.stopped = True


def shown_scan(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed: int) -> Scanning:
    """The scan of this plane, half a second further where it is not complete or stopped.

    Raises ValueError where there is no such plane.
    """
    key = scan_key(config, landscape_config, center, seed)
    now = st.session_state.get("scanning")
    if now is None or now.key != key:
        if now is not None:
            now.stages.close()
            st.session_state.pop("point", None)  # of another plane
        now = Scanning(key, scan_in_stages(config, landscape_config, center, seed))
        store = default_service().store
        if store is not None:
            now.stages = scan_with_store(
                *(store.scans, config, landscape_config, center, seed),
                lambda problem: setattr(now, "problem", problem),
            )
    if now.scan is None or not (now.scan.complete or now.stopped):
        now.advance()
    st.session_state.scanning = now
    return now


def scan_again() -> None:
    """Forget a stopped scan, so that the next run of the page goes on from what is stored of it."""
    st.session_state.pop("scanning", None)


def progress_of(now: Scanning) -> None:
    """How far the scan is, and the button that stops it or goes on."""
    if now.problem:
        st.caption(f":material/warning: {now.problem}")
    if now.scan.complete:
        return
    done, total = int(now.scan.done.sum()), now.scan.done.size
    bar, button = st.columns([5, 1], vertical_alignment="center")
    state = "stopped at" if now.stopped else "scanning:"
    bar.progress(
        done / total, f"{state} {done} of {total} points; the rest is drawn as its nearest neighbour"
    )
    if now.stopped:
        button.button("Go on", on_click=scan_again, key="scan_on")
    else:
        button.button("Stop", on_click=now.stop, key="scan_stop")
