"""One layer in closed form, against Cirq's state vector and brute force."""

import numpy as np
import oracles
import pytest
from scipy import stats

from qhn_core.bits import words_to_bits
from qhn_core.divergences import mmd_squared_unbiased
from qhn_core.kernels import product as kernels
from qhn_core.product import (
    most_probable_bits,
    product_kl,
    product_kl_slope,
    product_mmd_slope,
    product_mmd_squared,
)

SIZES = pytest.mark.parametrize("n", [2, 3, 6, 7])
KEYS = np.array([[1, 2], [3, 4]], dtype=np.uint64)


def some(n, seed=0, count=3):
    """(RY angles (count, n), their ones, their distributions on Cirq)."""
    angles = oracles.random_angles(seed, count, 1, 2, n)
    turns = angles[:, 0, 0]
    return turns, np.sin(turns / 2) ** 2, np.array([oracles.probabilities(a) for a in angles])


@SIZES
@pytest.mark.parametrize("h", [0.4, 1.3, 9.0])
def test_kl_and_mmd_are_those_of_cirqs_distribution(n, h):
    _, ones, q = some(n)
    np.testing.assert_allclose(product_kl(ones), [oracles.kl(x) for x in q], rtol=1e-10)
    np.testing.assert_allclose(
        product_mmd_squared(ones, h), [oracles.mmd_squared(x, h) for x in q], rtol=1e-9
    )


@SIZES
def test_slopes_are_finite_differences(n):
    turns, _, _ = some(n)
    step = 1e-6 * np.eye(n)
    for value, slope in (
        (lambda t: product_kl(np.sin(t / 2) ** 2), product_kl_slope(turns)),
        (lambda t: product_mmd_squared(np.sin(t / 2) ** 2, 1.3), product_mmd_slope(turns, 1.3)),
    ):
        numeric = np.stack([(value(turns + s) - value(turns - s)) / 2e-6 for s in step], axis=1)
        np.testing.assert_allclose(slope, numeric, atol=1e-8)


def test_mmd_of_many_qubits_neither_overflows_nor_vanishes():
    n = 1000
    point, flat = np.zeros((1, n)), np.full((1, n), 0.5)
    e = np.exp(-1 / 250**2)
    assert product_mmd_squared(point, 250.0)[0] == pytest.approx(1 - ((1 + e) / 2) ** n, rel=1e-9)
    assert product_mmd_squared(flat, 250.0)[0] == 0
    assert product_mmd_squared(point, 0.05)[0] == pytest.approx(1)  # e = 0: all strings are strangers


def test_mmd_of_64_qubits_is_what_samples_estimate():
    rng = np.random.default_rng(0)
    turns = rng.uniform(0, 2 * np.pi, (1, 64))
    ones = np.sin(turns / 2) ** 2
    keys = np.array([[5, i] for i in range(40)], dtype=np.uint64)
    drawn = words_to_bits(kernels.product_samples(np.tile(ones, (40, 1)), keys, 1, 200), 64)
    prior = rng.integers(0, 2, size=drawn.shape, dtype=np.uint8)
    estimates = [mmd_squared_unbiased(x, y, 8.0) for x, y in zip(drawn, prior, strict=True)]
    error = np.std(estimates, ddof=1) / np.sqrt(40)
    exact = product_mmd_squared(ones, 8.0)[0]
    assert error < 0.1 * exact
    assert np.mean(estimates) == pytest.approx(exact, abs=4 * error)


@SIZES
def test_the_most_probable_bits(n):
    _, ones, q = some(n, seed=3, count=6)
    expected = [oracles.bits(x.argmax(), n) for x in q]
    np.testing.assert_array_equal(most_probable_bits(ones), expected)


@SIZES
def test_contractions_are_sums_over_all_networks(n):
    turns, ones, q = some(n)
    tables = np.random.default_rng(n).standard_normal((2, 2**n))
    np.testing.assert_allclose(kernels.product_expectations(tables, ones), q @ tables.T, atol=1e-12)
    slopes = kernels.product_slopes(tables[0], ones) * np.sin(turns) / 2  # by the angles
    for t, slope in zip(turns, slopes, strict=True):
        angles = np.stack([t, np.zeros(n)])[None]
        plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)
        np.testing.assert_allclose(slope, ((plus - minus) @ tables[0] / 2)[:n], atol=1e-12)


def assert_follows(indices, q):
    """Chi-square of drawn basis states against a distribution; rare outcomes share one bin."""
    expected = indices.size * q
    bins = np.where(expected >= 5, np.arange(q.size), q.size)
    observed = np.bincount(bins, np.bincount(indices, minlength=q.size))
    expected = np.bincount(bins, expected)
    filled = expected > 0
    return stats.chisquare(observed[filled], expected[filled], sum_check=False).pvalue


@SIZES
def test_samples_follow_cirqs_distribution(n):
    _, ones, q = some(n, count=2)
    drawn = kernels.product_samples(ones, KEYS, 1, 20_000)
    assert drawn.shape == (2, 1, 20_000)
    assert min(assert_follows(x[0], p) for x, p in zip(drawn, q, strict=True)) > 1e-3


def test_shifted_samples_follow_the_shifted_circuits():
    angles = oracles.random_angles(1, 1, 2, 5)
    drawn = kernels.shifted_product_samples(angles[0, 0], KEYS[0], 2, 20_000)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)
    both = np.stack([plus, minus], axis=1).reshape(20, 32)
    values = [assert_follows(x[0], p) for x, p in zip(drawn, both, strict=True)]
    assert min(values) > 1e-3 / 20
    assert stats.kstest(values, "uniform").pvalue > 1e-3  # independent circuits, none better than chance
    assert len(np.unique(drawn[:, 0], axis=0)) == 20


def test_long_bitstrings_have_every_bit_and_every_cx():
    """140 qubits: three words, and seven uniforms a shot."""
    n, shots = 140, 40_000
    turns = np.random.default_rng(4).uniform(0.3, np.pi - 0.3, n)
    ones = np.sin(turns / 2) ** 2
    bits = words_to_bits(kernels.product_samples(ones[None], KEYS[:1], 1, shots)[0], n).astype(int)
    before = bits.copy()
    before[:, 2:139:2] ^= bits[:, 1:138:2]  # undo CX(1, 2), CX(3, 4), ...
    error = np.sqrt(ones * (1 - ones) / shots)
    np.testing.assert_array_less(abs(before.mean(axis=0) - ones), 4.5 * error + 1e-9)
    free = np.corrcoef(before.T)  # and independent before the CX gates
    assert abs(free - np.eye(n)).max() < 5.5 / np.sqrt(shots)
    assert abs(np.corrcoef(bits.T) - np.eye(n)).max() > 0.5  # not after them


@pytest.mark.parametrize("theta", [0.0, np.pi, 2 * np.pi])
def test_certain_qubits_are_certain(theta):
    ones = np.sin(np.full((1, 70), theta) / 2) ** 2
    bits = words_to_bits(kernels.product_samples(ones.round(12), KEYS[:1], 1, 500)[0], 70)
    expected = most_probable_bits(ones.round(12))[0]
    assert (bits == expected).all()
