"""Figures 2 to 6 of the paper, and figures that it does not have, as Plotly dictionaries."""

from typing import Any

import numpy as np
import pandas as pd

from qhn_core.figures.style import (
    CLASS_COLORS,
    LIKELIHOOD_COLOR,
    OBJECTIVE_COLORS,
    REGULARIZER_COLOR,
    Figure,
    Stats,
    Trace,
    band,
    line_trace,
)
from qhn_core.model.datasets import load_dataset
from qhn_core.paper.beyond import beyond
from qhn_core.paper.conventions import METHODS, Conventions
from qhn_core.paper.results import PaperResults
from qhn_core.paper.tables import contrasts

DASHES = {"SELBO λ=0.01": "solid", "SELBO λ=1": "dash", "SELBO λ=100": "dot", "SELBO λ=1000": "dashdot"}
KIND_DASHES = {
    "chain-rule": "solid",
    "algorithm-1": "dot",
    "constant": "solid",
    "linear": "dash",
    "exponential": "dot",
    "cyclical": "dashdot",
}
VARIED = {
    "strength": "regularization",
    "layers": "n_layers",
    "annealing": "regularization",
    "shots": "shots",
}
"""The config field on the x axis of each part beyond the paper."""
VARIED_TITLES = {"regularization": "λ", "n_layers": "layers L", "shots": "shots N_qc"}
ASIDE = 0.05
"""Distance between lines that are drawn at the same value, in steps of the axis."""
SCORE_TITLES = {"test_bce": "test BCE, nats", "test_accuracy": "test accuracy"}


def layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    """Return the layout that these figures share; x and y are the titles of the axes."""
    return {
        "hovermode": "x unified",
        "margin": {"l": 56, "r": 16, "t": 8, "b": 40},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        **more,
    }


def figure_2(results: PaperResults, dataset: str) -> Figure:
    """Draw a dataset: training points, and test points fainter."""
    base = results.provenance.paper[0]
    data = load_dataset(
        dataset,
        base.dataset_seed,
        base.n_train_per_class,
        base.n_test_per_class,
        base.dataset_noise,
        base.dataset_scale,
    )
    traces: list[Trace] = []
    sets = (("training", data.x_train, data.y_train, 0.9), ("test", data.x_test, data.y_test, 0.35))
    for name, x, y, opacity in sets:
        for target, color in enumerate(CLASS_COLORS):
            points = x[y == target]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"class {target}, {name}",
                    "x": points[:, 0].round(3).tolist(),
                    "y": points[:, 1].round(3).tolist(),
                    "marker": {"color": color, "size": 5, "opacity": opacity},
                    "hovertemplate": "%{x:.3~g}, %{y:.3~g}",
                }
            )
    shape = layout("x₁", "x₂", hovermode="closest")
    shape["yaxis"]["scaleanchor"] = "x"
    return {"data": traces, "layout": shape}


def figure_3(
    results: PaperResults, conventions: Conventions, method: str, dataset: str = "gaussian"
) -> Figure:
    """Draw ELBO or SELBO and its parts during training; KL without its constant n ln 2, as in the paper.

    The figure is empty for MLE, and for a method that was not run.
    """
    run = results.find(dataset, method, conventions)
    if run is None or method == "MLE":
        return {"data": [], "layout": layout("epoch", "nats")}
    config, stats = results.configs[run], results.curve(run).copy()
    if config.objective == "elbo":
        constant = config.n_qubits * np.log(2)
        stats["kl_mean"] -= constant
        stats["objective_mean"] += config.regularization * constant
    column, label = {"elbo": ("kl", "KL − n ln 2"), "selbo": ("mmd_squared", "MMD²")}[config.objective]
    short = _rounded(stats)
    data = [
        *band(short, "expected_log_likelihood", "expected log-likelihood", LIKELIHOOD_COLOR),
        *band(short, column, label, REGULARIZER_COLOR, "y2"),
        *band(short, "objective", method, OBJECTIVE_COLORS[config.objective]),
    ]
    shape = layout("epoch", f"{method}, nats")
    shape["margin"]["r"] = 56
    shape["yaxis2"] = {"title": {"text": label}, "overlaying": "y", "side": "right", "showgrid": False}
    return {"data": data, "layout": shape}


def figure_4(results: PaperResults, conventions: Conventions, dataset: str) -> Figure:
    """Draw every method's objective during training, per training point, so that sum and mean compare."""
    return _curves(results, conventions, dataset, "objective", "objective per training point, nats")


def figure_5(results: PaperResults, conventions: Conventions, dataset: str) -> Figure:
    """Draw the mean gradient magnitude of every method during training, per training point."""
    title = "mean |∂L/∂θ| per training point"
    figure = _curves(results, conventions, dataset, "gradient_magnitude", title)
    figure["layout"]["yaxis"]["rangemode"] = "tozero"
    return figure


