import os
import pickle
from dataclasses import fields

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from qhn_core import train
from qhn_core.training.history import join_rows
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.state import merge_states
from tests.unit.training_runs import (
    EVERY_RUN,
    RUNS,
    assert_same_rows,
    assert_same_state,
    of_seed,
    small,
    whole,
)

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


def test_take_and_merge_are_inverse():
    state, _ = advance(small(), initial_state(small()), 2)
    assert_same_state(merge_states([state.take([0]), state.take(slice(1, 4))]), state)
    picked = state.take(np.array([True, False, False, True]))
    assert picked.seeds.tolist() == [0, 3]
    np.testing.assert_array_equal(picked.angles, state.angles[[0, 3]])


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
