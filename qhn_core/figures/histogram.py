"""Plotly bars of a run's bitstrings, each a network, beside their exact probabilities."""

import numpy as np

from qhn_core.bits import Bits, Float, Index, bits_to_words, index_to_bits
from qhn_core.figures.style import Figure, Trace
from qhn_core.model.network import BinaryNetwork
from qhn_core.model.scores import NetworkScores, ScoreTable

BITSTRINGS_SHOWN = 16
"""The most bars in a histogram."""


def histogram_figure(problem: ScoreTable, samples: Index, exact: Float) -> Figure:
    """Draw the most frequent sampled bitstrings beside their exact probabilities.

    samples (shots,): measured basis states, empty for an exact run. exact (2**n,): q at the same
    angles. Hovering over a bar shows the decoded network and its scores.
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
    hover = [
        "<br>".join([f"<b>{name}</b>", *weight_lines(problem.network, row), *scores])
        for name, row, scores in zip(names, bits, score_lines(problem, bits), strict=True)
    ]
    return bars_figure(names, share, exact[shown], hover, sampled=bool(len(samples)))


def bars_figure(names: list[str], share: Float, exact: Float, hover: list[str], sampled: bool) -> Figure:
    """Draw networks by name, each with its share of the shots (or q) as a bar, and exact q as a mark."""
    if sampled:
        hover = [f"{text}<br>exact q {q:.3g}" for text, q in zip(hover, exact, strict=True)]
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
            "hoverinfo": "skip",  # the bar below it says all
            "visible": sampled,
        },
    ]
    longest = max(map(len, names))
    layout = {
        "margin": {"l": max(48, 12 + 3 * longest), "r": 8, "t": 8, "b": 12 + 6 * longest},
        "hovermode": "closest",
        "xaxis": {
            "type": "category",
            "range": [-0.6, BITSTRINGS_SHOWN - 0.4],  # bars as wide at the end as at the start
            "tickangle": -60,
            "tickfont": {"family": "monospace", "size": 10},
        },
        "yaxis": {"title": {"text": "share of the shots" if sampled else "q"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},  # the mode bar is right
    }
    return {"data": data, "layout": layout}


def weight_lines(network: BinaryNetwork, bits: Bits) -> list[str]:
    """The weights and biases of one network, bits (n,), as lines of a hover text."""

    def signs(values: Float) -> str:
        return " ".join("+" if value > 0 else "−" for value in np.ravel(values))

    w1, w2, b2, b1 = network.weights(bits)
    return [
        "W₁ " + " | ".join(signs(row) for row in w1) + f"   b₁ {signs(b1)}",
        f"W₂ {signs(w2)}   b₂ {signs(b2)}",
    ]


def score_lines(problem: NetworkScores, bits: Bits) -> list[list[str]]:
    """The activation and the scores of each network, bits (B, n), as lines of a hover text."""
    scores = problem.mean_scores(bits_to_words(bits[:, None]))  # each network as a circuit of one shot
    each = zip(bits[:, -1], scores["train_bce"], scores["test_bce"], scores["test_accuracy"], strict=True)
    return [
        [
            "sigmoid hidden units" if activation else "ReLU hidden units",
            f"BCE: train {train:.3f}, test {test:.3f}",
            f"test accuracy {accuracy:.3f}",
        ]
        for activation, train, test, accuracy in each
    ]
