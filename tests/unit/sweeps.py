"""Small sweeps, here and on the command line."""

import json
import threading
from functools import partial

import qhn_core as qhn
from qhn_core.cli import main
from qhn_core.jobs.workers import run_chunk
from tests import small_runs

small = partial(small_runs.small, n_seeds=2, epochs=12, seed=3)
SMALL = ["--n-hidden", "1", "--n-seeds", "2", "--epochs", "12", "--seed", "3", "--shots", "20"]
"""small() on the command line."""


def has_simulator(name):
    return next(s.available for s in qhn.available_simulators() if s.name == name)


class Counter:
    """Stands in for `run_chunk` and counts the epochs that it computes, by config."""

    def __init__(self):
        self.epochs = {}
        self.lock = threading.Lock()

    def __call__(self, config, start, n_epochs):
        before = getattr(start, "epoch", 0)
        state, rows = run_chunk(config, start, n_epochs)
        with self.lock:
            self.epochs[config] = self.epochs.get(config, 0) + state.epoch - before
        return state, rows


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of `qhn`."""
    code = main.main(list(arguments))
    return code, *capsys.readouterr()


def swept(capsys, *options):
    """The runs of `qhn sweep --json`."""
    code, out, _ = run(capsys, "sweep", "--json", *SMALL, *options)
    assert code == 0
    return json.loads(out)["runs"]
