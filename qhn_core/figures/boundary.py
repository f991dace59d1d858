"""What the networks predict over the plane of the inputs, as a Plotly figure."""

from typing import Any

import numpy as np

from qhn_core.bits import Float
from qhn_core.figures.style import CLASS_COLORS, Figure, Trace
from qhn_core.model.scores import NetworkScores

PREDICTION_SCALE = [[0.0, CLASS_COLORS[0]], [0.5, "#F7F7F5"], [1.0, CLASS_COLORS[1]]]
UNCERTAINTY_SCALE = [[0.0, "#F7F7F5"], [1.0, "#5B3A8E"]]


def boundary_figure(problem: NetworkScores, axes: tuple[Float, Float], surfaces: list[Float]) -> Figure:
    """Predictions over the plane under the test points.

    surfaces: mean and standard deviation of P(class 1) over the sampled networks, and P(class 1)
    of the most probable network, each (len(axes[1]), len(axes[0])).
    """
    data = prediction_heatmaps(axes, surfaces)
    for trace in data:
        trace["zsmooth"] = "best"
    for target, color in enumerate(CLASS_COLORS):
        points = problem.dataset.x_test[problem.dataset.y_test == target]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"class {target}",
                "x": points[:, 0].round(3).tolist(),
                "y": points[:, 1].round(3).tolist(),
                "marker": {
                    "color": color,
                    "size": 5,
                    "line": {"color": "white", "width": 0.7},
                },
                "hovertemplate": f"test point, class {target}<extra></extra>",
                "showlegend": False,
            }
        )
    layout = {
        "margin": {"l": 40, "r": 8, "t": 8, "b": 34},
        "xaxis": {
            "title": {"text": "x₁"},
            "constrain": "domain",
            "constraintoward": "right",
            "range": _ends(axes[0]),
        },
        "yaxis": {
            "title": {"text": "x₂"},
            "scaleanchor": "x",
            "constrain": "domain",
            "range": _ends(axes[1]),
        },
    }
    return {"data": data, "layout": layout}


def prediction_heatmaps(axes: tuple[Float, Float], surfaces: list[Float]) -> list[Trace]:
    """Mean (which is seen at first), standard deviation and single prediction, one over the other."""
    styles = [
        ("P(class 1)", PREDICTION_SCALE, 1.0, True),
        ("standard deviation", UNCERTAINTY_SCALE, 0.5, False),
        ("P(class 1)", PREDICTION_SCALE, 1.0, False),
    ]
    return [
        {
            "type": "heatmap",
            "x": axes[0].tolist(),
            "y": axes[1].tolist(),
            "z": short(z),
            "zmin": 0,
            "zmax": top,
            "colorscale": scale,
            "visible": visible,
            "colorbar": {"thickness": 10, "outlinewidth": 0, "title": {"text": label, "side": "right"}},
            "hovertemplate": label + " %{z:.3~g}<extra></extra>",
        }
        for z, (label, scale, top, visible) in zip(surfaces, styles, strict=True)
    ]


def _ends(axis: Float) -> list[float]:
    return [float(axis[0]), float(axis[-1])]


def short(values: Float) -> list[Any]:
    """Values to two decimals, as lists: enough for a colour, and a quarter of the bytes."""
    return np.round(values, 2).tolist()
