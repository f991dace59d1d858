"""Landscape: the objective on a plane through theta*, with λ and h under the hand."""

import base64
from typing import Any

import numpy as np
import streamlit as st

from pages.components.controls import sidebar_controls, want
from pages.components.session import shown_job, start
from pages.components.views import landscape
from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape import LandscapeScan, scan_landscape
from qhn_core.service import default_service

PATIENCE_SECONDS = 120


def encoded(values: Float) -> str:
    """Float64 numbers, little-endian, as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def component_data(scan: LandscapeScan) -> dict[str, Any]:
    """What the browser needs to recombine the surfaces at any λ and h."""
    return {
        "axis": encoded(scan.axis),
        "axis_label_x": "direction 1",
        "axis_label_y": "direction 2",
        "shape": list(scan.entropy.shape),
        "expected_log_likelihood": encoded(scan.expected_log_likelihood),
        "entropy": encoded(scan.entropy),
        "correlators": encoded(scan.correlators[..., 1:]),
        "n_qubits": scan.config.n_qubits,
    }


@st.cache_data(max_entries=32, show_spinner=False)
def cached_scan(config: RunConfig, plane: LandscapeConfig, center: Float) -> dict[str, Any]:
    """The scan of a plane around `center`, ready for the browser."""
    bar = st.progress(0.0, "Scanning the plane")
    scan = scan_landscape(config, plane, center, lambda done, total: bar.progress(done / total))
    bar.empty()
    return component_data(scan)


def take_from_view(field: str) -> None:
    """λ or h was released on the landscape: the sidebar and the URL follow."""
    want({field: st.session_state.landscape[field]})


config = sidebar_controls()
job = shown_job()
if job is None and config is not None:
    job = start(config)
if job is not None and (job.state is None or not job.final):
    with st.spinner("Training; the landscape opens at its θ*"):
        default_service().wait(job.id, PATIENCE_SECONDS)
if job is None or job.state is None:
    st.info("There is no trained run yet. Open Train and press Train.")
    st.stop()

best = int(np.argmax(job.state.best_objective))
plane = LandscapeConfig()
# λ and h are no part of a scan: one scan serves them all.
scanned = job.config.model_copy(update={"regularization": 1.0, "bandwidth": None})
data = cached_scan(scanned, plane, job.state.best_angles[best])
shown = config or job.config
landscape(
    {
        **data,
        "regularization": shown.regularization,
        "bandwidth": shown.h,
        "objective": job.config.objective,
        "caption": (
            f"θ* of seed {best}, {job.config.in_words()}. Two random orthonormal directions (seed "
            f"{plane.seed}), ±{plane.radius / np.pi:g}π in angle space, {plane.resolution}×"
            f"{plane.resolution} points, exact."
        ),
    },
    key="landscape",
    on_regularization_change=lambda: take_from_view("regularization"),
    on_bandwidth_change=lambda: take_from_view("bandwidth"),
)
