"""What belongs to a landscape, as Plotly figures: the way of the training, and what shots make of it."""

from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.circuits.simulators import get_simulator
from qhn_core.config import RunConfig
from qhn_core.figures.boundary import boundary_figure
from qhn_core.figures.histogram import histogram_figure
from qhn_core.figures.style import OBJECTIVE_COLORS, Figure, Trace
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.shot_noise import SampledScan, mean_and_error
from qhn_core.model.predictions import decision_surfaces, plot_axes
from qhn_core.model.scores import score_table

VIEW_SAMPLES = 200
"""Networks drawn for the decision boundary of a run without shots."""
DISTANCE_COLOR = "#8A8F98"
LANDSCAPE_SCALE, ERROR_SCALE = "Cividis", [[0.0, "#F7F7F5"], [1.0, "#5B3A8E"]]


def path_figure(path: pd.DataFrame, objective: str) -> Figure:
    """The objective along the training, at the angles and at their projection; `path` from `TrainingPath`.

    The grey line is what the projection hides: the distance from the plane.
    """
    x = path["epoch"].tolist()

    def line(column: str, name: str, color: str, **style: Any) -> Trace:
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": x,
            "y": path[column].tolist(),
            "line": {"color": color, "width": 2, **style},
            "hovertemplate": "%{y:.3~g}",
        }

    color = OBJECTIVE_COLORS[objective]
    distance = {**line("distance", "distance from the plane", DISTANCE_COLOR, width=1.5), "yaxis": "y2"}
    return {
        "data": [
            line("value", "where the run was", color),
            line("value_on_plane", "its projection on the plane", color, dash="dot"),
            distance,
        ],
        "layout": {
            "height": 300,
            "hovermode": "x unified",
            "margin": {"l": 56, "r": 56, "t": 8, "b": 38},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": {"title": {"text": "epoch"}, "range": [0, x[-1]]},
            "yaxis": {"title": {"text": f"{objective.upper()}, exact, nats"}},
            "yaxis2": {
                "title": {"text": "distance, radians"},
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
                "rangemode": "tozero",
                "tickmode": "auto",
                "nticks": 6,
            },
        },
    }


def sampled_figure(
    scan: LandscapeScan,
    sampled: SampledScan,
    objective: str,
    regularization: float | None = None,
    bandwidth: float | None = None,
) -> Figure:
    """Three heatmaps of one objective: exact, the mean of its estimates, and the standard error of that."""
    own = (objective, regularization, bandwidth)
    exact = scan.values(*own)
    mean, error = mean_and_error(sampled.values(*own))
    repeats = sampled.expected_log_likelihood.shape[2]
    low, high = min(exact.min(), mean.min()), max(exact.max(), mean.max())
    panels = (
        ("exact", scan.axis, exact, LANDSCAPE_SCALE, (low, high)),
        (f"mean of {repeats} estimates", sampled.axis, mean, LANDSCAPE_SCALE, (low, high)),
        ("standard error of that mean", sampled.axis, error, ERROR_SCALE, (0.0, float(error.max()) or 1.0)),
    )
    data: list[Trace] = []
    layout: dict[str, Any] = {
        "height": 330,
        "margin": {"l": 44, "r": 8, "t": 30, "b": 36},
        "annotations": [],
    }
    for i, (name, axis, z, scale, (zmin, zmax)) in enumerate(panels):
        left, width, number = 0.345 * i, 0.255, "" if i == 0 else str(i + 1)
        data.append(
            {
                "type": "heatmap",
                "x": axis.tolist(),
                "y": axis.tolist(),
                "z": z.tolist(),
                "zmin": zmin,
                "zmax": zmax,
                "colorscale": scale,
                "xaxis": f"x{number}",
                "yaxis": f"y{number}",
                "colorbar": {"x": left + width + 0.005, "thickness": 8, "outlinewidth": 0},
                "hovertemplate": name + " %{z:.4~g} nats<extra></extra>",
            }
        )
        side = {**_ticks(axis), "zeroline": False, "showgrid": False}
        layout[f"xaxis{number}"] = {**side, "domain": [left, left + width]}
        layout[f"yaxis{number}"] = {**side, "scaleanchor": f"x{number}", "anchor": f"x{number}"}
        layout["annotations"].append(
            {
                "text": name,
                "x": left,
                "y": 1.02,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    return {"data": data, "layout": layout}


def _ticks(axis: Float) -> dict[str, Any]:
    """Five ticks in units of pi."""
    places = np.linspace(axis[0], axis[-1], 5)
    return {"tickvals": places.tolist(), "ticktext": [f"{place / np.pi:.3g}π" for place in places]}


def point_figures(config: RunConfig, angles: Float) -> tuple[Figure, Figure]:
    """(decision boundary, histogram of bitstrings) at angles (n_layers, 2, n_qubits), measured once.

    Of an exact run the boundary is that of VIEW_SAMPLES networks, and the histogram is q itself.
    """
    problem = score_table(config)
    q = get_simulator(config.simulator, config.n_qubits).probabilities(angles[None])[0]
    shots = config.shots or VIEW_SAMPLES
    samples = np.random.default_rng(config.seed).choice(q.size, shots, p=q / q.sum())
    axes = plot_axes(problem)
    boundary = boundary_figure(problem, axes, decision_surfaces(problem, samples, int(q.argmax()), axes))
    return boundary, histogram_figure(problem, samples if config.shots else samples[:0], q)
