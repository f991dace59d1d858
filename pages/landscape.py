"""Landscape: the objective on a plane through theta*, with λ and h under the hand."""

import io
from typing import Any, get_args

import numpy as np
import streamlit as st

from pages.parts.browser_views import landscape
from pages.parts.landscape_analyses import ANALYSES, choose_point, field_of, look_at, path_of
from pages.parts.scan_progress import progress_of, shown_scan
from pages.parts.session import shown_job, start
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.state import set_controls
from pages.sidebar.url import not_offered, report_link, taken, warn
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.figures.landscape_page import caption, landscape_html, view_data
from qhn_core.jobs.job import Job
from qhn_core.jobs.service import default_service
from qhn_core.landscape.gradient_field import RULES, Rule
from qhn_core.landscape.scan import LandscapeScan, scan_table
from qhn_core.model.capacity import MOST_TABLE_BITS, has_tables, largest_network
from qhn_core.objectives.terms import Objective
from qhn_core.storage.scan_file import save_scan

PATIENCE_SECONDS = 120
PLANES = get_args(LandscapeConfig.model_fields["plane"].annotation)
# What this page's own controls can be set to: the least and the largest number, or all words.
OFFERED = {
    "plane": PLANES,
    "radius": (0.1, 10.0),
    "resolution": (11, 101),
    "plane_seed": (0, 10**6),
    "arrows": RULES,
    "look": ANALYSES,
}
PLANE_HELP = """
Two directions in angle space; the surfaces are drawn over both. *random*: any two; *random-ry*: of RY
angles only; *gates*: one gate each; *principal*: components of the training; *hessian*: strongest
curvature; *gradient*: uphill and a normal; *optima*: through MLE\\*, ELBO\\* and SELBO\\* of one seed.
"""


@st.cache_data(max_entries=4, show_spinner=False)
def offline_page(_data: dict[str, Any], key: str) -> str:
    """The page to take home; `key` says all that it shows."""
    return landscape_html(_data)


def plane_controls(config: RunConfig) -> LandscapeConfig:
    """Which plane, how wide and how fine; all in the URL."""

    def number(label: str, key: str, *first_step: Any, **options: Any) -> Any:
        return st.number_input(
            label, *OFFERED[key], *first_step, key=key, bind="query-params", width=140, **options
        )

    chosen = st.selectbox("Plane", PLANES, key="plane", bind="query-params", help=PLANE_HELP, width=180)
    drawn = chosen in ("random", "random-ry", "gradient")
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
        radius=np.pi * number("Radius, π", "radius", 2.0, 0.5, help="Half the side of the plane."),
        resolution=number("Points", "resolution", 41, 10, help="Grid points along a side."),
        seed=number("Seed", "plane_seed", 0, 1, help="Of random directions.", disabled=not drawn),
    )


def take_from_view(field: str) -> None:
    """λ or h was released on the landscape: the sidebar and the URL follow."""
    set_controls({field: st.session_state.landscape[field]})


def lines_controls() -> tuple[bool, Rule | None]:
    """Whose arrows to draw on the surfaces, and whether the training's way."""
    arrows = st.segmented_control(
        "Gradient arrows",
        RULES,
        key="arrows",
        bind="query-params",
        width=200,
        help="The exact gradient along the plane. At L = 1, Algorithm 1 does not see the regulariser.",
    )
    way = st.toggle(
        "Training path",
        key="path",
        bind="query-params",
        width=160,
        help="The run's way, projected on the plane; the dot is where it began.",
    )
    return way, arrows


def report_view(landscape_config: LandscapeConfig) -> None:
    """Say what the address asked of this page's controls in vain, until the plane is another."""
    asked = st.session_state.pop("view_link", {})
    if asked:
        problems = [not_offered(k, text, OFFERED[k]) for k, text in asked.items() if not taken(k, text)]
        st.session_state.view_problems = landscape_config, problems
    of, problems = st.session_state.get("view_problems", (landscape_config, []))
    warn(problems if of == landscape_config else [])


def downloads(scan: LandscapeScan, shown: RunConfig, data: dict[str, Any]) -> None:
    """The grid for numpy and for tables, and a page that works offline."""
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
    """Train what the sidebar shows: λ and h move the surfaces themselves, all else makes another θ*."""
    with st.sidebar:
        same = job is not None and config == job.config
        pressed = st.button(
            "Train",
            icon=":material/play_arrow:",
            disabled=config is None or same,
            width="stretch",
            key="train",
            help="The landscape then opens at the θ* of these controls.",
        )
        if job is not None and config is not None:
            own = {"regularization": job.config.regularization, "bandwidth": job.config.bandwidth}
            if config.model_copy(update=own) != job.config:
                st.badge("controls changed, press Train", color="orange")
    if pressed and config is not None and start(config):
        st.rerun()


if "looked" not in st.session_state:
    st.session_state.looked = True
    st.session_state.view_link = {k: st.query_params[k] for k in OFFERED if k in st.query_params}
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
    way, arrows = lines_controls()
best = int(np.argmax(job.state.best_objective))
# A scan serves every λ and h; only the planes that look at the training depend on the run's own.
scanned = job.config
if landscape_config.plane in ("random", "random-ry", "gates"):
    scanned = job.config.model_copy(update={"regularization": 1.0, "bandwidth": None})
try:
    scanning = shown_scan(scanned, landscape_config, job.state.best_angles[best], best)
except ValueError as error:
    st.error(str(error))
    st.stop()
scan = scanning.scan
shown = config or job.config
with st.container():  # one place for whatever is under way, so that the surfaces below stay in theirs
    progress_of(scanning)
    data = view_data(
        scan,
        Objective.of(shown, scan.config.objective),
        caption(scan, best).replace(scanned.in_words(), job.config.in_words()),
        path_of(scan, scan.key, job.config) if way else None,
        field_of(scan, scan.key) if arrows else None,
        arrows or "chain-rule",
    )
landscape(
    {**data, "point": st.session_state.get("point")},
    key="landscape",
    on_regularization_change=lambda: take_from_view("regularization"),
    on_bandwidth_change=lambda: take_from_view("bandwidth"),
    on_point_change=lambda: choose_point(st.session_state.landscape["point"]),
)
if not (scan.complete or scanning.stopped):
    st.rerun()
look = st.segmented_control(
    "Look at",
    ANALYSES,
    default="roughness",
    required=True,
    key="look",
    bind="query-params",
    width="stretch",
)
with said:
    report_view(landscape_config)
look_at(look, scan, job.config, shown)
downloads(scan, shown, data)
