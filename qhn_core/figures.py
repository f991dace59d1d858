"""Results as Plotly figures: pure functions that return {"data": [...], "layout": {...}}.

Plain dictionaries, because the live views rebuild them many times a second; wrap one in
`plotly.graph_objects.Figure` to use it in a notebook.
"""

from typing import Any

import numpy as np

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.config import RunConfig
from qhn_core.evaluation import log_evidence
from qhn_core.network import BinaryNetwork
from qhn_core.objectives import log_likelihoods
from qhn_core.problem import LargeProblem, Problem
from qhn_core.training import Rows

Figure = dict[str, Any]
Trace = dict[str, Any]
Stats = dict[str, Any]
"""Columns by name, one entry per epoch."""

OBJECTIVE_COLORS = {"mle": "#6B7280", "elbo": "#0F9D8A", "selbo": "#B5399B"}
CLASS_COLORS = ("#3B76AF", "#E8833A")
LIKELIHOOD_COLOR, REGULARIZER_COLOR, RATE_COLOR = "#4C78A8", "#C08A1E", "#8A8F98"
PIN_COLORS = ("#D1495B", "#4E9F3D", "#3D5A9E", "#9D755D")
PREDICTION_SCALE = [[0.0, CLASS_COLORS[0]], [0.5, "#F7F7F5"], [1.0, CLASS_COLORS[1]]]
UNCERTAINTY_SCALE = [[0.0, "#F7F7F5"], [1.0, "#5B3A8E"]]
BITSTRINGS_SHOWN = 16


def over_seeds(rows: Rows) -> Stats:
    """Mean and standard deviation over seeds, one entry per epoch; columns like `objective_mean`.

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
    """Mean line over a band of one standard deviation: three traces (low, high, mean)."""
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
    """One line; `line` are further properties of its stroke."""
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
    """A colour "#rrggbb" at 20 % opacity."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"


def _layout(config: RunConfig, left: str, right: str | None) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "hovermode": "x unified",
        "margin": {"l": 56, "r": 56 if right else 16, "t": 8, "b": 38},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {"title": {"text": "epoch"}, "range": [0, config.epochs]},
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


def objective_figure(config: RunConfig, problem: Problem | LargeProblem, stats: Stats) -> Figure:
    """The objective, its exact value and its parts against epochs; `stats` from `over_seeds`.

    The dashed reference is the log evidence for the ELBO at λ = 1 (which bounds it) and the best
    network's log-likelihood otherwise. Without tables neither that nor the exact value is known.
    """
    name = config.objective.upper()
    color = OBJECTIVE_COLORS[config.objective]
    x = stats["epoch"].tolist()
    data: list[Trace] = []
    if config.objective != "mle":
        column, label = {"elbo": ("kl", "KL"), "selbo": ("mmd_squared", "MMD²")}[config.objective]
        data += band(stats, "expected_log_likelihood", "expected log-likelihood", LIKELIHOOD_COLOR)
        data += band(stats, column, label, REGULARIZER_COLOR, "y2")
        right = f"{label} to the prior" + (", nats" if column == "kl" else "")
    else:
        right = None
    data += band(stats, "objective", name, color)
    layout = _layout(config, f"{name}, nats", right)
    if isinstance(problem, LargeProblem):
        return {"data": data, "layout": layout}
    exact = stats["exact_objective_mean"].tolist()
    data.append(line_trace(x, exact, f"{name}, exact", color, dash="dot", width=1.5))
    level, label = reference_line(config, problem)
    layout["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": level,
            "y1": level,
            "line": {"dash": "dash", "width": 1, "color": "#8A8F98"},
        }
    ]
    layout["annotations"] = [
        {
            "xref": "paper",
            "x": 1,
            "y": level,
            "xanchor": "right",
            "yanchor": "bottom",
            "showarrow": False,
            "text": f"{label} {level:.1f}".replace("-", "−"),
            "font": {"size": 11},
        }
    ]
    return {"data": data, "layout": layout}


def pinned_line(config: RunConfig, stats: Stats, column: str, place: int) -> Trace:
    """The mean of one column of a pinned run, in the fixed style of its place (0 to 3)."""
    name = f"pin {place + 1}: {config.objective.upper()}"
    if config.objective != "mle":
        name += f" λ={config.regularization:g}"
    line = line_trace(stats["epoch"].tolist(), stats[f"{column}_mean"].tolist(), name, PIN_COLORS[place])
    line["line"].update({"width": 1.5, "dash": "dash"})
    return line


