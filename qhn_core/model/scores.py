"""A config turned into data, a network and the scores of every network: what training looks up."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from qhn_core.bits import Bits, Float, Index, bits_to_index, index_to_bits
from qhn_core.config import RunConfig
from qhn_core.kernels.networks import score_networks
from qhn_core.kernels.transforms import mean_of_table
from qhn_core.model.capacity import check_memory, has_tables
from qhn_core.model.datasets import Dataset, load_dataset
from qhn_core.model.network import BinaryNetwork, log_probabilities

SCORES = ("train_bce", "train_accuracy", "test_bce", "test_accuracy")
MOST_KNOWN = 2**18
"""Networks whose likelihood is remembered."""
CHUNK = 1024
"""Networks that are evaluated at once: (1024, 300) logits stay in the cache."""


@dataclass(frozen=True)
class ScoreTable:
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


@dataclass(frozen=True)
class SampledScores:
    """Data and a network of too many bits for tables: networks are scored when they are sampled."""

    dataset: Dataset
    network: BinaryNetwork
    known: dict[bytes, float] = field(default_factory=dict, compare=False, repr=False)
    """Training log-likelihood by packed bitstring, of the networks met last."""

    def mean_log_likelihood(self, samples: Index) -> Float:
        """Mean training log-likelihood (C,) over each circuit's samples, packed (C, n_words, shots).

        Each distinct network is scored once, and remembered.
        """
        n_circuits, n_words, shots = samples.shape
        rows = np.ascontiguousarray(samples.transpose(0, 2, 1)).reshape(-1, n_words)
        keys = rows.view(f"V{8 * n_words}").ravel().tolist()
        values = {key: self.known.get(key, np.nan) for key in keys}
        missing = [key for key, value in values.items() if value != value]  # NaN: not known
        words = np.frombuffer(b"".join(missing), dtype=np.int64).reshape(-1, n_words).T
        scores = self._score(words, self.dataset.x_train, self.dataset.y_train)[0]
        values.update(zip(missing, scores.tolist(), strict=True))
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        self.known.update(values)
        found: Float = np.array([values[key] for key in keys], dtype=np.float64)
        return found.reshape(n_circuits, shots).mean(axis=1)

    def mean_scores(self, samples: Index) -> dict[str, Float]:
        """Mean BCE (nats) and accuracy, each (C,), over each circuit's samples (C, n_words, shots)."""
        n_circuits, n_words, shots = samples.shape
        words = samples.transpose(1, 0, 2).reshape(n_words, -1)
        out: dict[str, Float] = {}
        data = self.dataset
        for part, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
            likelihood, accuracy = self._score(words, x, y)
            out[f"{part}_bce"] = -likelihood.reshape(n_circuits, shots).mean(axis=1) / len(y)
            out[f"{part}_accuracy"] = accuracy.reshape(n_circuits, shots).mean(axis=1)
        return out

    def _score(self, words: Index, x: Float, y: Index) -> tuple[Float, Float]:
        columns, signs = np.ascontiguousarray(x.T), 2.0 * y - 1.0
        scores: tuple[Float, Float] = score_networks(
            np.ascontiguousarray(words), columns, signs, self.network.n_hidden
        )
        return scores


NetworkScores = ScoreTable | SampledScores


def network_scores_for(config: RunConfig) -> NetworkScores:
    """What a run scores its networks by: tables, or each network that it meets.

    Raises ValueError where a run needs tables that do not fit the memory.
    """
    if has_tables(config):
        return score_table(config)
    return _build_large(*_determined_by(config))


def _determined_by(config: RunConfig) -> tuple[str, int, int, int, float | None, float | None, int]:
    """The fields that a problem depends on."""
    points = (config.n_train_per_class, config.n_test_per_class)
    return (
        config.dataset,
        config.dataset_seed,
        *points,
        config.dataset_noise,
        config.dataset_scale,
        config.n_hidden,
    )


@lru_cache(maxsize=4)
def _build_large(
    name: str,
    seed: int,
    n_train: int,
    n_test: int,
    noise: float | None,
    scale: float | None,
    n_hidden: int,
) -> SampledScores:
    dataset = load_dataset(name, seed, n_train, n_test, noise, scale)
    return SampledScores(dataset, BinaryNetwork(dataset.x_train.shape[1], n_hidden))


def score_table(config: RunConfig) -> ScoreTable:
    """The problem of a config with its tables; cached, since runs that differ in the objective share it.

    Raises ValueError where the tables do not fit the memory.
    """
    check_memory(config)
    return _build(*_determined_by(config))


@lru_cache(maxsize=4)
def _build(
    name: str,
    seed: int,
    n_train: int,
    n_test: int,
    noise: float | None,
    scale: float | None,
    n_hidden: int,
) -> ScoreTable:
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
    return ScoreTable(dataset, network, tables[0], tables[1], tables[2], tables[3], functions, which)


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
