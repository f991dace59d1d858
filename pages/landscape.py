"""Landscape: the objective on a plane through θ*, redrawn while λ and h move."""

import io
from typing import Any

import numpy as np
import streamlit as st

from pages.parts.browser_views import landscape
from pages.parts.landscape_analyses import choose_point, field_of, look_at, path_of
from pages.parts.landscape_controls import ARROWS, LOOK, PATH, PLANE, PLANE_SEED, RADIUS, RESOLUTION, VIEW
from pages.parts.scan_progress import progress_of, shown_scan
from pages.parts.session import shown_job, start
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.state import set_controls
from pages.sidebar.url import read_address, report_link, warn
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.figures.landscape_page import caption, landscape_html, view_data
from qhn_core.jobs.job import Job
from qhn_core.jobs.service import default_service
from qhn_core.landscape.scan import LandscapeScan, scan_table
from qhn_core.model.capacity import MOST_TABLE_BITS, has_tables, largest_network
from qhn_core.objectives.terms import Objective
from qhn_core.storage.scan_file import save_scan

PATIENCE_SECONDS = 120


@st.cache_data(max_entries=4, show_spinner=False)
def offline_page(_data: dict[str, Any], key: str) -> str:
    """Return the page that works without a server; `key` names everything that it shows."""
    return landscape_html(_data)


def plane_controls(config: RunConfig) -> LandscapeConfig:
    """Draw the controls of the plane; return the plane that they choose."""
    chosen = PLANE.draw()
    gates = [f"RY q{q + 1} L{k + 1}" for k in range(config.n_layers) for q in range(config.n_qubits)]
    picks = [0, 1]
    if chosen == "gates":
        picks = [
            st.selectbox(label, range(len(gates)), index, format_func=gates.__getitem__, width=140)
            for index, label in enumerate(("First gate", "Second gate"))
        ]
    return LandscapeConfig(
        plane=chosen,
        gates=tuple((pick // config.n_qubits, 0, pick % config.n_qubits) for pick in picks),
        radius=np.pi * RADIUS.draw(),
        resolution=RESOLUTION.draw(),
        seed=PLANE_SEED.draw(disabled=chosen not in ("random", "random-ry", "gradient")),
    )


def take_from_view(field: str) -> None:
    """Set the sidebar and the address to the λ or h at which the landscape's slider was released."""
    set_controls({field: st.session_state.landscape[field]})


def report_view(landscape_config: LandscapeConfig) -> None:
    """Say what the address asked of this page's controls in vain, until another plane is chosen."""
    visitor().first_plane = visitor().first_plane or landscape_config
    if landscape_config != visitor().first_plane:
        visitor().problems["landscape"].clear()
    warn(visitor().problems["landscape"])


def downloads(scan: LandscapeScan, shown: RunConfig, data: dict[str, Any]) -> None:
    """Draw the buttons that download the grid, for numpy and for tables, and an offline page."""
    grid = io.BytesIO()
    save_scan(grid, scan)
    with st.container(horizontal=True):
        st.download_button("Grid (npz)", grid.getvalue(), "landscape.npz", "application/octet-stream")
        st.download_button(
            "Grid (CSV)",
            lambda: scan_table(scan, Objective.of(shown)).to_csv(index=False),
            "landscape.csv",
            "text/csv",
        )
        st.download_button(
            "Offline page (HTML)",
            lambda: offline_page(data, f"{scan.key} {shown.hash} {data.keys()} {data['caption']}"),
            "landscape.html",
            "text/html",
        )


def train_again(config: RunConfig | None, job: Job | None) -> None:
    """Draw Train: other λ and h move the surfaces themselves, every other change needs another θ*."""
    with st.sidebar:
        same = job is not None and config == job.config
        pressed = st.button(
            "Train",
            icon=":material/play_arrow:",
            disabled=config is None or same,
            width="stretch",
            key="train",
            help="Train with these settings; the landscape then opens at the new θ*.",
        )
        if job is not None and config is not None:
            own = {"regularization": job.config.regularization, "bandwidth": job.config.bandwidth}
            if config.model_copy(update=own) != job.config:
                st.badge("settings changed, press Train", color="orange")
    if pressed and config is not None and start(config):
        st.rerun()


read_address("landscape", VIEW)
job = shown_job()
config = sidebar_controls()
if job is None and config is not None and not report_link():
    job = start(config)
train_again(config, job)
if job is not None and not has_tables(job.config):
    st.info(
        f"A landscape needs all 2^{job.config.n_qubits} amplitudes of this run's circuit. Choose gaussian, "
        f"moons or rings ({largest_network(RunConfig(), MOST_TABLE_BITS)}), and press Train."
    )
    st.stop()
if job is not None and (job.state is None or not job.resting):
    with st.spinner("Training; the landscape opens at its θ*"):
        default_service().wait(job.id, PATIENCE_SECONDS)
if job is None or job.state is None:
    st.info("There is no trained run yet. Press Train.")
    st.stop()

said = st.container()
with st.container(horizontal=True, vertical_alignment="bottom"):
    landscape_config = plane_controls(job.config)
    arrows, with_path = ARROWS.draw(), PATH.draw()
best = int(np.argmax(job.state.best_objective))
# A scan serves every λ and h; only the planes that look at the training depend on the run's own.
scanned = job.config
if landscape_config.plane in ("random", "random-ry", "gates"):
    scanned = job.config.model_copy(update={"regularization": 1.0, "bandwidth": None})
try:
    scanning = shown_scan(scanned, landscape_config, job.state.best_angles[best], best)
except ValueError as error:
    st.error(plain(error))
    st.stop()
scan = scanning.scan
shown = config or job.config
with st.container():  # one place for all progress, so that the surfaces below keep theirs
    progress_of(scanning)
    data = view_data(
        scan,
        Objective.of(shown, scan.config.objective),
        caption(scan, best).replace(scanned.in_words(), job.config.in_words()),
        path_of(scan, scan.key, job.config) if with_path else None,
        field_of(scan, scan.key) if arrows else None,
        arrows or "chain-rule",
    )
landscape(
    {**data, "point": visitor().point},
    key="landscape",
    on_regularization_change=lambda: take_from_view("regularization"),
    on_bandwidth_change=lambda: take_from_view("bandwidth"),
    on_point_change=lambda: choose_point(st.session_state.landscape["point"]),
)
if not (scan.complete or scanning.stopped):
    st.rerun()
look = LOOK.draw()
with said:
    report_view(landscape_config)
look_at(look, scan, job.config, shown)
downloads(scan, shown, data)
