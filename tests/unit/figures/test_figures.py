from collections import Counter
from functools import lru_cache

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import qhn_core as qhn
from qhn_core.figures.boundary import boundary_figure
from qhn_core.figures.curves import gradient_figure, objective_figure
from qhn_core.figures.histogram import histogram_figure
from qhn_core.figures.style import over_seeds
from qhn_core.model.predictions import decision_surfaces, plot_axes
from qhn_core.model.scores import score_table
from tests.unit import oracles

RUNS = {
    "SELBO": {},
    "ELBO": {"objective": "elbo"},
    "ELBO, weaker": {"objective": "elbo", "regularization": 0.5},
    "MLE": {"objective": "mle"},
    "exact SELBO": {"shots": None},
    "one seed": {"n_seeds": 1},
}
EVERY_RUN = pytest.mark.parametrize("run", RUNS)


@lru_cache
def trained(run):
    """(config, problem, history) of a small run."""
    config = qhn.RunConfig(
        **{"n_hidden": 1, "n_seeds": 4, "epochs": 8, "seed": 3, "shots": 20, **RUNS[run]}
    )
    return config, score_table(config), qhn.train(config).history


def curves(run):
    """The two figures of curves of a run."""
    config, problem, history = trained(run)
    stats = over_seeds({name: history[name].to_numpy() for name in history})
    return objective_figure(config, problem, stats), gradient_figure(config, stats)


def pictures(run, samples=None):
    """(boundary, histogram) of a run at made-up samples."""
    _, problem, _ = trained(run)
    exact = oracles.random_distribution(5, 6)
    samples = np.random.default_rng(1).choice(64, 50, p=exact) if samples is None else samples
    axes = plot_axes(problem)
    surfaces = decision_surfaces(problem, np.array([1, 2, 2]), 3, axes)
    boundary = boundary_figure(problem, axes, surfaces)
    return boundary, histogram_figure(problem, samples, exact)


def named(figure, name):
    """(index, trace) of the one trace with that name."""
    [found] = [(i, t) for i, t in enumerate(figure["data"]) if t.get("name") == name]
    return found


