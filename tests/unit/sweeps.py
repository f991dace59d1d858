"""Small sweeps, here and on the command line."""

import json
import threading

import numpy as np
import pandas as pd

import qhn_core as qhn
from qhn_core.cli import main
from qhn_core.jobs.workers import run_chunk


def small(**options):
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 2, "epochs": 12, "seed": 3, "shots": 20, **options})


SMALL = ["--n-hidden", "1", "--n-seeds", "2", "--epochs", "12", "--seed", "3", "--shots", "20"]
"""small() on the command line."""


def assert_same_run(job, config):
    """Bit for bit the history and angles of qhn.train."""
    expected = qhn.train(config)
    pd.testing.assert_frame_equal(job.result().history, expected.history, check_exact=True)
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)


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
