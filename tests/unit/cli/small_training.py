"""A small run: the options of `qhn train`, and the same as a config."""

import qhn_core as qhn

SMALL = ["--n-hidden", "1", "--epochs", "5", "--n-seeds", "3", "--shots", "20", "--seed", "7"]
CONFIG = qhn.RunConfig(n_hidden=1, epochs=5, n_seeds=3, shots=20, seed=7)
