"""Figures of networks with too many bits for a table: all that they show comes from samples."""

import hashlib
from dataclasses import dataclass
from math import isqrt

import numpy as np

from qhn_core.bits import Bits, Float, Index
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.figures.boundary import boundary_figure, prediction_heatmaps
from qhn_core.figures.histogram import BITSTRINGS_SHOWN, bars_figure, score_lines
from qhn_core.figures.style import Figure
from qhn_core.model.predictions import plot_axes, predictions
from qhn_core.model.scores import NetworkScores

ROWS, COLUMNS = 3, 14
"""The most rows and columns of test images of each class."""
MOST_NAMED = 24
"""The most bits of a network that is named by its bits; others are named by a hash."""
LINE_BITS, MOST_LINES = 48, 4
"""Bits in a line of a hover text, and lines of bits."""
INK_SCALE = [[0.0, "rgba(40,44,52,0)"], [1.0, "rgba(40,44,52,0.7)"]]
CLASS_NAMES = ("even (0)", "odd (1)")


@dataclass(frozen=True)
class Measured:
    """One circuit in closed form, and the networks that were sampled from it."""

    bits: Bits
    """The sampled networks (shots, n)."""
    circuit: ClosedForm


def prediction_axes(problem: NetworkScores) -> tuple[Float, Float]:
    """Choose where predictions are drawn: a grid in the plane, or (columns, rows) of the test images."""
    if problem.network.n_inputs == 2:
        return plot_axes(problem)
    rows, columns = _tiles(problem)
    return np.arange(columns, dtype=float), np.arange(2 * rows, dtype=float)


def prediction_surfaces(problem: NetworkScores, measured: Measured) -> list[Float]:
    """Compute the mean, the standard deviation and the most probable network's P(class 1).

    Each is an array over `prediction_axes`, (rows, columns).
    """
    axes = prediction_axes(problem)
    if problem.network.n_inputs == 2:
        points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    else:
        points = problem.dataset.x_test[shown_images(problem)]
    bits, counts = np.unique(measured.bits, axis=0, return_counts=True)
    top = measured.circuit.most_probable_bits()
    views = predictions(problem.network, bits, counts / counts.sum(), top, points)
    return [view.reshape(len(axes[1]), len(axes[0])) for view in views]


def predictions_figure(problem: NetworkScores, measured: Measured) -> Figure:
    """Draw the decision boundary where data lie in a plane; else test images on their predictions."""
    axes, surfaces = prediction_axes(problem), prediction_surfaces(problem, measured)
    if problem.network.n_inputs == 2:
        return boundary_figure(problem, axes, surfaces)
    return images_figure(problem, axes, surfaces)


def _tiles(problem: NetworkScores) -> tuple[int, int]:
    """Rows and columns of test images that are shown of each class: full rows only."""
    each = int(np.bincount(problem.dataset.y_test).min())
    columns = min(COLUMNS, each)
    return min(ROWS, each // columns), columns


def shown_images(problem: NetworkScores) -> Index:
    """List the test points in the order in which they are drawn: row by row, class 0 first."""
    rows, columns = _tiles(problem)
    return np.concatenate(
        [np.flatnonzero(problem.dataset.y_test == label)[: rows * columns] for label in (0, 1)]
    )


def images_figure(problem: NetworkScores, axes: tuple[Float, Float], surfaces: list[Float]) -> Figure:
    """Draw the test images in dark ink, each on the colour of its prediction.

    Class 0 is above class 1. Each image has a frame without ink, which shows the colour. surfaces: as of
    `prediction_surfaces`, each (2 rows, columns).
    """
    rows, columns = _tiles(problem)
    data = prediction_heatmaps(axes, surfaces)
    truth = [[CLASS_NAMES[int(row >= rows)]] * columns for row in range(2 * rows)]
    for trace in data:
        trace.update({"xgap": 2, "ygap": 2, "customdata": truth})
        trace["hovertemplate"] = "test image, %{customdata}<br>" + trace["hovertemplate"]
    side = isqrt(problem.network.n_inputs)
    images = problem.dataset.x_test[shown_images(problem)]
    low, high = images.min(), images.max()
    ink = ((images - low) / (high - low or 1)).reshape(2 * rows, columns, side, side)
    ink = np.pad(ink, ((0, 0), (0, 0), (1, 1), (1, 1)))
    side += 2
    pixels = ink.transpose(0, 2, 1, 3).reshape(2 * rows * side, columns * side)
    place = (np.arange(max(pixels.shape)) + 0.5) / side - 0.5
    data.append(
        {
            "type": "heatmap",
            "x": place[: columns * side].tolist(),
            "y": place[: 2 * rows * side].tolist(),
            "z": pixels.round(2).tolist(),
            "zmin": 0,
            "zmax": 1,
            "colorscale": INK_SCALE,
            "showscale": False,
            "hoverinfo": "skip",
        }
    )
    plain = {"showgrid": False, "zeroline": False, "constrain": "domain"}
    layout = {
        "margin": {"l": 56, "r": 8, "t": 8, "b": 8},
        "xaxis": {**plain, "visible": False, "range": [-0.5, columns - 0.5]},
        "yaxis": {
            **plain,
            "range": [2 * rows - 0.5, -0.5],  # downwards
            "scaleanchor": "x",
            "ticks": "",
            "tickvals": [rows / 2 - 0.5, 1.5 * rows - 0.5],
            "ticktext": list(CLASS_NAMES),
        },
    }
    return {"data": data, "layout": {**layout, "meta": {"title": "Test images"}}}


def networks_figure(problem: NetworkScores, measured: Measured) -> Figure:
    """Draw the most frequent sampled networks beside their exact probabilities."""
    bits, counts = np.unique(measured.bits, axis=0, return_counts=True)
    exact = measured.circuit.probability(bits)
    order = np.lexsort((-exact, -counts))[:BITSTRINGS_SHOWN]
    bits, share = bits[order], counts[order] / len(measured.bits)
    names = [network_name(row) for row in bits]
    hover = [
        "<br>".join([f"<b>{name}</b>", *digit_lines(row), *scores])
        for name, row, scores in zip(names, bits, score_lines(problem, bits), strict=True)
    ]
    return bars_figure(names, share, exact[order], hover, sampled=True)


def network_name(bits: Bits) -> str:
    """Name a network by its bits (n,), or by a short hash of many bits.

    >>> network_name(np.array([0, 1, 1], dtype=np.uint8)), network_name(np.ones(134, dtype=np.uint8))
    ('011', '#a61fa36')
    """
    text = "".join(map(str, bits))
    return text if len(text) <= MOST_NAMED else f"#{hashlib.sha256(text.encode()).hexdigest()[:7]}"


def digit_lines(bits: Bits) -> list[str]:
    """The bits (n,) of one network as lines of a hover text, of which at most `MOST_LINES` are shown."""
    digits = "".join(map(str, bits))
    lines = [digits[start : start + LINE_BITS] for start in range(0, len(digits), LINE_BITS)]
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "…"]
