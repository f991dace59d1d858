"""Draw the measurements of `growth` as lines on log plots, each with its exponent and the ideal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qhn_core.bench.growth import (
    DRAWN_LAYERS,
    DRAWN_QUBITS,
    EXACT,
    LARGE,
    SMALL,
    TEXT,
    Point,
    slope,
)
from qhn_core.figures.html import Body
from qhn_core.figures.style import OBJECTIVE_COLORS, PIN_COLORS, RATE_COLOR, Figure, Trace

LEAST_QUBITS, LEAST_LAYERS = 14, 3
"""Exponents are fitted from here on; `growth.TEXT` says why."""
LAYER_COLORS = dict(zip((1, 2, 3, 6), PIN_COLORS, strict=True))
TITLES = {
    "qubits": "Exact ELBO and gradient, a seed, against qubits",
    "layers": "Exact ELBO and gradient, a seed, against layers",
    "sampled": "An epoch of training from 100 shots, a seed, against qubits",
}
TICKS = {
    "qubits": list(range(8, 25, 4)),
    "layers": list(range(1, 7)),
    "sampled": [10, 20, 50, 100, 200, 500, 1000],
}


@dataclass(frozen=True)
class Line:
    """Points that differ only in qubits or only in layers; an exponent is fitted to some, or to none."""

    name: str
    color: str
    points: Sequence[Point]
    fitted: Sequence[Point] = ()

    @property
    def label(self) -> str:
        """The name, with the fitted exponent if there is one."""
        if len(self.fitted) < 2:
            return self.name
        return f"{self.name}: slope {slope(self.fitted):.2f}, ideal {self.fitted[0].ideal}"


def lines(points: Sequence[Point]) -> dict[str, list[Line]]:
    """Sort points into the lines of each panel of TITLES."""
    exact = [p for p in points if p.work == EXACT]
    panels: dict[str, list[Line]] = {name: [] for name in TITLES}
    for n_layers in DRAWN_LAYERS:
        found = [p for p in exact if p.n_layers == n_layers]
        fitted = [p for p in found if p.n_qubits >= LEAST_QUBITS]
        panels["qubits"].append(Line(f"L={n_layers}", LAYER_COLORS[n_layers], found, fitted))
    for n in DRAWN_QUBITS:
        found = [p for p in exact if p.n_qubits == n]
        fitted = [p for p in found if p.n_layers >= LEAST_LAYERS]
        panels["layers"].append(Line(f"n={n}", OBJECTIVE_COLORS["elbo"], found, fitted))
    for n_layers in LAYER_COLORS:
        found = [p for p in points if (p.work, p.n_layers) == (SMALL, n_layers)]
        panels["sampled"].append(Line(f"2-h-1, L={n_layers}", LAYER_COLORS[n_layers], found))
    large = [p for p in points if p.work == LARGE]
    panels["sampled"].append(Line("64-h-1, L=1", LAYER_COLORS[1], large, large))
    return {name: [line for line in panel if line.points] for name, panel in panels.items()}


def _traces(line: Line, x: Sequence[float]) -> list[Trace]:
    """Draw the measured line, labelled at its end, and the ideal through its last point if it is fitted."""
    last = line.points[-1]
    ideal = [last.seconds * (p.size / last.size) ** last.ideal for p in line.points]
    base: Trace = {"type": "scatter", "x": list(x)}
    dashed = {
        **base,
        "mode": "lines",
        "name": f"ideal, {line.name}",
        "y": ideal,
        "line": {"color": RATE_COLOR, "width": 1, "dash": "dash"},
        "hoverinfo": "skip",
    }
    measured = {
        **base,
        "mode": "lines+markers+text",
        "name": line.name,
        "y": [p.seconds for p in line.points],
        "line": {"color": line.color, "width": 2},
        "text": [""] * (len(line.points) - 1) + [f" {line.label}"],
        "textposition": "middle right",
        "textfont": {"size": 11, "color": line.color},
        "cliponaxis": False,
        "customdata": [p.simulator for p in line.points],
        "hovertemplate": "%{y:.3~s}s, %{customdata}",
    }
    return [dashed, measured] if line.fitted else [measured]


def figures(points: Sequence[Point]) -> dict[str, Figure]:
    """Draw a figure for each panel: time in seconds on a log axis against qubits or layers.

    Layers are on a log axis too, and so are qubits that span decades. On a linear axis of qubits, 2^n is
    a straight line.
    """
    out: dict[str, Figure] = {}
    for name, panel in lines(points).items():
        data: list[Trace] = []
        for line in panel:
            xs = [float(p.n_layers if name == "layers" else p.n_qubits) for p in line.points]
            data += _traces(line, xs)
        x_axis: dict[str, Any] = {"title": {"text": "layers L" if name == "layers" else "qubits n"}}
        x_axis |= {"tickvals": TICKS[name], "type": "linear" if name == "qubits" else "log"}
        times = np.log10([p.seconds for line in panel for p in line.points])
        y_axis = {"title": {"text": "median time"}, "type": "log", "dtick": 1, "tickformat": "~s"}
        if panel:  # the frame fits the measurements; the ideal may leave it
            y_axis["range"] = [times.min() - 0.3, times.max() + 0.3]
        out[name] = {
            "data": data,
            "layout": {
                "hovermode": "x unified",
                "showlegend": False,
                "margin": {"l": 72, "r": 150, "t": 8, "b": 40},
                "xaxis": x_axis,
                "yaxis": {**y_axis, "ticksuffix": "s"},
            },
        }
    return out


def slopes(points: Sequence[Point]) -> list[str]:
    """Write the fitted lines in words, for the terminal."""
    panels = lines(points)
    return [f"{TITLES[name]}, {line.label}" for name in panels for line in panels[name] if line.fitted]


def page(points: Sequence[Point], machine: str) -> str:
    """Make one HTML file of the figures, which opens without a network."""
    body = Body()
    body.heading("How time grows", 1)
    body.text(machine, "note")
    body.bullets([*TEXT, "Dashed: the ideal through a line's last point."])
    drawn = figures(points)
    body.plots({TITLES[name]: drawn[name] for name in ("qubits", "layers")}, "tall")
    body.plots({TITLES["sampled"]: drawn["sampled"]}, "tall")
    return body.page("How time grows")
