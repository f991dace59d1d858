import os
import pickle
from dataclasses import fields, replace

import numpy as np
import oracles
import pytest
from threadpoolctl import threadpool_limits

from qhn_core import RunConfig, measuring, mmd_squared_unbiased, objective_value, train, training
from qhn_core.history import join_rows
from qhn_core.problem import build_problem
from qhn_core.training import advance, initial_state
from qhn_core.training_state import merge_states

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
RUNS = {
    "sampled SELBO": {"objective": "selbo", "shots": 20},
    "sampled ELBO": {"objective": "elbo", "shots": 20, "regularization": 10},
    "exact SELBO": {"objective": "selbo", "shots": None, "regularization": 100},
    "exact ELBO, two layers": {"objective": "elbo", "shots": None, "n_layers": 2},
    "sampled SELBO, two layers": {"objective": "selbo", "shots": 5, "n_layers": 2},
    "Algorithm 1, two layers": {"objective": "elbo", "shots": 5, "n_layers": 2, "gradient": "algorithm-1"},
    "Algorithm 1, SELBO": {"objective": "selbo", "shots": 20, "gradient": "algorithm-1"},
    "MLE, mean": {"objective": "mle", "shots": 20, "likelihood": "mean"},
    "one shot": {"objective": "mle", "shots": 1},
    "Cirq": {"objective": "elbo", "shots": None, "simulator": "cirq"},
}
EVERY_RUN = pytest.mark.parametrize("run", RUNS)


def small(**options):
    return RunConfig(**{"n_hidden": 1, "n_seeds": 4, "epochs": 9, "seed": 11, **options})


def assert_same_state(one, two):
    for f in fields(one):
        a, b = (np.asarray(getattr(s, f.name)) for s in (one, two))
        np.testing.assert_array_equal(a, b, err_msg=f.name)
        assert a.dtype == b.dtype, f.name


def assert_same_rows(one, two):
    assert list(one) == list(two)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def whole(config):
    return advance(config, initial_state(config), config.epochs)


def of_seed(rows, seed):
    return {name: values[rows["seed"] == seed] for name, values in rows.items()}


# --- the pure function -------------------------------------------------------------------------------


@EVERY_RUN
@pytest.mark.parametrize("chunks", [[1] * 9, [7, 7], [4, 5]])
def test_chunks_change_nothing(run, chunks):
    config = small(**RUNS[run])
    expected_state, expected_rows = whole(config)
    state, parts = initial_state(config), []
    for n in chunks:
        state, rows = advance(config, state, n)
        parts.append(rows)
    assert_same_state(state, expected_state)
    assert_same_rows(join_rows(parts), expected_rows)


@EVERY_RUN
@pytest.mark.parametrize("shards", [[[0], [1], [2], [3]], [[0, 1], [2, 3]], [[3, 1, 0, 2]]])
def test_shards_change_nothing(run, shards):
    config = small(**RUNS[run])
    expected_state, expected_rows = whole(config)
    done = [advance(config, initial_state(config, np.array(seeds)), config.epochs) for seeds in shards]
    merged = merge_states([state for state, _ in done])
    assert_same_state(merged.take(np.argsort(merged.seeds)), expected_state)
    for seed in range(4):
        rows = next(rows for _, rows in done if seed in rows["seed"])
        assert_same_rows(of_seed(rows, seed), of_seed(expected_rows, seed))


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "elbo", "shots": None},
        {"objective": "selbo", "shots": None, "n_layers": 2, "likelihood": "mean"},
        {"objective": "elbo", "shots": 20},
    ],
)
def test_shards_change_nothing_at_14_qubits(options):
    config = small(n_hidden=3, epochs=3, n_seeds=3, **options)
    _, expected = whole(config)
    for seed in range(3):
        _, rows = advance(config, initial_state(config, np.array([seed])), config.epochs)
        assert_same_rows(rows, of_seed(expected, seed))


@EVERY_RUN
def test_a_seed_does_not_depend_on_how_many_there_are(run):
    config = small(**RUNS[run])
    _, many = whole(config)
    _, few = whole(config.model_copy(update={"n_seeds": 2}))
    for seed in range(2):
        assert_same_rows(of_seed(few, seed), of_seed(many, seed))


