"""A config turned into data, a network and the scores of networks: what training looks up."""

from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Protocol, Self

import numpy as np

from qhn_core.bits import Bits, Float, Index, bits_to_index, index_to_bits
from qhn_core.config import DatasetName, RunConfig
from qhn_core.kernels.networks import score_networks
from qhn_core.kernels.transforms import mean_of_table
from qhn_core.model.capacity import check_memory, has_tables
from qhn_core.model.datasets import Dataset, load_dataset
from qhn_core.model.network import BinaryNetwork, log_probabilities

SCORES = ("train_bce", "train_accuracy", "test_bce", "test_accuracy")
MOST_KNOWN = 2**18
"""Most networks that are remembered with their likelihood."""
MOST_AT_ONCE = 2**14
"""Samples whose networks are looked up at once, some hundred bytes each; a whole circuit at least."""
CHUNK = 1024
"""Networks that are scored at once: (1024, 300) logits stay in the cache."""


class NetworkScores(Protocol):
    """Data, a network, and how well networks of sampled bitstrings fit the data.

    Samples are packed bitstrings (C, n_words, shots), see `bits.bits_to_words`.
    """

    @property
    def dataset(self) -> Dataset:
        """The data that networks are scored on."""

    @property
    def network(self) -> BinaryNetwork:
        """The network that a bitstring describes."""

    @property
    def table(self) -> "ScoreTable | None":
        """The scores of all 2**n networks, or None where there are too many networks for a table."""

    def mean_log_likelihood(self, samples: Index) -> Float:
        """Mean training log-likelihood (C,) over each circuit's samples, nats."""

    def mean_scores(self, samples: Index) -> dict[str, Float]:
        """Mean BCE (nats) and accuracy, each (C,), over each circuit's samples."""


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
    """Basis states (R,) of the distinct networks: their hidden neurons are in sorted order."""
    function_of: Index
    """Place in `functions` of each of the 2**n networks, (2**n,)."""

    @property
    def table(self) -> "ScoreTable":
        """All scores: itself."""
        return self

    def mean_log_likelihood(self, samples: Index) -> Float:
        """Look up the mean training log-likelihood (C,) of samples (C, 1, shots), nats."""
        return mean_of_table(self.train_log_likelihood, samples[:, 0])

    def mean_scores(self, samples: Index) -> dict[str, Float]:
        """Look up the mean BCE (nats) and accuracy, each (C,), of samples (C, 1, shots)."""
        return {name: mean_of_table(getattr(self, name), samples[:, 0]) for name in SCORES}

    @cached_property
    def train_bce(self) -> Float:
        """Binary cross entropy on the training set: minus the mean log-likelihood, nats, (2**n,)."""
        return -self.train_log_likelihood / len(self.dataset.y_train)

    @cached_property
    def test_bce(self) -> Float:
        """Binary cross entropy on the test set, nats, (2**n,)."""
        return -self.test_log_likelihood / len(self.dataset.y_test)


