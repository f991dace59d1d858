"""Figures of networks with too many bits for a table: what their samples say, and no more."""

import hashlib
from dataclasses import dataclass
from math import isqrt

import numpy as np

from qhn_core.bits import Bits, Float, Index
from qhn_core.circuits.closed_form import most_probable_bits, product_probability
from qhn_core.figures.boundary import boundary_figure, prediction_heatmaps
from qhn_core.figures.histogram import BITSTRINGS_SHOWN, bars_figure
from qhn_core.figures.style import Figure
from qhn_core.model.network import BinaryNetwork
from qhn_core.model.predictions import plot_axes, predictions
from qhn_core.model.scores import NetworkScores

ROWS, COLUMNS = 3, 14
"""Most rows and columns of test images, of each class."""
MOST_NAMED = 24
"""A network of more bits is named by a hash."""
LINE_BITS = 48
"""Bits in a line of a hover."""
INK_SCALE = [[0.0, "rgba(40,44,52,0)"], [1.0, "rgba(40,44,52,0.7)"]]
CLASS_NAMES = ("even (0)", "odd (1)")


@dataclass(frozen=True)
class Measured:
    """What is known of one circuit of one or two layers."""

    bits: Bits
    """Its sampled networks (shots, n)."""
    angles: Float
    """(L, 2, n)."""


def prediction_axes(problem: NetworkScores) -> tuple[Float, Float]:
    """Where predictions are drawn: on a grid in the plane, or (column, row) of the test images."""
    if problem.network.n_inputs == 2:
        return plot_axes(problem)
    rows, columns = _tiles(problem)
    return np.arange(columns, dtype=float), np.arange(2 * rows, dtype=float)


def prediction_surfaces(problem: NetworkScores, measured: Measured) -> list[Float]:
    """Mean, standard deviation and the most probable network's P(class 1) on `prediction_axes`."""
    axes = prediction_axes(problem)
    if problem.network.n_inputs == 2:
        points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    else:
        points = problem.dataset.x_test[shown_images(problem)]
    bits, counts = np.unique(measured.bits, axis=0, return_counts=True)
    top = most_probable_bits(measured.angles[None])
    views = predictions(problem.network, bits, counts / counts.sum(), top, points)
    return [view.reshape(len(axes[1]), len(axes[0])) for view in views]


def predictions_figure(problem: NetworkScores, measured: Measured) -> Figure:
    """The decision boundary where data lie in a plane; else the test images on their predictions."""
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
    """Test points in the order of their tiles: row by row, those of class 0 first."""
    rows, columns = _tiles(problem)
    return np.concatenate(
        [np.flatnonzero(problem.dataset.y_test == label)[: rows * columns] for label in (0, 1)]
    )


def images_figure(problem: NetworkScores, axes: tuple[Float, Float], surfaces: list[Float]) -> Figure:
    """Test images in dark ink, each on the colour of its prediction; class 0 above, class 1 below.

    A frame without ink lets the colour be seen around every image.

    surfaces: as of `prediction_surfaces`, each (2 rows, columns).
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
    """The most frequent sampled networks beside their exact probabilities, as `histogram_figure`."""
    bits, counts = np.unique(measured.bits, axis=0, return_counts=True)
    exact = product_probability(measured.angles, bits)
    order = np.lexsort((-exact, -counts))[:BITSTRINGS_SHOWN]
    bits, share = bits[order], counts[order] / len(measured.bits)
    names = [network_name(row) for row in bits]
    hover = network_texts(problem, names, bits)
    return bars_figure(names, share, exact[order], hover, sampled=True)


def network_name(bits: Bits) -> str:
    """The bits (n,), or where they are many a short hash of them: the same network, the same name.

    >>> network_name(np.array([0, 1, 1], dtype=np.uint8)), network_name(np.ones(134, dtype=np.uint8))
    ('011', '#a61fa36')
    """
    text = "".join(map(str, bits))
    return text if len(text) <= MOST_NAMED else f"#{hashlib.sha256(text.encode()).hexdigest()[:7]}"


def network_texts(problem: NetworkScores, names: list[str], bits: Bits) -> list[str]:
    """Networks (B, n) in words, for a hover: bits, activation and scores."""
    network: BinaryNetwork = problem.network
    data = problem.dataset
    parts = []
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        likelihood = network.log_likelihood(bits, x, y)
        parts.append((-likelihood / len(y), ((network.logits(bits, x) > 0) == y).mean(axis=1)))
    (train, _), (test, accuracy) = parts
    texts = []
    for i, row in enumerate(bits):
        digits = "".join(map(str, row))
        lines = [digits[start : start + LINE_BITS] for start in range(0, len(digits), LINE_BITS)]
        texts.append(
            "<br>".join(
                [
                    f"<b>{names[i]}</b>",
                    *([*lines[:4], "…"] if len(lines) > 4 else lines),
                    "sigmoid hidden units" if row[-1] else "ReLU hidden units",
                    f"BCE: train {train[i]:.3f}, test {test[i]:.3f}",
                    f"test accuracy {accuracy[i]:.3f}",
                ]
            )
        )
    return texts