@pytest.mark.parametrize("run", ["sampled SELBO", "exact SELBO", "sampled SELBO, two layers"])
def test_train_is_advance_on_any_number_of_cores(run, monkeypatch):
    config = small(n_seeds=5, **RUNS[run])
    state, rows = whole(config)
    order = np.lexsort((rows["epoch"], rows["seed"]))
    for cores in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        result = train(config)
        assert_same_state(result.state, state)
        assert_same_rows(
            {c: result.history[c].to_numpy() for c in result.history},
            {c: values[order] for c, values in rows.items()},
        )


@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_threads_of_the_linear_algebra_change_nothing(n_layers):
    config = small(n_hidden=3, shots=None, n_seeds=1, epochs=4, n_layers=n_layers)
    runs = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            runs.append(whole(config))
    for state, rows in runs[1:]:
        assert_same_state(state, runs[0][0])
        assert_same_rows(rows, runs[0][1])


@EVERY_RUN
def test_advance_leaves_its_arguments_alone(run):
    config = small(**RUNS[run])
    state, _ = advance(config, initial_state(config), 2)
    for f in fields(state):
        if f.name != "epoch":
            getattr(state, f.name).setflags(write=False)  # a write would raise
    first, second = advance(config, state, 3), advance(config, state, 3)
    assert_same_state(first[0], second[0])
    assert_same_rows(first[1], second[1])


def test_a_saved_state_goes_on_as_if_nothing_had_happened():
    config = small(**RUNS["sampled SELBO"])
    state, _ = advance(config, initial_state(config), 4)
    restored = pickle.loads(pickle.dumps(state))
    assert_same_state(restored, state)
    assert_same_state(advance(config, restored, 5)[0], whole(config)[0])


def test_there_is_nothing_after_the_last_epoch():
    config = small(epochs=3)
    state, rows = advance(config, initial_state(config), 100)
    assert rows["epoch"].max() == state.epoch == 3
    same, none = advance(config, state, 5)
    assert_same_state(same, state)
    assert all(len(values) == 0 for values in none.values())


# --- where it starts ---------------------------------------------------------------------------------


def test_angles_start_uniform_on_a_full_turn_from_spawned_seeds():
    config = small(n_seeds=200, n_layers=2, seed=5)
    angles = initial_state(config).angles
    streams = np.random.SeedSequence(5).spawn(200)
    for i in (0, 7, 199):  # seed i, epoch 0
        rng = np.random.default_rng(streams[i].spawn(1)[0])
        np.testing.assert_array_equal(angles[i], rng.uniform(0, 2 * np.pi, (2, 2, 6)))
    assert angles.min() >= 0
    assert angles.max() < 2 * np.pi
    assert angles.mean() == pytest.approx(np.pi, abs=5 * np.pi / np.sqrt(3 * angles.size))


def test_all_objectives_start_from_the_same_angles():
    """Section IV: "initialized identically across all three methods to ensure a fair comparison"."""
    runs = ("MLE, mean", "exact SELBO", "Algorithm 1, SELBO")
    starts = [initial_state(small(**RUNS[run])).angles for run in runs]
    np.testing.assert_array_equal(starts[0], starts[1])
    np.testing.assert_array_equal(starts[0], starts[2])


def test_every_seed_and_epoch_draws_afresh():
    config = small(shots=50, n_seeds=5, epochs=6, learning_rate=1e-300)
    start = initial_state(config)
    state = replace(start, angles=np.tile(start.angles[:1], (5, 1, 1, 1)))
    objectives = advance(config, state, 6)[1]["objective"]
    assert len(np.unique(objectives)) == 30


def test_another_seed_is_another_run():
    one, two = (initial_state(small(seed=s)).angles for s in (0, 1))
    assert not np.isin(one, two).any()


