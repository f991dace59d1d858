"""Small runs, and what it means that a run is the same as another."""

import time
from dataclasses import fields
from functools import lru_cache

import numpy as np

import qhn_core as qhn
from qhn_core.training.history import HISTORY_COLUMNS, join_rows
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS


def small(**options):
    """A run of 6 qubits, about half a millisecond an epoch."""
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 3, "epochs": 6, "seed": 11, "shots": 20, **options})


@lru_cache
def uninterrupted(config):
    """(states after 0, 1, 2, ... epochs, history rows) of a run in one piece, in this thread."""
    states, rows = [initial_state(config)], []
    while states[-1].epoch < config.epochs:
        state, new = advance(config, states[-1], 1)
        states.append(state)
        rows.append(new)
    return states, join_rows(rows)


def table(rows):
    """History rows as an array (columns, rows), by seed and epoch."""
    columns = np.array([np.asarray(rows[name], dtype=float) for name in HISTORY_COLUMNS])
    return columns[:, np.lexsort((rows["epoch"], rows["seed"]))]


def assert_same_run(job):
    """The job's history and state are, bit for bit, those of the uninterrupted run at that epoch."""
    states, rows = uninterrupted(job.config)
    done = table(rows)
    done = done[:, done[HISTORY_COLUMNS.index("epoch")] <= job.epoch]
    np.testing.assert_array_equal(table(job.rows()), done)
    if job.state is not None:
        for f in fields(job.state):
            expected = getattr(states[job.epoch], f.name)
            np.testing.assert_array_equal(getattr(job.state, f.name), expected, err_msg=f.name)


def assert_whole(job):
    """The job is done, with the result of the uninterrupted run."""
    assert (str(job.status), job.epoch) == ("done", job.config.epochs), job.message
    assert_same_run(job)


def until(condition, seconds=SECONDS):
    """Wait until condition() is true; for what other processes do, which sends us no event."""
    give_up = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)
    return value
