"""Plotly figures that belong to a landscape: the path of the training, and what shots make of it."""

from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.circuits.simulators import get_simulator
from qhn_core.config import RunConfig
from qhn_core.figures.boundary import VIEW_SAMPLES, boundary_figure
from qhn_core.figures.histogram import histogram_figure
from qhn_core.figures.style import OBJECTIVE_COLORS, Figure, Trace, epochs_layout, line_trace
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.shot_noise import SampledScan, mean_and_error
from qhn_core.model.predictions import decision_surfaces, plot_axes
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective

DISTANCE_COLOR = "#8A8F98"
LANDSCAPE_SCALE, ERROR_SCALE = "Cividis", [[0.0, "#F7F7F5"], [1.0, "#5B3A8E"]]
PANEL_STEP, PANEL_WIDTH = 0.345, 0.255
"""From one heatmap to the next, and the width of one, as shares of the figure's width."""


def path_figure(path: pd.DataFrame, objective: str) -> Figure:
    """Draw the objective along the training, at the run's angles and at their projection on the plane.

    path: the table of a `TrainingPath`. The grey line is the distance from the plane, which a projection
    hides.
    """
    x, color = path["epoch"].tolist(), OBJECTIVE_COLORS[objective]
    value, on_plane, distance = (path[name].tolist() for name in ("value", "value_on_plane", "distance"))
    data = [
        line_trace(x, value, "at the run's angles", color),
        line_trace(x, on_plane, "at their projection on the plane", color, dash="dot"),
        line_trace(x, distance, "distance from the plane", DISTANCE_COLOR, "y2", width=1.5),
    ]
    layout = epochs_layout(x[-1], f"{objective.upper()}, exact, nats", "distance, radians")
    layout["yaxis2"]["rangemode"] = "tozero"
    return {"data": data, "layout": {**layout, "height": 300}}


def sampled_figure(scan: LandscapeScan, sampled: SampledScan, objective: Objective) -> Figure:
    """Draw three heatmaps of one objective: exact, the mean of its estimates, and the mean's error."""
    exact = scan.exact(objective)
    mean, error = mean_and_error(sampled.values(objective))
    repeats = sampled.expected_log_likelihood.shape[2]
    both = (min(exact.min(), mean.min()), max(exact.max(), mean.max()))
    panels = [
        _panel("exact", scan.axis, exact, LANDSCAPE_SCALE, both),
        _panel(f"mean of {repeats} estimates", sampled.axis, mean, LANDSCAPE_SCALE, both),
        _panel("standard error of the mean", sampled.axis, error, ERROR_SCALE, (0.0, error.max() or 1.0)),
    ]
    layout: dict[str, Any] = {"height": 330, "margin": {"l": 44, "r": 8, "t": 30, "b": 36}}
    for place, panel in enumerate(panels):
        left, number = PANEL_STEP * place, str(place + 1) if place else ""
        panel |= {"xaxis": f"x{number}", "yaxis": f"y{number}"}
        panel["colorbar"] = {"x": left + PANEL_WIDTH + 0.005, "thickness": 8, "outlinewidth": 0}
        side = {**_ticks(np.array(panel["x"])), "zeroline": False, "showgrid": False}
        layout[f"xaxis{number}"] = {**side, "domain": [left, left + PANEL_WIDTH]}
        layout[f"yaxis{number}"] = {**side, "scaleanchor": f"x{number}", "anchor": f"x{number}"}
    layout["annotations"] = [_title(panel["name"], PANEL_STEP * i) for i, panel in enumerate(panels)]
    return {"data": panels, "layout": layout}


def _panel(name: str, axis: Float, z: Float, scale: Any, ends: tuple[float, float]) -> Trace:
    """A heatmap over a plane, without its place in the figure."""
    return {
        "type": "heatmap",
        "name": name,
        "x": axis.tolist(),
        "y": axis.tolist(),
        "z": z.tolist(),
        "zmin": float(ends[0]),
        "zmax": float(ends[1]),
        "colorscale": scale,
        "hovertemplate": name + " %{z:.4~g} nats<extra></extra>",
    }


def _title(text: str, left: float) -> dict[str, Any]:
    """A line above a heatmap whose left edge is at a share of the figure's width."""
    place = {"x": left, "y": 1.02, "xref": "paper", "yref": "paper"}
    return {"text": text, **place, "xanchor": "left", "yanchor": "bottom", "showarrow": False}


def _ticks(axis: Float) -> dict[str, Any]:
    """Five ticks in units of π."""
    places = np.linspace(axis[0], axis[-1], 5)
    return {"tickvals": places.tolist(), "ticktext": [f"{place / np.pi:.3g}π" for place in places]}


def point_figures(config: RunConfig, angles: Float) -> tuple[Figure, Figure]:
    """Draw (decision boundary, histogram of bitstrings) at angles (n_layers, 2, n_qubits), measured once.

    For an exact run, the boundary is that of VIEW_SAMPLES networks drawn from q, and the histogram is q.
    """
    problem = score_table(config)
    q = get_simulator(config.simulator, config.n_qubits, config.entangler).probabilities(angles[None])[0]
    shots = config.shots or VIEW_SAMPLES
    samples = np.random.default_rng(config.seed).choice(q.size, shots, p=q / q.sum())
    axes = plot_axes(problem)
    boundary = boundary_figure(problem, axes, decision_surfaces(problem, samples, int(q.argmax()), axes))
    return boundary, histogram_figure(problem, samples if config.shots else samples[:0], q)
