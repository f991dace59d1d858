import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logsumexp

from qhn_core import RunConfig, train
from qhn_core.model.predictions import decision_surfaces, mixture_scores, plot_axes, predictive_mean
from qhn_core.model.references import exact_posterior, exhaustive_search, log_evidence, network_scores
from qhn_core.model.scores import score_table
from qhn_core.training.evaluation import summarize
from tests.unit import oracles

TINY = score_table(RunConfig(n_hidden=1))
SCORES = ("train_bce", "train_accuracy", "test_bce", "test_accuracy")


def plain_scores(table, index):
    """BCE and accuracy of one network, on both sets, in plain Python."""
    network = table.network
    bits = oracles.bits(index, network.n_bits)
    out = []
    for part in ("train", "test"):
        x, y = getattr(table.dataset, f"x_{part}"), getattr(table.dataset, f"y_{part}")
        out.append(-oracles.log_likelihood(bits, x, y, network.n_hidden) / len(y))
        right = [
            (oracles.logit(bits, p, network.n_hidden) > 0) == bool(c) for p, c in zip(x, y, strict=True)
        ]
        out.append(sum(right) / len(y))
    return out


@pytest.mark.parametrize("dataset", ["gaussian", "moons", "rings"])
def test_fact_6_exhaustive_search_is_the_brute_force_minimum(dataset):
    table = score_table(RunConfig(n_hidden=1, dataset=dataset))
    data = table.dataset
    losses = -oracles.all_log_likelihoods(data.x_train, data.y_train, 1) / 300
    best, scores = exhaustive_search(table)
    assert losses[best] == pytest.approx(losses.min(), rel=1e-12)
    np.testing.assert_allclose([getattr(scores, s) for s in SCORES], plain_scores(table, best), rtol=1e-12)


def test_fact_6_exhaustive_search_of_all_16384_networks():
    table = score_table(RunConfig(n_train_per_class=4, n_test_per_class=3))
    data = table.dataset
    losses = -oracles.all_log_likelihoods(data.x_train, data.y_train, 3) / 8
    best, scores = exhaustive_search(table)
    assert losses[best] == pytest.approx(losses.min(), rel=1e-12)
    assert scores.train_bce == pytest.approx(losses.min(), rel=1e-12)


@pytest.mark.parametrize(
    ("dataset", "bce", "accuracy"),  # Table II and III, "MLE E.S.", for other draws of the same data
    [("gaussian", 0.067, 0.993), ("moons", 0.357, 0.810), ("rings", 0.520, 0.855)],
)
def test_exhaustive_search_is_near_the_papers_tables(dataset, bce, accuracy):
    scores = exhaustive_search(score_table(RunConfig(dataset=dataset)))[1]
    assert scores.test_bce == pytest.approx(bce, abs=0.06)
    assert scores.test_accuracy == pytest.approx(accuracy, abs=0.08)


@pytest.mark.parametrize("index", [0, 21, 63])
def test_scores_of_one_network(index):
    scores = network_scores(TINY, index)
    np.testing.assert_allclose([getattr(scores, s) for s in SCORES], plain_scores(TINY, index), rtol=1e-12)


def test_log_evidence_is_the_log_mean_likelihood():
    data = TINY.dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    assert log_evidence(TINY) == pytest.approx(logsumexp(scores, b=1 / 64), rel=1e-12)


def test_the_posterior_is_bayes_rule():
    scores = oracles.all_log_likelihoods(TINY.dataset.x_train, TINY.dataset.y_train, 1)
    posterior = exact_posterior(TINY)
    np.testing.assert_allclose(posterior, np.exp(scores - logsumexp(scores)), rtol=1e-9)


def test_the_posterior_of_14_bits_sums_to_1():
    posterior = exact_posterior(score_table(RunConfig()))
    assert posterior.shape == (2**14,)
    assert posterior.sum() == pytest.approx(1, abs=1e-12)
    assert posterior.min() >= 0


def test_the_mixture_averages_probabilities_and_not_logits():
    q = np.stack([oracles.random_distribution(seed, 6) for seed in (0, 1)])
    scores = mixture_scores(TINY, q)
    for part in ("train", "test"):
        x, y = getattr(TINY.dataset, f"x_{part}"), getattr(TINY.dataset, f"y_{part}")
        logits = np.array([[oracles.logit(b, p, 1) for p in x] for b in oracles.all_bits(6)])
        ones = q @ expit(logits)
        bce = -np.log(np.where(y, ones, 1 - ones)).mean(axis=1)
        np.testing.assert_allclose(scores[f"{part}_bce"], bce, rtol=1e-9)
        np.testing.assert_allclose(scores[f"{part}_accuracy"], ((ones > 0.5) == y).mean(axis=1))


