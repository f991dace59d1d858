"""Runs to store, and what to read them back with."""

import sqlite3
from contextlib import closing
from dataclasses import fields

import numpy as np

from qhn_core.training.loop import advance, initial_state
from tests.small_runs import small

CONFIG = small(epochs=12, seed=5)


def bits(thing):
    """All of a state's or a history's numbers, as bytes: nothing is equal but the same."""
    items = thing if isinstance(thing, dict) else {f.name: getattr(thing, f.name) for f in fields(thing)}
    arrays = {name: np.asarray(value) for name, value in items.items()}
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def path_of(config, sizes):
    """(state, rows) after the initial state and after each chunk."""
    steps = [(initial_state(config), None)]
    for size in sizes:
        steps.append(advance(config, steps[-1][0], size))
    return steps


def save(store, steps, run_id="run", config=CONFIG, status="running"):
    for state, rows in steps:
        store.checkpoint(run_id, config, status, state, rows)


def ask(folder, query, *values):
    """What another program reads in the file."""
    with closing(sqlite3.connect(folder / "runs.sqlite3")) as db:
        return db.execute(query, values).fetchall()
