"""The bitstrings of a run, each a network, as Plotly bars beside their exact probabilities."""

from typing import Any

import numpy as np

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.figures.style import Figure, Trace
from qhn_core.model.network import BinaryNetwork
from qhn_core.model.scores import ScoreTable

BITSTRINGS_SHOWN = 16


def histogram_figure(problem: ScoreTable, samples: Index, exact: Float) -> Figure:
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


def network_text(problem: ScoreTable, index: int, bits: Bits) -> str:
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
