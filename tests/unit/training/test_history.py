import numpy as np
import pytest

from qhn_core import RunConfig, train
from qhn_core.model.scores import score_table
from qhn_core.training.loop import advance, initial_state
from tests.unit import oracles
from tests.unit.training_runs import RUNS, small, whole

DESIGN_COLUMNS = [
    "seed",
    "epoch",
    "objective",
    "expected_log_likelihood",
    "kl",
    "mmd_squared",
    "gradient_magnitude",
    "learning_rate",
    "train_bce",
    "train_accuracy",
    "test_bce",
    "test_accuracy",
]


@pytest.mark.parametrize("run", ["sampled SELBO", "exact ELBO, two layers"])
def test_the_history_has_a_row_per_seed_and_epoch(run):
    history = train(small(**RUNS[run])).history
    assert list(history.columns[:12]) == DESIGN_COLUMNS
    assert list(zip(history.seed, history.epoch, strict=True)) == [
        (s, e) for s in range(4) for e in range(1, 10)
    ]
    assert np.isfinite(history.to_numpy()).all()


@pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_an_exact_rows_numbers_are_those_of_the_angles_on_cirq(objective, n_layers):
    config = small(
        objective=objective, n_layers=n_layers, shots=None, epochs=2, regularization=7, learning_rate=0.01
    )
    table = score_table(config)
    state, rows = whole(config)
    last = {name: values[rows["epoch"] == 2] for name, values in rows.items()}
    for i in range(4):
        q = oracles.probabilities(state.angles[i])
        expected = {
            "objective": oracles.objective(objective, q, table.train_log_likelihood, 7, 1.5),
            "exact_objective": oracles.objective(objective, q, table.train_log_likelihood, 7, 1.5),
            "expected_log_likelihood": q @ table.train_log_likelihood,
            "kl": oracles.kl(q),
            "mmd_squared": oracles.mmd_squared(q, 1.5),
            "train_bce": -q @ table.train_log_likelihood / 300,
            "test_bce": -q @ table.test_log_likelihood / 200,
            "train_accuracy": q @ table.train_accuracy,
            "test_accuracy": q @ table.test_accuracy,
        }
        for name, value in expected.items():
            assert last[name][i] == pytest.approx(value, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_sampled_rows_numbers_are_means_over_the_samples(n_layers):
    config = small(objective="elbo", n_layers=n_layers, epochs=2, regularization=7)
    table = score_table(config)
    state, rows = whole(config)
    last = {name: values[rows["epoch"] == 2] for name, values in rows.items()}
    drawn = state.samples
    assert drawn.shape == (4, 100)
    likelihood = table.train_log_likelihood[drawn].mean(axis=1)
    kl = np.array([oracles.kl(oracles.probabilities(a)) for a in state.angles])
    np.testing.assert_allclose(last["expected_log_likelihood"], likelihood)
    np.testing.assert_allclose(last["train_bce"], -likelihood / 300)
    np.testing.assert_allclose(last["test_bce"], -table.test_log_likelihood[drawn].mean(axis=1) / 200)
    np.testing.assert_allclose(last["train_accuracy"], table.train_accuracy[drawn].mean(axis=1))
    np.testing.assert_allclose(last["test_accuracy"], table.test_accuracy[drawn].mean(axis=1))
    np.testing.assert_allclose(last["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(last["objective"], likelihood - 7 * kl, rtol=1e-5)


def test_gradient_magnitude_is_the_mean_over_all_angles_of_the_step_taken():
    config = small(n_layers=2, shots=10, learning_rate=0.25)
    state = initial_state(config)
    for _ in range(3):
        new, rows = advance(config, state, 1)
        step = (new.angles - state.angles) / rows["learning_rate"][:, None, None, None]
        np.testing.assert_allclose(new.gradient, step, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(rows["gradient_magnitude"], np.abs(step).mean(axis=(1, 2, 3)), rtol=1e-6)
        state = new


def test_theta_star_is_the_best_by_the_estimated_objective():
    config = small(shots=5, epochs=30, min_delta=50.0)  # min_delta is for the learning rate only
    state = initial_state(config)
    trail, values = [state.angles], [state.best_objective]
    for _ in range(30):
        state, rows = advance(config, state, 1)
        trail.append(state.angles)
        values.append(rows["objective"])
    best = np.argmax(values, axis=0)
    assert best.min() > 0
    assert best.max() < 30  # neither the start nor the end: the test can tell
    for seed in range(4):
        np.testing.assert_array_equal(state.best_angles[seed], trail[best[seed]][seed])
    np.testing.assert_array_equal(state.best_objective, np.max(values, axis=0))


def test_theta_star_is_the_start_where_nothing_was_better():
    config = small(
        shots=None, learning_rate=1e6, objective="elbo", regularization=1e-3, epochs=1, n_seeds=30
    )
    start = initial_state(config)
    state, rows = whole(config)
    worse = rows["objective"] < start.best_objective
    assert 0 < worse.sum() < 30
    np.testing.assert_array_equal(state.best_angles[worse], start.angles[worse])
    np.testing.assert_array_equal(state.best_angles[~worse], state.angles[~worse])


@pytest.mark.parametrize(
    "options",
    [
        {},  # Table I: patience 3, minimum delta 1e-4, decay factor 0.5, learning rate 1
        {"patience": 1, "decay_factor": 0.9, "learning_rate": 0.1},
        {"min_delta": 20.0, "patience": 2, "likelihood": "sum"},
    ],
)
def test_the_learning_rate_decays_as_table_i_says(options):
    config = small(epochs=40, **options)
    start = initial_state(config)
    history = train(config).history
    for seed, rows in history.groupby("seed"):
        best, rate, stale = start.best_objective[seed], config.learning_rate, 0
        for row in rows.itertuples():
            assert row.learning_rate == pytest.approx(rate, rel=1e-12)
            stale = 0 if row.objective > best + config.min_delta else stale + 1
            best = max(best, row.objective)
            if stale == config.patience:
                rate, stale = rate * config.decay_factor, 0
        assert rate < config.learning_rate * config.decay_factor**2  # it did decay


def test_the_learning_rate_decays_when_an_epoch_is_not_better_than_the_one_before():
    config = small(epochs=60, plateau="previous-epoch", patience=2)
    start, history = initial_state(config), train(config).history
    best_so_far = train(config.model_copy(update={"plateau": "best-so-far"})).history
    for seed, rows in history.groupby("seed"):
        last, rate, stale = start.best_objective[seed], config.learning_rate, 0
        for row in rows.itertuples():
            assert row.learning_rate == rate
            stale = 0 if row.objective > last + config.min_delta else stale + 1
            last = row.objective
            if stale == config.patience:
                rate, stale = rate * config.decay_factor, 0
        assert best_so_far.query("seed == @seed").learning_rate.iloc[-1] < rate < config.learning_rate


def test_without_a_plateau_rule_the_learning_rate_stays():
    assert (train(small(epochs=60, plateau="none")).history.learning_rate == 1).all()


@pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_small_exact_steps_always_go_up(objective, n_layers):
    config = small(
        objective=objective, n_layers=n_layers, shots=None, regularization=20, learning_rate=1e-4
    )
    history = train(config).history
    gains = history.groupby("seed").exact_objective.diff().dropna()
    assert gains.min() > 0


def test_the_mean_likelihood_is_the_sum_with_another_step_size():
    by_sum = small(objective="mle", shots=None, learning_rate=0.001, epochs=5)
    by_mean = by_sum.model_copy(update={"likelihood": "mean", "learning_rate": 0.3})
    one, two = train(by_sum), train(by_mean)
    np.testing.assert_allclose(two.state.angles, one.state.angles, rtol=1e-9)
    np.testing.assert_allclose(300 * two.history.objective, one.history.objective, rtol=1e-9)
    np.testing.assert_allclose(two.history.train_bce, one.history.train_bce, rtol=1e-9)


def test_fact_7_exact_training_gains_from_a_moderate_penalty_and_fails_with_a_huge_one():
    runs = {"mle": ("mle", 1), "elbo": ("elbo", 10), "selbo": ("selbo", 1000)}
    bce = {
        name: train(
            RunConfig(objective=objective, regularization=strength, shots=None, n_seeds=6, epochs=60)
        )
        .summary()
        .loc["most probable", "test_bce_mean"]
        for name, (objective, strength) in runs.items()
    }
    assert bce["elbo"] < bce["mle"] < 0.45
    assert bce["selbo"] > 0.5