def reference_line(config: RunConfig, problem: Problem) -> tuple[float, str]:
    """(level in nats, label) of what the objective can be held against."""
    if config.objective == "elbo" and config.likelihood == "sum" and config.regularization == 1:
        return log_evidence(problem), "log evidence"
    return float(log_likelihoods(config, problem).max()), "best network"


def gradient_figure(config: RunConfig, stats: Stats) -> Figure:
    """Mean |dL/dθ| over all angles, and the learning rate, against epochs."""
    color = OBJECTIVE_COLORS[config.objective]
    data = band(stats, "gradient_magnitude", "mean |∂L/∂θ|", color)
    rate = stats["learning_rate_mean"].tolist()
    data.append(
        line_trace(stats["epoch"].tolist(), rate, "learning rate", RATE_COLOR, "y2", dash="dot", width=1.5)
    )
    layout = _layout(config, "mean |∂L/∂θ|, nats per radian", "learning rate η")
    layout["yaxis"]["rangemode"] = "tozero"
    layout["yaxis2"].update({"type": "log", "dtick": 3, "exponentformat": "power"})
    return {"data": data, "layout": layout}


def boundary_figure(
    problem: Problem | LargeProblem, axes: tuple[Float, Float], surfaces: list[Float]
) -> Figure:
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


def histogram_figure(problem: Problem, samples: Index, exact: Float) -> Figure:
    """The most frequent sampled bitstrings beside their exact probabilities.

    samples (shots,): measured basis states, empty for an exact run; exact (2**n,): q at the same
    angles. Hover tells the decoded network and its scores.
    """
    states, counts = np.unique(samples, return_counts=True)
    if len(samples):
        order = np.lexsort((-exact[states], -counts))[:BITSTRINGS_SHOWN]
        shown, share = states[order], counts[order] / len(samples)
    else:
        shown = np.argsort(-exact, kind="stable")[:BITSTRINGS_SHOWN]
        share = exact[shown]
    bits = index_to_bits(shown, problem.network.n_bits)
    names = ["".join(map(str, row)) for row in bits]
    hover = [network_text(problem, int(i), row) for i, row in zip(shown, bits, strict=True)]
    return bars_figure(names, share, exact[shown], hover, sampled=bool(len(samples)))


def bars_figure(names: list[str], share: Float, exact: Float, hover: list[str], sampled: bool) -> Figure:
    """Networks by name, each with its share of the shots (or q) as a bar, and exact q as a mark."""
    data: list[Trace] = [
        {
            "type": "bar",
            "name": "sampled" if sampled else "exact q",
            "x": names,
            "y": share.round(4).tolist(),
            "customdata": hover,
            "marker": {"color": "#7C8798"},
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "exact q",
            "x": names,
            "y": exact.round(6).tolist(),
            "marker": {"symbol": "line-ew-open", "size": 14, "color": "#B5399B", "line": {"width": 2}},
            "hovertemplate": "exact q %{y:.3~g}<extra></extra>",
            "visible": sampled,
        },
    ]
    layout = {
        "margin": {"l": 48, "r": 8, "t": 8, "b": 12 + 6 * max(map(len, names))},
        "hovermode": "closest",
        "xaxis": {
            "type": "category",
            "range": [-0.6, BITSTRINGS_SHOWN - 0.4],  # bars as wide at the end as at the start
            "tickangle": -60,
            "tickfont": {"family": "monospace", "size": 10},
        },
        "yaxis": {"title": {"text": "share of the shots" if sampled else "q"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    }
    return {"data": data, "layout": layout}


def network_text(problem: Problem, index: int, bits: Bits) -> str:
    """A network in words, for a hover: weights, biases, activation and scores."""

    def signs(values: Any) -> str:
        return " ".join("+" if v > 0 else "−" for v in np.ravel(values))

    network: BinaryNetwork = problem.network
    w1, w2, b2, b1 = network.weights(bits)
    lines = [
        f"<b>{''.join(map(str, bits))}</b>",
        "W₁ " + " | ".join(signs(row) for row in w1) + f"   b₁ {signs(b1)}",
        f"W₂ {signs(w2)}   b₂ {signs(b2)}",
        "sigmoid hidden units" if bits[-1] else "ReLU hidden units",
        f"BCE: train {problem.train_bce[index]:.3f}, test {problem.test_bce[index]:.3f}",
        f"test accuracy {problem.test_accuracy[index]:.3f}",
    ]
    return "<br>".join(lines)