# --- what the history says ---------------------------------------------------------------------------


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
    problem = build_problem(config)
    state, rows = whole(config)
    last = {name: values[rows["epoch"] == 2] for name, values in rows.items()}
    for i in range(4):
        q = oracles.probabilities(state.angles[i])
        expected = {
            "objective": oracles.objective(objective, q, problem.train_log_likelihood, 7, 1.5),
            "exact_objective": oracles.objective(objective, q, problem.train_log_likelihood, 7, 1.5),
            "expected_log_likelihood": q @ problem.train_log_likelihood,
            "kl": oracles.kl(q),
            "mmd_squared": oracles.mmd_squared(q, 1.5),
            "train_bce": -q @ problem.train_log_likelihood / 300,
            "test_bce": -q @ problem.test_log_likelihood / 200,
            "train_accuracy": q @ problem.train_accuracy,
            "test_accuracy": q @ problem.test_accuracy,
        }
        for name, value in expected.items():
            assert last[name][i] == pytest.approx(value, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_sampled_rows_numbers_are_means_over_the_samples(n_layers):
    config = small(objective="elbo", n_layers=n_layers, epochs=2, regularization=7)
    problem = build_problem(config)
    state, rows = whole(config)
    last = {name: values[rows["epoch"] == 2] for name, values in rows.items()}
    drawn = state.samples
    assert drawn.shape == (4, 100)
    likelihood = problem.train_log_likelihood[drawn].mean(axis=1)
    kl = np.array([oracles.kl(oracles.probabilities(a)) for a in state.angles])
    np.testing.assert_allclose(last["expected_log_likelihood"], likelihood)
    np.testing.assert_allclose(last["train_bce"], -likelihood / 300)
    np.testing.assert_allclose(last["test_bce"], -problem.test_log_likelihood[drawn].mean(axis=1) / 200)
    np.testing.assert_allclose(last["train_accuracy"], problem.train_accuracy[drawn].mean(axis=1))
    np.testing.assert_allclose(last["test_accuracy"], problem.test_accuracy[drawn].mean(axis=1))
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


# --- watching and stopping ---------------------------------------------------------------------------


def test_progress_sees_every_row_and_the_growing_state():
    config, seen = small(epochs=120), []
    result = train(config, lambda state, rows: seen.append((state, rows)))
    rows = join_rows([rows for _, rows in seen])
    assert sorted(zip(rows["seed"], rows["epoch"], strict=True)) == [
        (s, e) for s in range(4) for e in range(1, 121)
    ]
    epochs = [state.epoch for state, _ in seen]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == 120
    assert_same_state(seen[-1][0], result.state)


def test_an_exception_in_progress_stops_the_run():
    calls = []

    def stop(state, rows):
        calls.append(state.epoch)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small(epochs=10_000), stop)
    assert len(calls) == 1


# --- numbers that are no longer finite ---------------------------------------------------------------

DIVERGING = {
    "learning rate": {"learning_rate": 1e308},
    "learning rate, exact": {"learning_rate": 1e308, "shots": None},
    "learning rate, two layers": {"learning_rate": 1e308, "n_layers": 2, "shots": 5},
    "learning rate, two layers, exact": {"learning_rate": 1e308, "n_layers": 2, "shots": None},
    "MMD": {"regularization": 1e300},
    "MMD, exact": {"regularization": 1e300, "shots": None},
    "KL": {"regularization": 1e300, "objective": "elbo"},
    "KL that overflows": {"regularization": 1e308, "objective": "elbo"},
    "both": {"regularization": 1e300, "learning_rate": 1e10},
}


@pytest.mark.parametrize("case", DIVERGING)
def test_a_run_that_diverges_stops_with_a_reason(case):
    config = small(**DIVERGING[case])
    result = train(config)
    assert (result.state.diverged_at > 0).all()
    reason = result.state.divergence()
    assert reason.startswith("4 of 4 seeds diverged")
    assert "learning rate" in reason
    assert len(result.history) < 4 * config.epochs
    assert np.isfinite(result.history.to_numpy()).all()
    assert np.isfinite(result.best_angles).all()
    assert "average" in result.summary().index


LOPSIDED = {"objective": "mle", "shots": None, "n_seeds": 2, "epochs": 3, "learning_rate": 1e-3}