def test_predictive_mean_of_sparse_weights_at_14_bits():
    table = score_table(RunConfig())
    some = np.array([3, 900, 5000, 16383])
    q = np.zeros((1, 2**14))
    q[0, some] = [0.1, 0.2, 0.3, 0.4]
    x = np.array([[0.5, -1.0], [2.0, 0.0]])
    expected = [
        sum(
            w * expit(oracles.logit(oracles.bits(i, 14), p, 3))
            for w, i in zip(q[0, some], some, strict=True)
        )
        for p in x
    ]
    np.testing.assert_allclose(predictive_mean(table, q, x)[0], expected, rtol=1e-12)


def test_predictive_mean_of_all_networks_is_added_up_in_chunks():
    table = score_table(RunConfig())
    q = oracles.random_distribution(0, 14)[None]
    x = table.dataset.x_test[:5]
    expected = q @ expit(table.network.logits(oracles.all_bits(14), x))
    np.testing.assert_allclose(predictive_mean(table, q, x), expected, rtol=1e-9)


def test_the_mixture_of_a_point_mass_is_that_network():
    point = np.eye(64)[[17, 40]]
    for name, values in mixture_scores(TINY, point).items():
        np.testing.assert_allclose(values, getattr(TINY, name)[[17, 40]], rtol=1e-9)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_summary_is_the_mean_and_deviation_over_seeds(n_layers):
    config = RunConfig(n_hidden=1, n_seeds=3, epochs=4, shots=10, n_layers=n_layers)
    result = train(config)
    summary = result.summary()
    q = np.array([oracles.probabilities(a) for a in result.best_angles])
    last = result.history[result.history.epoch == 4]
    mixture = mixture_scores(TINY, q)
    best = exhaustive_search(TINY)[1]
    for score in SCORES:
        table = getattr(TINY, score)
        expected = {
            "last epoch": last[score].to_numpy(),
            "average": q @ table,
            "mixture": mixture[score],
            "most probable": table[q.argmax(axis=1)],
            "exhaustive search": np.array([getattr(best, score)]),
        }
        assert list(summary.index) == list(expected)
        for row, values in expected.items():
            assert summary.loc[row, f"{score}_mean"] == pytest.approx(values.mean(), rel=1e-5)
            assert summary.loc[row, f"{score}_std"] == pytest.approx(values.std(), rel=1e-4, abs=1e-7)


def test_the_last_epoch_of_a_seed_that_stopped_early_is_its_own():
    config = RunConfig(n_hidden=1, n_seeds=2)
    rows = {"seed": [0, 0, 1, 1, 1], "epoch": [1, 2, 1, 2, 3]}
    history = pd.DataFrame({**rows, **{score: [9.0, 1.0, 9.0, 9.0, 2.0] for score in SCORES}})
    summary = summarize(config, history, np.zeros((2, 1, 2, 6)))
    assert summary.loc["last epoch", "test_bce_mean"] == 1.5


def test_decision_surfaces_are_mean_deviation_and_one_network():
    samples = np.array([5, 5, 40, 63, 5])
    x, y = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 3.0])
    mean, deviation, single = decision_surfaces(TINY, samples, 40, (x, y))
    for j, second in enumerate(y):
        for i, first in enumerate(x):
            logits = [oracles.logit(oracles.bits(s, 6), [first, second], 1) for s in samples]
            assert mean[j, i] == pytest.approx(expit(logits).mean(), rel=1e-12)
            assert deviation[j, i] == pytest.approx(expit(logits).std(), rel=1e-9)
            assert single[j, i] == pytest.approx(expit(logits[2]), rel=1e-12)


@pytest.mark.parametrize("dataset", ["gaussian", "moons", "rings"])
def test_plot_axes_make_square_cells_around_all_points(dataset):
    table = score_table(RunConfig(n_hidden=1, dataset=dataset))
    x, y = plot_axes(table)
    steps = np.concatenate([np.diff(x), np.diff(y)])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    everything = np.concatenate([table.dataset.x_train, table.dataset.x_test])
    for axis, points in ((x, everything[:, 0]), (y, everything[:, 1])):
        assert axis[0] < points.min()
        assert points.max() < axis[-1]
