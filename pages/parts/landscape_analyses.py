"""The analyses below a landscape: a point, the training path, shots, roughness, barriers."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.charts import chart, numbers
from pages.parts.session import follow, start
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.state import set_controls, set_controls_from
from qhn_core.bits import Float
from qhn_core.config import RunConfig
from qhn_core.figures.landscape import path_figure, point_figures, sampled_figure
from qhn_core.landscape.gradient_field import GradientField, gradient_field
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.scanner import roughness_table
from qhn_core.landscape.shot_noise import SampledScan, rules_table, sample_landscape
from qhn_core.landscape.trajectories import TrainingPath, barriers, training_path
from qhn_core.objectives.terms import KINDS, Objective

GRID = 11
"""Points along a side where gradients are computed: two circuits an angle and point."""


@st.cache_data(max_entries=8, show_spinner="Training again for the path")
def path_of(_scan: LandscapeScan, key: str, config: RunConfig) -> TrainingPath:
    """Return the training path on the plane of the scan with that key."""
    return training_path(_scan, config)


@st.cache_data(max_entries=8, show_spinner=False)
def field_of(_scan: LandscapeScan, key: str) -> GradientField:
    """Return the gradients of both rules on the plane."""
    words = "Gradients on the plane"
    bar = st.progress(0.0, words)
    field = gradient_field(_scan, GRID, lambda done, total: bar.progress(done / total, words))
    bar.empty()
    return field


@st.cache_data(max_entries=8, show_spinner=False)
def shots_of(_scan: LandscapeScan, key: str, shots: int, repeats: int, seed: int) -> SampledScan:
    """Return the plane as measured with shots."""
    words = "Measuring the plane"
    bar = st.progress(0.0, words)
    sampled = sample_landscape(
        _scan, shots, repeats, GRID, seed, lambda done, total: bar.progress(done / total, words)
    )
    bar.empty()
    return sampled


@st.cache_data(max_entries=8, show_spinner="Training to the three optima")
def barriers_of(config: RunConfig, seed: int) -> pd.DataFrame:
    """Return the barriers between MLE*, ELBO* and SELBO*."""
    return barriers(config, seed)


def look_at(look: str, scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    """Draw one analysis. config: of the run; shown: with the λ and h that the controls show."""
    drawers = {
        "point": _point,
        "path": _path,
        "shots": _shots,
        "roughness": _roughness,
        "barriers": _barriers,
    }
    drawers[look](scan, config, shown)


def _point(scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    """The decision boundary and the bitstrings at the point that was clicked, or at the centre."""
    x, y = visitor().point or (0.0, 0.0)
    angles = scan.plane.at(x, y)
    left, right = st.columns([3, 1], vertical_alignment="center")
    place = f"({x / np.pi:.2f}π, {y / np.pi:.2f}π)".replace("-0.00", "0.00").replace("-", "−")
    left.markdown(f"**The networks at {place}.** Click another point of a surface to see those there.")
    right.button(
        "Start training from here",
        icon=":material/play_arrow:",
        help="Opens the Train page; every seed starts at these angles, with its own shots.",
        on_click=_train_from,
        args=(config, angles),
        width="stretch",
    )
    follow()
    names = ("boundary", "histogram")
    for column, name, figure in zip(st.columns(2), names, point_figures(config, angles), strict=True):
        figure["layout"]["height"] = 320
        with column:
            chart(figure, f"point_{name}")


def _train_from(config: RunConfig, angles: Float) -> None:
    """Start the run's experiment again from these angles, and show it."""
    there = config.model_copy(update={"initial_angles": tuple(angles.ravel().tolist())})
    if start(there):
        set_controls_from(there)
        visitor().leave_for = "train.py"


def _path(scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    path = path_of(scan, scan.key, config)
    table = path.table(Objective.of(shown, config.objective))
    farthest = table["distance"].max()
    st.markdown(
        "**The training path.** The plane shows only its projection: the run was up to "
        f"{farthest:.1f} radians away from this plane, where the objective has other values."
    )
    chart(path_figure(table, config.objective), "path_chart")


def _shots(scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    shots, repeats, seed, objective = st.columns([1, 1, 1, 2])
    n_shots = shots.number_input("Shots N", 2, 10_000, config.shots or 100, help="Shots for each circuit.")
    n_repeats = repeats.number_input("Repeats R", 2, 100, 10, help="How often each point is measured.")
    chosen_seed = seed.number_input("Seed of shots", 0, 10**6, 0)
    chosen = objective.segmented_control(
        "Objective",
        KINDS,
        default=config.objective,
        format_func=str.upper,
        required=True,
        key="shots_objective",
    )
    own = Objective.of(shown, chosen)
    try:
        sampled = shots_of(scan, scan.key, n_shots, n_repeats, chosen_seed)
        st.markdown(
            "**What an optimiser sees.** Each point measured R times with N shots, on a coarser grid."
        )
        chart(sampled_figure(scan, sampled, own), "sampled_chart")
        st.markdown("**Both gradient rules on this plane**, in nats per radian, over the same grid")
        numbers(rules_table(field_of(scan, scan.key), sampled, own))
    except ValueError as error:
        st.error(plain(error))


def _roughness(scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    st.markdown(
        f"**Roughness** at λ = {shown.regularization:g}, h = {shown.h:g}; each surface scaled to 0 to 1"
    )
    numbers(roughness_table(scan, Objective.of(shown)).rename_axis("measure").reset_index())


def _barriers(scan: LandscapeScan, config: RunConfig, shown: RunConfig) -> None:
    own = {"regularization": shown.regularization, "bandwidth": shown.h}
    st.markdown(
        "**Straight lines between MLE\\*, ELBO\\* and SELBO\\***, trained from the same initial angles. "
        "Barrier: mean of both ends minus the lowest value on the way; dip: the lower end minus it. Nats."
    )
    numbers(barriers_of(config.model_copy(update=own), scan.seed_row))


def choose_point(point: dict[str, float]) -> None:
    """Show the point that was clicked."""
    visitor().point = (point["x"], point["y"])
    set_controls({"look": "point"})