@dataclass(frozen=True)
class SampledScores:
    """Data and a network of too many bits for tables: networks are scored when they are sampled."""

    dataset: Dataset
    network: BinaryNetwork
    known: dict[bytes, float] = field(default_factory=dict, compare=False, repr=False)
    """Training log-likelihood by packed bitstring, of the networks sampled last."""

    @property
    def table(self) -> None:
        """None: there are too many networks to score them all."""
        return None

    def mean_log_likelihood(self, samples: Index) -> Float:
        """Compute the mean training log-likelihood (C,) of samples (C, n_words, shots), nats.

        Each distinct network is scored once, and remembered. The circuits are taken in blocks, which
        bound the memory and change no number: each circuit's mean is its own.
        """
        n_circuits, _, shots = samples.shape
        block = max(1, MOST_AT_ONCE // max(1, shots))
        means = [self._means(samples[i : i + block]) for i in range(0, n_circuits, block)]
        return np.concatenate([np.zeros(0), *means])

    def _means(self, samples: Index) -> Float:
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
        found = np.array([values[key] for key in keys], dtype=np.float64)
        return found.reshape(n_circuits, shots).mean(axis=1)

    def mean_scores(self, samples: Index) -> dict[str, Float]:
        """Compute the mean BCE (nats) and accuracy, each (C,), of samples (C, n_words, shots)."""
        n_circuits, n_words, shots = samples.shape
        words = samples.transpose(1, 0, 2).reshape(n_words, -1)
        out: dict[str, Float] = {}
        for part, x, y in self.dataset.parts:
            likelihood, accuracy = self._score(words, x, y)
            out[f"{part}_bce"] = -likelihood.reshape(n_circuits, shots).mean(axis=1) / len(y)
            out[f"{part}_accuracy"] = accuracy.reshape(n_circuits, shots).mean(axis=1)
        return out

    def _score(self, words: Index, x: Float, y: Index) -> tuple[Float, Float]:
        columns, signs = np.ascontiguousarray(x.T), 2.0 * y - 1.0
        words, tie = np.ascontiguousarray(words), self.network.tie(x)
        return score_networks(words, columns, signs, self.network.n_hidden, tie)


@dataclass(frozen=True)
class DataSpec:
    """The fields of a config that its data and its network depend on, and so all scores."""

    dataset: DatasetName
    dataset_seed: int
    n_train_per_class: int
    n_test_per_class: int
    dataset_noise: float | None
    dataset_scale: float | None
    n_hidden: int

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Take the fields from a config."""
        return cls(**{f.name: getattr(config, f.name) for f in fields(cls)})

    def load(self) -> tuple[Dataset, BinaryNetwork]:
        """Make the data and the network."""
        dataset = load_dataset(
            self.dataset,
            self.dataset_seed,
            self.n_train_per_class,
            self.n_test_per_class,
            self.dataset_noise,
            self.dataset_scale,
        )
        return dataset, BinaryNetwork(dataset.x_train.shape[1], self.n_hidden)


def network_scores_for(config: RunConfig) -> NetworkScores:
    """Choose how a run scores its networks: by a table of all, or each network when it is sampled.

    Raises ValueError where a run needs tables that do not fit the memory.
    """
    return score_table(config) if has_tables(config) else _sampled_scores(DataSpec.of(config))


def score_table(config: RunConfig) -> ScoreTable:
    """Score all networks of a config; cached, since runs that differ in the objective share the table.

    Raises ValueError where the tables do not fit the memory.
    """
    check_memory(config)
    return _score_table(DataSpec.of(config))


@lru_cache(maxsize=4)
def _sampled_scores(spec: DataSpec) -> SampledScores:
    return SampledScores(*spec.load())


@lru_cache(maxsize=4)
def _score_table(spec: DataSpec) -> ScoreTable:
    dataset, network = spec.load()
    functions, function_of = _distinct_functions(network)
    scores = np.empty((4, len(functions)))
    for start in range(0, len(functions), CHUNK):
        rows = slice(start, start + CHUNK)
        bits = index_to_bits(functions[rows], network.n_bits)
        scores[0, rows], scores[1, rows] = _score(network, bits, dataset.x_train, dataset.y_train)
        scores[2, rows], scores[3, rows] = _score(network, bits, dataset.x_test, dataset.y_test)
    tables = scores[:, function_of]
    tables.setflags(write=False)
    return ScoreTable(dataset, network, tables[0], tables[1], tables[2], tables[3], functions, function_of)


def _distinct_functions(network: BinaryNetwork) -> tuple[Index, Index]:
    """Find (`ScoreTable.functions`, `ScoreTable.function_of`).

    Networks that differ only in the order of their hidden neurons are scored once.
    """
    everything = np.arange(2**network.n_bits)
    canonical = np.empty_like(everything)
    for start in range(0, len(everything), 64 * CHUNK):
        rows = slice(start, start + 64 * CHUNK)
        canonical[rows] = bits_to_index(network.canonical(index_to_bits(everything[rows], network.n_bits)))
    functions, function_of = np.unique(canonical, return_inverse=True)
    return functions, function_of


def _score(network: BinaryNetwork, bits: Bits, x: Float, y: Index) -> tuple[Float, Float]:
    """(summed log-likelihood, accuracy) of each network on points x with labels y."""
    logits = network.logits(bits, x)
    return log_probabilities(logits, y).sum(axis=1), ((logits > network.tie(x)) == y).mean(axis=1)