def lopsided_start(config, seeds=None):
    """Where seed 0 has a rate with which its first step overflows."""
    state = initial_state(config, seeds)
    return replace(state, learning_rate=np.where(state.seeds == 0, 1e308, state.learning_rate))


def test_other_seeds_go_on_where_one_diverges():
    config = small(**LOPSIDED)
    start = lopsided_start(config)
    state, rows = advance(config, start, 3)
    assert state.diverged_at.tolist() == [1, 0]
    assert "1 of 2 seeds diverged, first seed 0 at epoch 1" in state.divergence()
    alone, alone_rows = advance(config, initial_state(config, np.array([1])), 3)
    assert_same_rows(rows, alone_rows)
    assert_same_state(state.take([1]), alone)
    np.testing.assert_array_equal(state.best_angles[0], start.angles[0])


@pytest.mark.parametrize("cores", [1, 2])
def test_train_ends_where_only_one_shard_diverges(cores, monkeypatch):
    config, epochs = small(**LOPSIDED), []

    def watch(state, rows):
        epochs.append(state.epoch)
        assert len(epochs) <= 3, "train goes on for ever"

    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(training, "initial_state", lopsided_start)
    result = train(config, watch)
    assert epochs == [1, 2, 3]
    assert result.state.diverged_at.tolist() == [1, 0]
    assert result.history.seed.tolist() == [1, 1, 1]


def test_chunks_change_nothing_where_a_seed_diverges():
    config = small(**LOPSIDED)
    state, parts = lopsided_start(config), []
    for _ in range(3):
        state, rows = advance(config, state, 1)
        parts.append(rows)
    expected_state, expected_rows = advance(config, lopsided_start(config), 3)
    assert_same_state(state, expected_state)
    assert_same_rows(join_rows(parts), expected_rows)


def test_a_run_that_is_fine_has_no_divergence():
    assert initial_state(small()).divergence() == ""


# --- pieces ------------------------------------------------------------------------------------------


def test_take_and_merge_are_inverse():
    state, _ = advance(small(), initial_state(small()), 2)
    assert_same_state(merge_states([state.take([0]), state.take(slice(1, 4))]), state)
    picked = state.take(np.array([True, False, False, True]))
    assert picked.seeds.tolist() == [0, 3]
    np.testing.assert_array_equal(picked.angles, state.angles[[0, 3]])


def test_a_replaced_angle_is_where_training_goes_on_from():
    config = small(shots=None, objective="mle")
    state = initial_state(config)
    moved = replace(state, angles=state.angles + 2 * np.pi)  # the same circuit
    one, two = (advance(config, s, 1)[1]["objective"] for s in (state, moved))
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_the_first_objective_is_measured_with_eq_21(monkeypatch):
    """At the start, with every network equally good, the objective is minus lambda times eq. (21)."""
    config = small(regularization=2.0, shots=7, n_seeds=1)
    drawn = {}
    original = measuring.sampled_terms

    def spy(config, problem, samples, prior, kl):
        drawn.update(samples=samples, prior=prior)
        return original(config, problem, samples, prior, kl)

    monkeypatch.setattr(measuring, "sampled_terms", spy)
    state = initial_state(config)
    bits = oracles.all_bits(6)
    mmd = mmd_squared_unbiased(bits[drawn["samples"][0, 0]], bits[drawn["prior"][0, 0]], 1.5)
    likelihood = build_problem(config).train_log_likelihood[state.samples[0]].mean()
    assert state.best_objective[0] == pytest.approx(likelihood - 2 * mmd, rel=1e-12)


def test_a_run_from_given_angles_starts_there_with_every_seed():
    first = train(small(n_seeds=2, epochs=4))
    theta = tuple(first.state.angles[1].ravel().tolist())
    again = small(n_seeds=2, epochs=4, initial_angles=theta)
    state = initial_state(again)
    np.testing.assert_array_equal(state.angles, np.stack([first.state.angles[1]] * 2))
    assert not np.array_equal(*state.samples), "the shots of each seed are its own"
    np.testing.assert_allclose(
        objective_value(again, state.angles)[0],
        first.history.query("seed == 1 and epoch == 4")["exact_objective"].item(),
        rtol=1e-12,
    )
