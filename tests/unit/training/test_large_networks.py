"""Networks of too many bits for a table: scored as they are met, trained from samples."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from qhn_core import RunConfig, load_dataset, objective_gradient, objective_value, train
from qhn_core.bits import bits_to_words
from qhn_core.circuits.base import as_words, samples_shape
from qhn_core.cli import main
from qhn_core.kernels import networks
from qhn_core.model.references import logistic_regression
from qhn_core.model.scores import SampledScores, ScoreTable, network_scores_for, score_table
from qhn_core.training.history import join_rows
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.state import merge_states
from tests.unit import oracles

DIGITS = RunConfig(dataset="digits", n_hidden=2, shots=8, n_seeds=3, epochs=3, n_train_per_class=10)
WIDE = RunConfig(n_hidden=8, shots=9, n_seeds=3, epochs=3)  # 2-8-1: 34 bits
BOTH = pytest.mark.parametrize("config", [DIGITS, WIDE], ids=["digits", "2-8-1"])
RULES = pytest.mark.parametrize("rule", ["chain-rule", "algorithm-1"])


def test_the_exponential_is_the_librarys():
    def exp_all(x):
        return np.array([networks.exp_negative(v) for v in x])

    x = np.concatenate([[0.0, -1e-300], -np.geomspace(1e-9, 708, 500)])
    np.testing.assert_allclose(exp_all(x), np.exp(x), rtol=5e-16)
    assert 0 < networks.exp_negative(-1e9) < 1e-300


@pytest.mark.parametrize(
    ("n_inputs", "n_hidden", "points"), [(2, 1, 7), (2, 3, 30), (5, 9, 9), (64, 2, 1100)]
)
def test_scores_are_those_of_plain_python(n_inputs, n_hidden, points):
    rng = np.random.default_rng(n_inputs)
    n_bits = n_hidden * (n_inputs + 2) + 2
    x, y = 3 * rng.standard_normal((points, n_inputs)), rng.integers(2, size=points)
    bits = rng.integers(0, 2, size=(6, n_bits), dtype=np.uint8)
    likelihood, accuracy = networks.score_networks(
        bits_to_words(bits), np.ascontiguousarray(x.T), 2.0 * y - 1.0, n_hidden, 0.0
    )
    for b, ll, share in zip(bits, likelihood, accuracy, strict=True):
        logits = np.array([oracles.logit(b, point, n_hidden) for point in x])
        assert ll == pytest.approx(oracles.log_likelihood(b, x, y, n_hidden), rel=1e-12)
        unsure = (abs(logits) < 1e-12).mean()  # a sum that is 0 but for rounding
        assert share == pytest.approx(accuracy_score(y, logits > 0), abs=unsure)


def test_sampled_scores_are_those_of_the_tables():
    config = RunConfig(n_hidden=1)
    table = score_table(config)
    large = SampledScores(table.dataset, table.network)
    samples = np.random.default_rng(0).integers(64, size=(5, 1, 30))
    for _ in range(2):  # the second time they are all known
        found = large.mean_log_likelihood(samples)
        np.testing.assert_allclose(found, table.mean_log_likelihood(samples), rtol=1e-12)
    for name, values in table.mean_scores(samples).items():
        np.testing.assert_allclose(large.mean_scores(samples)[name], values, rtol=1e-12)


def test_each_distinct_network_is_scored_once(monkeypatch):
    table = score_table(RunConfig(n_hidden=1))
    large, scored = SampledScores(table.dataset, table.network), []
    original = SampledScores._score

    def count(self, words, x, y):
        scored.extend(words[0].tolist())
        return original(self, words, x, y)

    monkeypatch.setattr(SampledScores, "_score", count)
    large.mean_log_likelihood(np.array([[[3, 4, 3]], [[4, 4, 5]]]))
    large.mean_log_likelihood(np.array([[[5, 6, 3]]]))
    assert sorted(scored) == [3, 4, 5, 6]


def test_tables_are_used_as_long_as_they_are_small():
    assert isinstance(network_scores_for(RunConfig()), ScoreTable)
    assert isinstance(network_scores_for(DIGITS), SampledScores)
    assert network_scores_for(WIDE) is network_scores_for(WIDE.model_copy(update={"objective": "mle"}))


@BOTH
@RULES
@pytest.mark.parametrize(("objective", "n_layers"), [("mle", 1), ("elbo", 1), ("elbo", 2), ("selbo", 2)])
def test_a_large_network_trains_whatever_the_chunks_and_shards(config, rule, objective, n_layers):
    changes = {"gradient": rule, "objective": objective, "n_layers": n_layers}
    config = config.model_copy(update=changes)
    start = initial_state(config)
    whole, rows = advance(config, start, 3)
    assert whole.samples.shape == (3, *samples_shape(config))
    exact = np.isnan(rows.pop("exact_objective"))
    assert exact.all()  # a sum over 2**n networks
    assert all(np.isfinite(values).all() for values in rows.values())
    assert (whole.angles[:, :, 0] != start.angles[:, :, 0]).any(axis=2).all()
    shards = [initial_state(config, np.array([i])) for i in range(3)]
    done = [advance(config, advance(config, state, 1)[0], 2) for state in shards]
    np.testing.assert_array_equal(merge_states([state for state, _ in done]).angles, whole.angles)
    last = join_rows([r for _, r in done])["objective"][1::2]
    np.testing.assert_array_equal(last, rows["objective"][rows["epoch"] == 3])


@BOTH
def test_a_rows_numbers_are_means_over_the_samples(config):
    state, rows = advance(config, initial_state(config), 1)
    networks_met = network_scores_for(config)
    data, words = networks_met.dataset, as_words(state.samples)
    for seed in range(3):
        values = [int(w) for w in words[seed, :, 0]]
        widths = [min(63, config.n_qubits - start) for start in range(0, config.n_qubits, 63)]
        text = "".join(format(v, f"0{width}b") for v, width in zip(values, widths, strict=True))
        first = np.array([int(c) for c in text])
        own = oracles.log_likelihood(first, data.x_train, data.y_train, config.n_hidden)
        one = np.ascontiguousarray(words[seed : seed + 1, :, :1])
        assert networks_met.mean_log_likelihood(one)[0] == pytest.approx(own, rel=1e-12)
        mean = networks_met.mean_log_likelihood(words[seed : seed + 1])[0]
        assert rows["expected_log_likelihood"][seed] == pytest.approx(mean, rel=1e-12)
        assert rows["train_bce"][seed] == pytest.approx(-mean / len(data.y_train), rel=1e-12)


def test_training_34_bits_finds_good_networks():
    config = WIDE.model_copy(
        update={
            "objective": "mle",
            "shots": 50,
            "n_seeds": 2,
            "epochs": 25,
            "likelihood": "mean",
            "learning_rate": 5.0,
        }
    )
    summary = train(config).summary()
    assert list(summary.index) == [
        "last epoch",
        "average",
        "mixture",
        "most probable",
        "logistic regression",
    ]
    assert summary.loc["mixture", "test_accuracy_mean"] > 0.85
    assert summary.loc["average", "train_bce_mean"] < 0.69  # better than a coin


def test_logistic_regression_is_sklearns():
    data = load_dataset("digits")
    model = LogisticRegression(max_iter=10_000).fit(data.x_train, data.y_train)
    scores = logistic_regression(data)
    assert scores["test_accuracy"] == [model.score(data.x_test, data.y_test)]
    assert scores["train_bce"][0] == pytest.approx(
        log_loss(data.y_train, model.predict_proba(data.x_train))
    )


def test_digits_are_sklearns_images_and_none_is_in_both_sets():
    images, digits = load_digits(return_X_y=True)
    parity = {image.tobytes(): digit % 2 for image, digit in zip(images, digits, strict=True)}
    data = load_dataset("digits", scale=1.0)
    assert (data.x_train.shape, data.x_test.shape) == ((300, 64), (200, 64))
    assert (data.y_train.mean(), data.y_test.mean()) == (0.5, 0.5)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    raw = [np.round(8 * (row + 1)).tobytes() for row in x]
    assert len(set(raw)) == 500
    assert [parity[image] for image in raw] == y.tolist()
    other = load_dataset("digits", seed=1, scale=1.0)
    assert not np.array_equal(other.x_train, data.x_train)
    noisy = load_dataset("digits", scale=1.0, noise=0.5)
    assert np.std(noisy.x_train - data.x_train) == pytest.approx(0.5, rel=0.05)


def test_more_digits_than_there_are_say_how_many_there_are():
    with pytest.raises(ValueError, match=r"n_train_per_class=800, n_test_per_class=100: .* has 891 images"):
        load_dataset("digits", n_train_per_class=800)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"n_layers": 3}, "replace n_layers=3 by 1 or 2"),
        ({"shots": None}, "replace exact expectations by shots"),
        ({"simulator": "cirq"}, "replace simulator='cirq' by 'auto'"),
        ({"n_layers": 3, "shots": None}, "replace n_layers=3 by 1 or 2 and exact expectations by shots"),
    ],
)
@BOTH
def test_what_needs_all_networks_says_what_to_change(config, change, advice):
    with pytest.raises(ValueError, match=rf"makes {config.n_qubits} qubits.*memory.*{advice}"):
        initial_state(config.model_copy(update=change))


@BOTH
def test_exact_functions_of_many_qubits_say_that_they_look_at_every_network(config):
    for function in (objective_value, objective_gradient):
        with pytest.raises(ValueError, match="every network is looked at"):
            function(config, np.zeros((1, *config.angle_shape)))


@pytest.mark.parametrize("options", [("--dataset", "digits", "--n-hidden", "2"), ("--n-hidden", "8")])
def test_the_command_line_trains_them(capsys, options):
    few = ("--epochs", "2", "--shots", "5", "--n-train-per-class", "10")
    assert main.main(["train", "--json", *options, *few]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"last epoch", "most probable", "logistic regression"} <= set(found["summary"])


def test_a_thousand_qubits():
    config = DIGITS.model_copy(update={"n_hidden": 15, "shots": 4, "n_seeds": 1, "epochs": 1})
    assert config.n_qubits == 992
    state, rows = advance(config, initial_state(config), 1)
    assert state.samples.shape == (1, 16, 4)
    assert np.isfinite(rows["objective"]).all()