def _curves(
    results: PaperResults, conventions: Conventions, dataset: str, column: str, title: str
) -> Figure:
    data: list[Trace] = []
    for method, stats in results.curves_per_point(dataset, conventions).items():
        color = OBJECTIVE_COLORS[METHODS[method]["objective"]]
        traces = band(_rounded(stats), column, method, color)
        traces[-1]["line"]["dash"] = DASHES.get(method, "solid")
        data += [{**trace, "legendgroup": method} for trace in traces]
    return {"data": data, "layout": layout("epoch", title)}


def _rounded(stats: pd.DataFrame) -> Stats:
    """Round to five significant digits. This halves a report, and no screen shows more."""
    return {str(c): np.array([float(f"{value:.5g}") for value in stats[c]]) for c in stats}


def figure_6(results: PaperResults, objective: str) -> Figure:
    """Draw an exact objective ("mle", "elbo" or "selbo", λ = 1) on the plane `provenance.slice`."""
    table = results.landscape
    axis = np.unique(table.x)
    z = table[objective].to_numpy().reshape(len(axis), len(axis))
    trace = {
        "type": "heatmap",
        "x": axis.round(4).tolist(),
        "y": axis.round(4).tolist(),
        "z": z.round(2).tolist(),
        "colorscale": "Cividis",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "title": {"text": "nats", "side": "right"}},
        "hovertemplate": "%{z:.3~g} nats<extra></extra>",
    }
    shape = layout("direction 1, radians", "direction 2, radians", hovermode="closest")
    shape["xaxis"]["constrain"] = shape["yaxis"]["constrain"] = "domain"
    shape["yaxis"]["scaleanchor"] = "x"
    return {"data": [trace], "layout": shape}


def contrast_figure(results: PaperResults, conventions: Conventions, score: str = "test_bce") -> Figure:
    """Draw each method minus MLE with its 95 % interval, by dataset, beside the published differences."""
    table = contrasts(results, conventions, score).reset_index()
    if not len(table):
        return {"data": [], "layout": layout("", "")}
    names = (table.dataset + ", " + table.method).tolist()
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "measured here",
            "x": table.difference.tolist(),
            "y": names,
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": (table.high - table.difference).tolist(),
                "arrayminus": (table.difference - table.low).tolist(),
            },
            "marker": {"size": 8, "color": OBJECTIVE_COLORS["selbo"]},
            "hovertemplate": "%{x:.3~g}",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "published",
            "x": [None if pd.isna(v) else v for v in table.published],
            "y": names,
            "marker": {"size": 10, "symbol": "line-ns-open", "color": "#8A8F98", "line": {"width": 2}},
            "hovertemplate": "%{x:.3~g}",
        },
    ]
    title = f"difference from MLE in {SCORE_TITLES[score]}"
    shape = layout(title, "", hovermode="closest")
    shape["margin"]["l"] = 150
    shape["xaxis"] |= {"zeroline": True, "zerolinewidth": 1.5, "zerolinecolor": "#8A8F98"}
    shape["yaxis"] |= {"autorange": "reversed", "type": "category"}
    return {"data": data, "layout": shape}


def beyond_figure(
    results: PaperResults, part: str, dataset: str, network: str = "last epoch", score: str = "test_bce"
) -> Figure:
    """Draw a score against the field that a part of `BEYOND` varies: mean ± standard deviation over seeds.

    Annealing is drawn against λ, by the chain rule if that was run.
    """
    table = beyond(results, part, network, score)
    table = table[table.dataset == dataset]
    groups, title = ["objective", "gradient"], VARIED_TITLES[VARIED[part]]
    if part == "annealing":
        groups[1], rule = "annealing", table.gradient.max()
        table, title = table[table.gradient == rule], f"{title} at the start, by {rule}"
    ticks = {_tick(v): i for i, v in enumerate(sorted(table[VARIED[part]].unique(), key=_exact_last))}
    lines = list(table.groupby(groups))
    data: list[Trace] = []
    for place, ((objective, kind), rows) in enumerate(lines):
        labels = [_tick(value) for value in rows[VARIED[part]]]
        aside = (place - (len(lines) - 1) / 2) * ASIDE  # so that no bar hides another
        name = "MLE" if objective == "mle" else f"{str(objective).upper()}, {kind}"
        color, dash = OBJECTIVE_COLORS[str(objective)], KIND_DASHES[str(kind)]
        trace = line_trace([], rows["mean"].tolist(), name, color, dash=dash)
        trace |= {"x": [ticks[label] + aside for label in labels], "text": labels, "mode": "lines+markers"}
        trace["error_y"] = {"type": "data", "array": rows["std"].fillna(0).tolist(), "thickness": 1}
        trace["hovertemplate"] = "%{text}: %{y:.3~g} ± %{error_y.array:.3~g}"
        data.append(trace)
    shape = layout(title, SCORE_TITLES[score], hovermode="closest")
    shape["xaxis"] |= {"tickvals": list(ticks.values()), "ticktext": list(ticks), "zeroline": False}
    return {"data": data, "layout": shape}


def _exact_last(value: float) -> float:
    return np.inf if pd.isna(value) else value


def _tick(value: float) -> str:
    return "exact" if pd.isna(value) else f"{value:g}"
