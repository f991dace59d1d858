import math

import numpy as np
import pytest

from qhn_core.circuits.divergences import (
    correlator_spectrum,
    correlator_weights,
    entropy,
    kernel_at_one,
    kernel_table,
    kl_to_uniform,
    mmd_squared_to_uniform,
    mmd_squared_unbiased,
    smooth,
)
from tests.unit import oracles

BANDWIDTHS = pytest.mark.parametrize("h", [0.3, 1.0, 3.5, 20.0])


def brute_force_unbiased(x, y, h):
    """Eq. (21) as printed: double loops."""
    n, m = len(x), len(y)

    def k(a, b):
        return math.exp(-sum((int(s) - int(t)) ** 2 for s, t in zip(a, b, strict=True)) / h**2)

    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def test_fact_1_mmd_of_a_point_mass():
    point = np.zeros((1, 2**14))
    point[0, 1234] = 1
    e = math.exp(-1 / 3.5**2)
    value = mmd_squared_to_uniform(point, 3.5)[0]
    assert value == pytest.approx(1 - ((1 + e) / 2) ** 14, rel=1e-12)
    assert value == pytest.approx(0.4287, abs=5e-5)


@BANDWIDTHS
@pytest.mark.parametrize("n", [1, 3, 6])
def test_fact_2_exact_spectrum_and_brute_force_mmd_agree(n, h):
    q = np.stack([oracles.random_distribution(seed, n) for seed in range(3)])
    difference = q - 2.0**-n
    brute_force = np.einsum("bi,ij,bj->b", difference, oracles.gram(n, h), difference)
    np.testing.assert_allclose(mmd_squared_to_uniform(q, h), brute_force, rtol=1e-9, atol=1e-15)
    recombined = correlator_spectrum(q) @ correlator_weights(n, h)
    np.testing.assert_allclose(recombined, brute_force, rtol=1e-9, atol=1e-15)


def test_fact_2_the_spectrum_is_the_sum_of_squared_z_correlators():
    q = oracles.random_distribution(1, 4)
    signs = 1 - 2 * oracles.all_bits(4).astype(int)
    expected = np.zeros(5)
    for subset in oracles.all_bits(4).astype(bool):
        expected[subset.sum()] += (q @ signs[:, subset].prod(axis=1)) ** 2
    np.testing.assert_allclose(correlator_spectrum(q[None])[0], expected, atol=1e-14)


@pytest.mark.parametrize(("h", "ratio"), [(3.5, 24.5), (1.0, 2.2)])
def test_fact_2_a_correlator_of_one_more_bit_weighs_this_much_less(h, ratio):
    weights = correlator_weights(14, h)
    assert weights[0] == 0
    np.testing.assert_allclose(weights[1:-1] / weights[2:], ratio, atol=0.05)


def test_mmd_of_the_uniform_distribution_is_zero():
    uniform = np.full((1, 2**10), 2.0**-10)
    assert mmd_squared_to_uniform(uniform, 1.0)[0] == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(correlator_spectrum(uniform)[0], [1] + [0] * 10, atol=1e-15)


@BANDWIDTHS
def test_smooth_is_the_gram_matrix(h):
    vectors = np.random.default_rng(0).standard_normal((2, 32))
    kept = vectors.copy()
    np.testing.assert_allclose(smooth(vectors, h), vectors @ oracles.gram(5, h), atol=1e-12)
    np.testing.assert_array_equal(vectors, kept)


def test_the_spectrum_leaves_its_argument_alone():
    q = oracles.random_distribution(2, 5)[None]
    kept = q.copy()
    correlator_spectrum(q)
    np.testing.assert_array_equal(q, kept)


@BANDWIDTHS
def test_the_kernel_is_eq_20_on_bits(h):
    zero, far = 0, [0, 1, 3, 7, 15]
    np.testing.assert_allclose(kernel_table(4, h), [oracles.kernel(zero, x, h) for x in far], rtol=1e-12)
    assert kernel_at_one(h) == pytest.approx(math.exp(-1 / h**2), rel=1e-14)


