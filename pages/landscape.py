"""Landscape: the objective on a plane through theta*, with λ and h under the hand."""

import io
from typing import get_args

import numpy as np
import streamlit as st

from pages.components.controls import sidebar_controls, want
from pages.components.session import shown_job, start
from pages.components.views import landscape
from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape import LandscapeScan, roughness_table, save_scan, scan_landscape
from qhn_core.offline import caption, landscape_html, view_data
from qhn_core.service import default_service

PATIENCE_SECONDS = 120
PLANES = get_args(LandscapeConfig.model_fields["plane"].annotation)
PLANE_HELP = """
Two directions in angle space; the surfaces are drawn over both. *random*: any two; *random-ry*: of RY
angles only; *gates*: one gate each; *principal*: components of the training; *hessian*: strongest
curvature; *gradient*: uphill and a normal; *optima*: through MLE\\*, ELBO\\* and SELBO\\* of one seed.
"""


@st.cache_data(max_entries=32, show_spinner=False)
def cached_scan(config: RunConfig, plane: LandscapeConfig, center: Float, seed: int) -> LandscapeScan:
    """The scan of a plane through `center`, the best angles of one seed."""
    bar = st.progress(0.0, "Scanning the plane")
    scan = scan_landscape(config, plane, center, lambda done, total: bar.progress(done / total), seed)
    bar.empty()
    return scan


@st.cache_data(max_entries=4, show_spinner=False)
def offline_page(_scan: LandscapeScan, text: str) -> str:
    """The page to take home; `text` says all that it shows, and so serves as the cache's key."""
    return landscape_html(_scan, text)


def plane_controls(config: RunConfig) -> LandscapeConfig:
    """Which plane, how wide and how fine; all in the URL."""
    kind, first, second, radius, points, seed = st.columns([3, 1.6, 1.6, 1.3, 1.3, 1])
    chosen = kind.selectbox(
        "Plane",
        PLANES,
        key="plane",
        bind="query-params",
        help=PLANE_HELP,
    )
    gates = [f"RY q{q + 1} L{k + 1}" for k in range(config.n_layers) for q in range(config.n_qubits)]
    picks = [
        column.selectbox(
            label, range(len(gates)), index, format_func=gates.__getitem__, disabled=chosen != "gates"
        )
        for column, label, index in ((first, "First gate", 0), (second, "Second gate", 1))
    ]
    return LandscapeConfig(
        plane=chosen,
        gates=tuple((pick // config.n_qubits, 0, pick % config.n_qubits) for pick in picks),
        radius=np.pi
        * radius.number_input(
            "Radius, π",
            0.1,
            10.0,
            2.0,
            0.5,
            key="radius",
            bind="query-params",
            help="Half the side of the plane.",
        ),
        resolution=points.number_input(
            "Points",
            11,
            101,
            41,
            10,
            key="resolution",
            bind="query-params",
            help="Grid points along a side.",
        ),
        seed=seed.number_input(
            "Seed", 0, 10**6, 0, key="plane_seed", bind="query-params", help="Of random directions."
        ),
    )


def take_from_view(field: str) -> None:
    """λ or h was released on the landscape: the sidebar and the URL follow."""
    want({field: st.session_state.landscape[field]})


def downloads(scan: LandscapeScan, text: str) -> None:
    """The grid for numpy, and a page that works offline."""
    grid = io.BytesIO()
    save_scan(grid, scan)
    with st.container(horizontal=True):
        st.download_button("Grid (npz)", grid.getvalue(), "landscape.npz", "application/octet-stream")
        st.download_button(
            "Offline page (HTML)", lambda: offline_page(scan, text), "landscape.html", "text/html"
        )


config = sidebar_controls()
job = shown_job()
if job is None and config is not None:
    job = start(config)
if job is not None and (job.state is None or not job.resting):
    with st.spinner("Training; the landscape opens at its θ*"):
        default_service().wait(job.id, PATIENCE_SECONDS)
if job is None or job.state is None:
    st.info("There is no trained run yet. Open Train and press Train.")
    st.stop()

plane = plane_controls(job.config)
best = int(np.argmax(job.state.best_objective))
# A scan serves every λ and h; only the planes that look at the training depend on the run's own.
scanned = job.config
if plane.plane in ("random", "random-ry", "gates"):
    scanned = job.config.model_copy(update={"regularization": 1.0, "bandwidth": None})
try:
    scan = cached_scan(scanned, plane, job.state.best_angles[best], best)
except ValueError as error:
    st.error(str(error))
    st.stop()
shown = config or job.config
text = caption(scan, best).replace(scanned.in_words(), job.config.in_words())
landscape(
    view_data(scan, shown.regularization, shown.h, text),
    key="landscape",
    on_regularization_change=lambda: take_from_view("regularization"),
    on_bandwidth_change=lambda: take_from_view("bandwidth"),
)
st.markdown(
    f"**Roughness** at λ = {shown.regularization:g}, h = {shown.h:g}; each surface scaled to 0 to 1"
)
st.dataframe(
    roughness_table(scan, shown.regularization, shown.h).rename_axis("measure").reset_index(),
    hide_index=True,
    column_config={name: st.column_config.NumberColumn(format="%.4g") for name in ("MLE", "ELBO", "SELBO")},
)
downloads(scan, text)
