"""Plotly figures of a run's curves: the objective and its parts, the gradient and the learning rate."""

from qhn_core.config import RunConfig
from qhn_core.figures.style import (
    LIKELIHOOD_COLOR,
    OBJECTIVE_COLORS,
    PIN_COLORS,
    RATE_COLOR,
    REGULARIZER_COLOR,
    Figure,
    Stats,
    Trace,
    band,
    epochs_layout,
    line_trace,
)
from qhn_core.model.scores import NetworkScores
from qhn_core.objectives.terms import upper_bound


def objective_figure(config: RunConfig, problem: NetworkScores, stats: Stats) -> Figure:
    """Draw the objective, its exact value and its parts against epochs; `stats` from `over_seeds`.

    The dashed line is the value that no distribution exceeds (`upper_bound`). Without tables, neither
    that nor the exact value is known.
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
    layout = epochs_layout(config.epochs, f"{name}, nats", right)
    if problem.table is None:
        return {"data": data, "layout": layout}
    exact = stats["exact_objective_mean"].tolist()
    data.append(line_trace(x, exact, f"{name}, exact", color, dash="dot", width=1.5))
    level, label = upper_bound(config, problem.table)
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
    """Draw the mean of one column of a pinned run, in the colour of its place (0 to 3)."""
    name = f"pin {place + 1}: {config.objective.upper()}"
    if config.objective != "mle":
        name += f" λ={config.regularization:g}"
    line = line_trace(stats["epoch"].tolist(), stats[f"{column}_mean"].tolist(), name, PIN_COLORS[place])
    line["line"].update({"width": 1.5, "dash": "dash"})
    return line


def gradient_figure(config: RunConfig, stats: Stats) -> Figure:
    """Draw the mean |dL/dθ| over all angles, and the learning rate, against epochs."""
    color = OBJECTIVE_COLORS[config.objective]
    data = band(stats, "gradient_magnitude", "mean |∂L/∂θ|", color)
    rate = stats["learning_rate_mean"].tolist()
    data.append(
        line_trace(stats["epoch"].tolist(), rate, "learning rate", RATE_COLOR, "y2", dash="dot", width=1.5)
    )
    layout = epochs_layout(config.epochs, "mean |∂L/∂θ|, nats per radian", "learning rate η")
    layout["yaxis"]["rangemode"] = "tozero"
    layout["yaxis2"].update({"type": "log", "dtick": 3, "exponentformat": "power"})
    return {"data": data, "layout": layout}
