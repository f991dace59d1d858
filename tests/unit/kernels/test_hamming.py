"""Distinct bitstrings and Hamming distances, against plain loops."""

from collections import Counter

import numpy as np
import pytest

from qhn_core.kernels import hamming
from tests.unit import oracles


def test_hamming_distances_count_every_bit_of_every_word():
    rng = np.random.default_rng(4)
    a, b = rng.integers(2**63 - 1, size=(2, 200, 3))
    distance = np.arange(190, dtype=float)  # with this as "kernel", the mean is the distance itself
    for x, y in zip(a, b, strict=True):
        expected = sum(oracles.hamming(i, j) for i, j in zip(x, y, strict=True))
        found = hamming.mean_kernel_between(
            *hamming.distinct(x.reshape(1, 3, 1)), y.reshape(3, 1), np.ones(1), distance
        )
        assert found == [expected]


@pytest.mark.parametrize("n_words", [1, 3])
@pytest.mark.parametrize("many", [3, 40, 10**9])
def test_distinct_bitstrings_are_those_of_a_counter(n_words, many):
    samples = np.random.default_rng(7).integers(many, size=(5, n_words, 50)) << 20
    found, counts, sizes = hamming.distinct(samples)
    for c in range(5):
        expected = Counter(map(tuple, samples[c].T.tolist()))
        actual = zip(found[c, :, : sizes[c]].T.tolist(), counts[c, : sizes[c]], strict=True)
        assert {tuple(bits): count for bits, count in actual} == expected


@pytest.mark.parametrize("shots", [2, 3, 4, 7, 8, 50])
@pytest.mark.parametrize("n", [3, 6])
def test_mean_kernels_are_double_loops_over_pairs(n, shots):
    rng = np.random.default_rng(5)
    h = 1.7
    samples, others = rng.integers(2**n, size=(4, 1, shots)), rng.integers(2**n, size=(1, 1, 5))
    table = np.array([np.exp(-d / h**2) for d in range(n + 1)])
    within = [
        np.mean([oracles.kernel(a, b, h) for i, a in enumerate(row) for j, b in enumerate(row) if i != j])
        for row in samples[:, 0]
    ]
    between = [
        np.mean([oracles.kernel(a, b, h) for a in row for b in others[0, 0]]) for row in samples[:, 0]
    ]
    found, (rest, counts, sizes) = hamming.distinct(samples), hamming.distinct(others)
    np.testing.assert_allclose(hamming.mean_kernel_within(*found, table), within, rtol=1e-12)
    weights = counts[0, : sizes[0]]
    np.testing.assert_allclose(
        hamming.mean_kernel_between(*found, rest[0], weights, table), between, rtol=1e-12
    )
