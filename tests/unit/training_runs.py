"""Small runs of every kind, and what it means that two are the same."""

from dataclasses import fields

import numpy as np
import pytest

from qhn_core import RunConfig
from qhn_core.training.loop import advance, initial_state

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
    "Adam": {"optimizer": "adam", "shots": 20, "learning_rate": 0.1},
    "Adam, previous epoch": {"optimizer": "adam", "plateau": "previous-epoch", "shots": 5, "n_layers": 2},
    "previous epoch": {"plateau": "previous-epoch", "patience": 1, "shots": 20},
    "no plateau": {"plateau": "none", "shots": 20},
    "SPSA": {"optimizer": "spsa", "shots": 20, "regularization": 100},
    "natural gradient": {"optimizer": "natural-gradient", "shots": 20, "n_layers": 2},
    "Rotosolve": {"optimizer": "rotosolve", "shots": 20, "objective": "elbo"},
    "no CX": {"entangler": "none", "shots": 20},
    "no CX, three layers, Algorithm 1": {
        "entangler": "none",
        "n_layers": 3,
        "shots": 5,
        "gradient": "algorithm-1",
    },
    "no CX, two layers, natural gradient, exact": {
        "entangler": "none",
        "n_layers": 2,
        "shots": None,
        "optimizer": "natural-gradient",
    },
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