@pytest.mark.parametrize("h", [0.0, -1.0, math.nan, math.inf])
def test_a_bandwidth_must_be_finite_and_positive(h):
    with pytest.raises(ValueError, match=f"bandwidth={h}: must be a finite number above 0"):
        mmd_squared_to_uniform(np.full((1, 4), 0.25), h)


@pytest.mark.parametrize("h", [1e-200, 1e200])
def test_extreme_bandwidths_are_limits_and_not_errors(h):
    q = oracles.random_distribution(3, 4)
    delta_kernel = ((q - 1 / 16) ** 2).sum()
    limit = delta_kernel if h < 1 else 0.0
    assert mmd_squared_to_uniform(q[None], h)[0] == pytest.approx(limit, abs=1e-15)


@pytest.mark.parametrize("n", [1, 5, 14])
def test_entropy_and_kl_of_known_distributions(n):
    uniform, point = np.full(2**n, 2.0**-n), np.zeros(2**n)
    point[-1] = 1
    np.testing.assert_allclose(entropy(np.array([uniform, point])), [n * math.log(2), 0], atol=1e-12)
    np.testing.assert_allclose(kl_to_uniform(np.array([uniform, point])), [0, n * math.log(2)], atol=1e-12)


def test_kl_is_scipys():
    q = np.stack([oracles.random_distribution(seed, 6) for seed in range(4)])
    np.testing.assert_allclose(kl_to_uniform(q), [oracles.kl(row) for row in q], rtol=1e-12)


def test_the_unbiased_estimate_is_eq_21():
    rng = np.random.default_rng(4)
    x, y = rng.integers(2, size=(7, 5), dtype=np.uint8), rng.integers(2, size=(4, 5), dtype=np.uint8)
    for h in (0.7, 1.25, 4.0):
        assert mmd_squared_unbiased(x, y, h) == pytest.approx(brute_force_unbiased(x, y, h), abs=1e-14)


def test_the_unbiased_estimate_does_not_overflow_its_uint8_bits():
    x = np.ones((2, 300), dtype=np.uint8)
    y = np.zeros((2, 300), dtype=np.uint8)
    assert mmd_squared_unbiased(x, y, 20.0) == pytest.approx(2 - 2 * math.exp(-300 / 400), rel=1e-12)


def test_the_mean_of_the_unbiased_estimate_is_the_exact_mmd():
    rng = np.random.default_rng(5)
    q = oracles.random_distribution(6, 4)
    table = oracles.all_bits(4)
    draws = np.array(
        [
            mmd_squared_unbiased(table[rng.choice(16, 5, p=q)], table[rng.integers(16, size=3)], 1.0)
            for _ in range(4000)
        ]
    )
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - oracles.mmd_squared(q, 1.0)) < 4 * error
    assert draws.min() < 0  # unbiased: it may be negative
    assert error < 0.05 * oracles.mmd_squared(q, 1.0)  # fine enough to see a bias


def test_the_oracles_axis_by_axis_mmd_is_the_gram_matrix():
    q = oracles.random_distribution(7, 5)
    difference = q - 1 / 32
    expected = difference @ oracles.gram(5, 1.3) @ difference
    assert oracles.mmd_squared(q, 1.3) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((1, 3), (2, 3), r"x_bits has shape \(1, 3\); it must have at least 2 rows"),
        ((2, 3), (1, 3), r"y_bits has shape \(1, 3\); it must have at least 2 rows"),
        ((6,), (2, 3), r"x_bits has shape \(6,\)"),
        ((2, 3), (2, 4), "x_bits has 3 bits and y_bits 4"),
    ],
)
def test_bad_sample_sets_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        mmd_squared_unbiased(np.zeros(x, dtype=np.uint8), np.zeros(y, dtype=np.uint8), 1.0)
