"""Linear maps of 2**n numbers and sums over them, against scipy's matrices."""

from functools import reduce

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from qhn_core.kernels import transforms
from tests.unit import oracles


@pytest.mark.parametrize("n", range(1, 8))
def test_apply_bitwise_is_the_hadamard_matrix(n):
    vectors = np.random.default_rng(n).standard_normal((3, 2**n))
    expected = vectors @ scipy.linalg.hadamard(2**n).T
    transforms.apply_bitwise(vectors, 1.0, 1.0, 1.0, -1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


@pytest.mark.parametrize("h", [0.5, 1.0, 3.5])
@pytest.mark.parametrize("n", [1, 4, 7])
def test_apply_bitwise_is_the_rbf_gram_matrix(n, h):
    vectors = np.random.default_rng(n).standard_normal((2, 2**n))
    expected = vectors @ oracles.gram(n, h)
    e = np.exp(-1 / h**2)
    transforms.apply_bitwise(vectors, 1.0, e, e, 1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


def test_apply_bitwise_is_the_kronecker_power_of_an_asymmetric_matrix():
    m = np.array([[1.0, 2.0], [-3.0, 0.5]])
    vector = np.random.default_rng(0).standard_normal((1, 16))
    expected = reduce(np.kron, [m] * 4) @ vector[0]
    transforms.apply_bitwise(vector, *m.ravel())
    np.testing.assert_allclose(vector[0], expected, atol=1e-12)


@pytest.mark.parametrize("shots", [1, 4, 7])
def test_lookups_are_numpys(shots):
    rng = np.random.default_rng(6)
    table, indices = rng.standard_normal(64), rng.integers(64, size=(3, shots))
    np.testing.assert_allclose(transforms.mean_of_table(table, indices), table[indices].mean(axis=1))
