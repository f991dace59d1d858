import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.sweep import grid
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.schedules import at_epoch, strength


def config(**options):
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 3, "epochs": 9, "regularization": 8.0, **options})


def schedule(annealing, **options):
    run = config(annealing=annealing, **options)
    return [strength(run, epoch) for epoch in range(1, run.epochs + 1)]


def test_schedules():
    assert schedule("constant") == [8] * 9
    assert schedule("linear") == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    exponential = schedule("exponential")
    assert exponential[0] == 8
    assert exponential[-1] == pytest.approx(0.008)
    assert np.diff(np.log(exponential)) == pytest.approx(np.log(1e-3) / 8)


def test_the_cyclical_schedule_falls_four_times_and_ends_at_nothing():
    found = np.array(schedule("cyclical", epochs=201))
    starts = [0, *(np.flatnonzero(np.diff(found) > 0) + 1)]
    assert starts == [0, 50, 100, 150]
    assert (found[starts] == 8).all()
    assert found[-1] == 0
    assert found.min() == 0


@pytest.mark.parametrize("annealing", ["constant", "linear", "exponential", "cyclical"])
def test_one_epoch_has_the_whole_strength(annealing):
    assert schedule(annealing, epochs=1) == [8]


@pytest.mark.parametrize("objective", ["elbo", "selbo"])
@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
@pytest.mark.parametrize("shots", [30, None])
def test_an_epoch_steps_by_its_own_strength(objective, gradient, shots):
    """As a run of constant strength that is at the same state: it has the same random numbers."""
    run = config(annealing="linear", objective=objective, gradient=gradient, shots=shots)
    state, _ = advance(run, initial_state(run), 4)
    fixed = config(regularization=4.0, objective=objective, gradient=gradient, shots=shots)
    found, row = advance(run, state, 1)
    wanted, wanted_row = advance(fixed, state, 1)
    np.testing.assert_array_equal(found.angles, wanted.angles)
    np.testing.assert_array_equal(row["objective"], wanted_row["objective"])
    np.testing.assert_array_equal(row["exact_objective"], wanted_row["exact_objective"])


def test_the_best_is_judged_by_the_last_strength():
    """Linear annealing ends at 0, so by the likelihood alone, at the start too."""
    run = config(annealing="linear", regularization=300.0)
    history = qhn.train(run).history
    state = qhn.train(run).state
    start = qhn.RunConfig(**{**run.model_dump(), "annealing": "constant", "regularization": 0.0})
    begin = initial_state(start).best_objective
    best = history.groupby("seed").expected_log_likelihood.max().to_numpy()
    np.testing.assert_array_equal(state.best_objective, np.maximum(begin, best))


def test_chunks_change_nothing():
    run = config(annealing="cyclical")
    whole, rows = advance(run, initial_state(run), 9)
    state = initial_state(run)
    for size in (2, 1, 6):
        state, _ = advance(run, state, size)
    np.testing.assert_array_equal(state.best_angles, whole.best_angles)
    np.testing.assert_array_equal(state.angles, whole.angles)
    assert len(rows["epoch"]) == 27


def test_a_constant_run_is_as_it_was_before_there_was_annealing():
    """Hashes from before: stored runs are found again."""
    assert qhn.RunConfig().hash == "c0db11fa88be2809"
    assert qhn.RunConfig(objective="elbo", regularization=3).hash == "af704e2a8079c5cd"
    assert at_epoch(config(), 3) == config()
    annealed = config(annealing="linear")
    assert annealed.hash != config().hash
    assert qhn.RunConfig.model_validate_json(annealed.model_dump_json()) == annealed
    assert "λ=8 linear" in annealed.in_words()


def test_mle_has_nothing_to_anneal():
    assert len(grid({"objective": ["mle"], "annealing": ["constant", "linear"]})) == 1


def test_an_unknown_schedule_is_named():
    with pytest.raises(ValueError, match=r"'constant', 'linear', 'exponential' or 'cyclical'"):
        config(annealing="cosine")