def assert_band(figure, name, column, run):
    """The trace is the mean over seeds, and the two before it are one standard deviation away."""
    by_epoch = trained(run)[2].groupby("epoch")[column]
    mean, spread = by_epoch.mean(), by_epoch.std(ddof=0)
    i, line = named(figure, name)
    low, high = figure["data"][i - 2 : i]
    assert line["x"] == low["x"] == high["x"] == list(range(1, 9))
    np.testing.assert_allclose(line["y"], mean, rtol=1e-12)
    np.testing.assert_allclose(low["y"], mean - spread, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(high["y"], mean + spread, rtol=1e-9, atol=1e-12)
    assert high["fill"] == "tonexty"
    assert high["fillcolor"].endswith(",0.2)")
    return line


# --- curves ------------------------------------------------------------------------------------------


@EVERY_RUN
def test_the_objective_is_drawn_as_mean_and_deviation_over_seeds(run):
    figure, name = curves(run)[0], trained(run)[0].objective.upper()
    line = assert_band(figure, name, "objective", run)
    assert line["line"]["color"] == {"MLE": "#6B7280", "ELBO": "#0F9D8A", "SELBO": "#B5399B"}[name]
    by_epoch = trained(run)[2].groupby("epoch")
    _, exact = named(figure, f"{name}, exact")
    np.testing.assert_allclose(exact["y"], by_epoch["exact_objective"].mean(), rtol=1e-12)
    assert exact["line"]["dash"] == "dot"


@pytest.mark.parametrize("run", ["SELBO", "ELBO", "exact SELBO"])
def test_the_parts_of_a_regularised_objective_are_drawn_beside_it(run):
    figure, selbo = curves(run)[0], trained(run)[0].objective == "selbo"
    assert_band(figure, "expected log-likelihood", "expected_log_likelihood", run)
    label, column = ("MMD²", "mmd_squared") if selbo else ("KL", "kl")
    part = assert_band(figure, label, column, run)
    assert part["yaxis"] == "y2"
    assert label in figure["layout"]["yaxis2"]["title"]["text"]


def test_the_parts_of_an_exact_run_add_up_to_its_objective():
    figure, config = curves("exact SELBO")[0], trained("exact SELBO")[0]
    parts = [np.array(named(figure, name)[1]["y"]) for name in ("expected log-likelihood", "MMD²")]
    total = np.array(named(figure, "SELBO, exact")[1]["y"])
    np.testing.assert_allclose(parts[0] - config.regularization * parts[1], total, rtol=1e-9)


def test_plain_mle_has_no_parts():
    figure, _ = curves("MLE")
    assert [t["name"] for t in figure["data"] if "name" in t] == ["MLE", "MLE, exact"]
    assert "yaxis2" not in figure["layout"]


@EVERY_RUN
def test_gradient_and_learning_rate_are_drawn_as_in_the_history(run):
    figure = curves(run)[1]
    assert_band(figure, "mean |∂L/∂θ|", "gradient_magnitude", run)
    _, rate = named(figure, "learning rate")
    expected = trained(run)[2].groupby("epoch")["learning_rate"].mean()
    np.testing.assert_allclose(rate["y"], expected, rtol=1e-12)
    assert rate["yaxis"] == "y2"
    assert figure["layout"]["yaxis2"]["type"] == "log"


@pytest.mark.parametrize("run", RUNS)
def test_the_dashed_line_is_what_no_distribution_exceeds(run):
    data = qhn.load_dataset("gaussian")
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    level, label = scores.max(), "best network, no MMD²"
    if run == "MLE":
        label = "exhaustive search"
    elif run == "ELBO":
        level, label = np.log(np.exp(scores).mean()), "log evidence"
    elif run == "ELBO, weaker":
        level, label = np.log(np.exp(2 * scores).mean()) / 2, "tempered log evidence"
    layout = curves(run)[0]["layout"]
    [line], [text] = layout["shapes"], layout["annotations"]
    np.testing.assert_allclose([line["y0"], line["y1"], text["y"]], level, rtol=1e-9)
    assert line["line"]["dash"] == "dash"
    assert text["text"] == f"{label} {level:.1f}".replace("-", "−")


def test_axes_name_their_units_and_span_the_run():
    for figure in curves("SELBO"):
        assert figure["layout"]["xaxis"]["title"]["text"] == "epoch"
        assert figure["layout"]["xaxis"]["range"] == [0, 8]
        assert "nats" in figure["layout"]["yaxis"]["title"]["text"]
    assert "per radian" in curves("SELBO")[1]["layout"]["yaxis"]["title"]["text"]


def test_over_seeds_is_the_mean_and_the_deviation_of_the_seeds_present():
    """A seed that diverged has no rows; the others still count."""
    rows = {"seed": [0, 1, 1], "epoch": [1, 1, 2], "objective": [1.0, 4.0, 7.0]}
    expected = pd.DataFrame({"epoch": [1, 2], "objective_mean": [2.5, 7.0], "objective_std": [1.5, 0.0]})
    pd.testing.assert_frame_equal(pd.DataFrame(over_seeds(rows)), expected, check_like=True)


# --- Plotly ------------------------------------------------------------------------------------------


@EVERY_RUN
def test_figures_are_valid_for_plotly(run):
    """`go.Figure` raises for a property or a value that Plotly does not know."""
    for figure in (*curves(run), *pictures(run), pictures(run, np.zeros(0, dtype=int))[1]):
        made = go.Figure(figure).to_plotly_json()
        assert len(made["data"]) == len(figure["data"])
        assert set(made["layout"]) >= set(figure["layout"])


# --- decision boundary -------------------------------------------------------------------------------


def test_the_boundary_has_the_test_points_in_the_colours_of_their_classes():
    boundary, _ = pictures("SELBO")
    data = qhn.load_dataset("gaussian")
    for target, color in ((0, "#3B76AF"), (1, "#E8833A")):
        _, points = named(boundary, f"class {target}")
        expected = data.x_test[data.y_test == target]
        np.testing.assert_allclose(np.stack([points["x"], points["y"]], axis=1), expected, atol=6e-4)
        assert points["marker"]["color"] == color


def test_the_boundary_offers_mean_uncertainty_and_most_probable_network():
    boundary, _ = pictures("SELBO")
    mean, deviation, single = boundary["data"][:3]
    assert [t["visible"] for t in (mean, deviation, single)] == [True, False, False]
    assert [(t["zmin"], t["zmax"]) for t in (mean, deviation, single)] == [(0, 1), (0, 0.5), (0, 1)]
    for i, j in ((0, 0), (10, 30), (28, 48)):
        point = [mean["x"][j], mean["y"][i]]
        p1, p2, p3 = (1 / (1 + np.exp(-oracles.logit(oracles.bits(k, 6), point, 1))) for k in (1, 2, 3))
        expected = [np.mean([p1, p2, p2]), np.std([p1, p2, p2]), p3]
        np.testing.assert_allclose([t["z"][i][j] for t in (mean, deviation, single)], expected, atol=0.0051)


def test_the_boundary_covers_all_points():
    boundary, _ = pictures("SELBO")
    data, surface = qhn.load_dataset("gaussian"), boundary["data"][0]
    for axis, column in (("x", 0), ("y", 1)):
        points = np.concatenate([data.x_train, data.x_test])[:, column]
        assert surface[axis][0] < points.min() < points.max() < surface[axis][-1]
        assert boundary["layout"][f"{axis}axis"]["range"] == [surface[axis][0], surface[axis][-1]]


# --- sampled bitstrings ------------------------------------------------------------------------------


def test_bars_are_the_counts_of_the_most_frequent_bitstrings():
    samples = np.random.default_rng(0).choice(64, 90, p=oracles.random_distribution(2, 6))
    count = Counter(format(s, "06b") for s in samples)
    bars, _ = pictures("SELBO", samples)[1]["data"]
    shown = np.array(bars["y"]) * 90
    np.testing.assert_allclose(shown, [count[name] for name in bars["x"]], atol=0.01)
    assert sorted(shown.round().astype(int), reverse=True) == [c for _, c in count.most_common(16)]
    assert list(shown) == sorted(shown, reverse=True)
    assert len(set(bars["x"])) == 16 < len(count)


def test_bars_of_few_bitstrings_sum_to_all_shots():
    bars, _ = pictures("SELBO", np.array([5, 9, 5, 63, 5, 9]))[1]["data"]
    assert bars["x"] == ["000101", "001001", "111111"]
    assert bars["y"] == [0.5, 0.3333, 0.1667]


def test_marks_are_the_exact_probabilities_of_the_same_bitstrings():
    bars, marks = pictures("SELBO")[1]["data"]
    exact = oracles.random_distribution(5, 6)
    assert marks["x"] == bars["x"]
    np.testing.assert_allclose(marks["y"], [exact[int(name, 2)] for name in bars["x"]], atol=5.1e-7)
    assert marks["visible"] is True


def test_without_shots_the_bars_are_the_exact_probabilities():
    bars, marks = pictures("exact SELBO", np.zeros(0, dtype=int))[1]["data"]
    exact = oracles.random_distribution(5, 6)
    assert [int(name, 2) for name in bars["x"]] == sorted(range(64), key=lambda i: -exact[i])[:16]
    np.testing.assert_allclose(bars["y"], sorted(exact, reverse=True)[:16], atol=5.1e-5)
    assert bars["name"] == "exact q"
    assert marks["visible"] is False


def decoded(name, n_hidden):
    """The signs of W1 (by input), W2, b2, b1, and the activation, by the layout of the conventions."""
    signs = ["+" if c == "1" else "−" for c in name]
    w1, rest = signs[: 2 * n_hidden], signs[2 * n_hidden : -1]
    w2, b2, b1 = rest[:n_hidden], rest[n_hidden], rest[n_hidden + 1 :]
    first, second = (" ".join(w1[i * n_hidden : (i + 1) * n_hidden]) for i in (0, 1))
    return (
        f"W₁ {first} | {second}   b₁ {' '.join(b1)}",
        f"W₂ {' '.join(w2)}   b₂ {b2}",
        "sigmoid hidden units" if name[-1] == "1" else "ReLU hidden units",
    )


@pytest.mark.parametrize("n_hidden", [1, 3])
def test_hover_decodes_the_network_and_scores_it(n_hidden):
    config = qhn.RunConfig(n_hidden=n_hidden)
    problem, data, n = score_table(config), qhn.load_dataset("gaussian"), config.n_qubits
    exact = np.full(2**n, 2.0**-n)
    samples = np.random.default_rng(8).choice(2**n, 12, replace=False)
    bars, marks = histogram_figure(problem, samples, exact)["data"]
    assert marks["hoverinfo"] == "skip", "a mark lies on its bar and would take the pointer from it"
    assert {name[-1] for name in bars["x"]} == {"0", "1"}, "this test needs both activations"
    for name, text in zip(bars["x"], bars["customdata"], strict=True):
        title, *lines, bce, accuracy, probability = text.split("<br>")
        assert probability == f"exact q {2.0**-n:.3g}"
        assert title == f"<b>{name}</b>"
        assert tuple(lines) == decoded(name, n_hidden)
        bits = [int(c) for c in name]
        train = -oracles.log_likelihood(bits, data.x_train, data.y_train, n_hidden) / 300
        test = -oracles.log_likelihood(bits, data.x_test, data.y_test, n_hidden) / 200
        assert bce == f"BCE: train {train:.3f}, test {test:.3f}"
        logits = np.array([oracles.logit(bits, point, n_hidden) for point in data.x_test])
        assert accuracy == f"test accuracy {((logits > 0) == data.y_test).mean():.3f}"
