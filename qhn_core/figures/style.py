"""What the figures share: their types and colours, lines with bands, and the layout of curves.

A figure is made by a pure function, as a dictionary {"data": [...], "layout": {...}}. The live views
rebuild figures many times a second, which is why they are plain dictionaries; wrap one in
`plotly.graph_objects.Figure` to use it in a notebook. The figures themselves are in `curves`,
`boundary`, `histogram`, `sampled_networks` and `landscape`.
"""

from typing import Any

import numpy as np

from qhn_core.training.history import Rows

Figure = dict[str, Any]
Trace = dict[str, Any]
Stats = dict[str, Any]
"""Columns by name, one entry per epoch."""

OBJECTIVE_COLORS = {"mle": "#6B7280", "elbo": "#0F9D8A", "selbo": "#B5399B"}
CLASS_COLORS = ("#3B76AF", "#E8833A")
LIKELIHOOD_COLOR, REGULARIZER_COLOR, RATE_COLOR = "#4C78A8", "#C08A1E", "#8A8F98"
PIN_COLORS = ("#D1495B", "#3D74D6", "#B8860B", "#3F9DB0")


def over_seeds(rows: Rows) -> Stats:
    """Compute mean and standard deviation over seeds: columns like `objective_mean`, an entry per epoch.

    >>> stats = over_seeds({"seed": [0, 1, 0], "epoch": [1, 1, 2], "kl": [2.0, 4.0, 1.0]})
    >>> stats["epoch"].tolist(), stats["kl_mean"].tolist(), stats["kl_std"].tolist()
    ([1, 2], [3.0, 1.0], [1.0, 0.0])
    """
    epochs, which, counts = np.unique(rows["epoch"], return_inverse=True, return_counts=True)
    stats = {"epoch": epochs}
    for name in rows.keys() - {"seed", "epoch"}:
        mean = np.bincount(which, rows[name]) / counts
        stats[f"{name}_mean"] = mean
        with np.errstate(invalid="ignore"):  # infinity has no spread
            variance = np.bincount(which, (rows[name] - mean[which]) ** 2) / counts
        stats[f"{name}_std"] = np.sqrt(variance)
    return stats


def band(stats: Stats, column: str, name: str, color: str, axis: str = "y") -> list[Trace]:
    """Make a mean line over a band of one standard deviation: three traces (low, high, mean)."""
    x = stats["epoch"].tolist()
    mean, std = stats[f"{column}_mean"], stats[f"{column}_std"]
    edge = {
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "yaxis": axis,
        "x": x,
    }
    return [
        {**edge, "y": (mean - std).tolist()},
        {**edge, "y": (mean + std).tolist(), "fill": "tonexty", "fillcolor": faint(color)},
        line_trace(x, mean.tolist(), name, color, axis),
    ]


def line_trace(
    x: list[float], y: list[float], name: str, color: str, axis: str = "y", **line: Any
) -> Trace:
    """Make one line; `line` has further properties of its stroke."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "yaxis": axis,
        "line": {"color": color, "width": 2, **line},
        "hovertemplate": "%{y:.3~g}",
    }


def faint(color: str) -> str:
    """Make a colour "#rrggbb" translucent, with 20 % opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def epochs_layout(epochs: int, left: str, right: str | None) -> dict[str, Any]:
    """The layout of curves against epochs; left and right are the titles of the y axes."""
    layout: dict[str, Any] = {
        "hovermode": "x unified",
        "margin": {"l": 56, "r": 56 if right else 16, "t": 8, "b": 38},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {"title": {"text": "epoch"}, "range": [0, epochs]},
        "yaxis": {"title": {"text": left}},
    }
    if right:
        layout["yaxis2"] = {
            "title": {"text": right},
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "tickmode": "auto",
            "nticks": 6,
        }
    return layout
