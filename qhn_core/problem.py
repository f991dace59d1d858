"""A config turned into data, a network and the scores of every network: what training looks up."""

import os
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from qhn_core.bits import Bits, Float, Index, bits_to_index, index_to_bits
from qhn_core.config import RunConfig
from qhn_core.datasets import Dataset, load_dataset
from qhn_core.kernels.words import mean_of_table
from qhn_core.network import BinaryNetwork, log_probabilities

SCORES = ("train_bce", "train_accuracy", "test_bce", "test_accuracy")
BYTES_PER_NETWORK = 128
"""Peak memory of a run, per basis state: four tables of scores, and as much again for states."""
CHUNK = 1024
"""Networks that are evaluated at once: (1024, 300) logits stay in the cache."""


@dataclass(frozen=True)
class Problem:
    """Data, network and, for each of the 2**n networks, its scores (index = basis state)."""

    dataset: Dataset
    network: BinaryNetwork
    train_log_likelihood: Float
    """Summed over the training set, nats, (2**n,)."""
    train_accuracy: Float
    test_log_likelihood: Float
    test_accuracy: Float
    functions: Index
    """Basis states of the distinct networks (R,): those whose hidden neurons are in sorted order."""
    function_of: Index
    """Which of `functions` each of the 2**n networks is."""

    def mean_log_likelihood(self, samples: Index) -> Float:
        """Mean over each circuit's samples, packed (C, 1, shots), of the training log-likelihood: (C,)."""
        means: Float = mean_of_table(self.train_log_likelihood, samples[:, 0])
        return means

    def mean_scores(self, samples: Index) -> dict[str, Float]:
        """Mean BCE (nats) and accuracy over each circuit's samples, packed (C, 1, shots): each (C,)."""
        return {name: mean_of_table(getattr(self, name), samples[:, 0]) for name in SCORES}

    @cached_property
    def train_bce(self) -> Float:
        """Binary cross entropy: minus the mean log-likelihood, nats, (2**n,)."""
        return -self.train_log_likelihood / len(self.dataset.y_train)

    @cached_property
    def test_bce(self) -> Float:
        """The same on the test set, (2**n,)."""
        return -self.test_log_likelihood / len(self.dataset.y_test)


def check_memory(config: RunConfig) -> None:
    """Raise ValueError where the 2**n tables and states do not fit this machine's memory."""
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    bits_present = (present // BYTES_PER_NETWORK).bit_length() - 1
    if config.n_qubits > bits_present:
        exponent = config.n_qubits + np.log2(BYTES_PER_NETWORK) - np.log2(1e9)
        needed = f"{2.0**exponent:,.0f}" if exponent < 60 else f"10^{exponent * np.log10(2):.0f}"
        raise ValueError(
            f"n_hidden={config.n_hidden} makes {config.n_qubits} qubits, which need {needed} GB of memory; "
            f"this machine has {present / 1e9:,.0f} GB: n_hidden may be 1 to {(bits_present - 2) // 4}"
        )


def build_problem(config: RunConfig) -> Problem:
    """The problem of a config; cached, since runs that differ in the objective share it."""
    check_memory(config)
    return _build(
        config.dataset,
        config.dataset_seed,
        config.n_train_per_class,
        config.n_test_per_class,
        config.dataset_noise,
        config.dataset_scale,
        config.n_hidden,
    )


@lru_cache(maxsize=4)
def _build(
    name: str,
    seed: int,
    n_train: int,
    n_test: int,
    noise: float | None,
    scale: float | None,
    n_hidden: int,
) -> Problem:
    dataset = load_dataset(name, seed, n_train, n_test, noise, scale)
    network = BinaryNetwork(dataset.x_train.shape[1], n_hidden)
    functions, which = _distinct_functions(network)
    scores = np.empty((4, len(functions)))
    for start in range(0, len(functions), CHUNK):
        rows = slice(start, start + CHUNK)
        bits = index_to_bits(functions[rows], network.n_bits)
        scores[0, rows], scores[1, rows] = _score(network, bits, dataset.x_train, dataset.y_train)
        scores[2, rows], scores[3, rows] = _score(network, bits, dataset.x_test, dataset.y_test)
    tables = scores[:, which]
    tables.setflags(write=False)
    return Problem(dataset, network, tables[0], tables[1], tables[2], tables[3], functions, which)


def _distinct_functions(network: BinaryNetwork) -> tuple[Index, Index]:
    """(basis states of the distinct networks, which of them each of the 2**n basis states is).

    Networks whose hidden neurons are only permuted are scored once.
    """
    everything = np.arange(2**network.n_bits)
    canonical = np.empty_like(everything)
    for start in range(0, len(everything), 64 * CHUNK):
        rows = slice(start, start + 64 * CHUNK)
        canonical[rows] = bits_to_index(network.canonical(index_to_bits(everything[rows], network.n_bits)))
    functions, which = np.unique(canonical, return_inverse=True)
    return functions, which


def _score(network: BinaryNetwork, bits: Bits, x: Float, y: Index) -> tuple[Float, Float]:
    """(summed log-likelihood, accuracy) of each network on points x with labels y."""
    logits = network.logits(bits, x)
    return log_probabilities(logits, y).sum(axis=1), ((logits > 0) == y).mean(axis=1)
