import numpy as np
import oracles
import pytest

from qhn_core.bits import bits_to_index, index_to_bits


@pytest.mark.parametrize("n", [1, 3, 14])
def test_the_first_bit_is_the_most_significant(n):
    index = np.arange(0, 2**n, max(1, 2**n // 50))
    expected = np.array([oracles.bits(i, n) for i in index], dtype=np.uint8)
    assert index_to_bits(index, n).dtype == np.uint8
    np.testing.assert_array_equal(index_to_bits(index, n), expected)
    np.testing.assert_array_equal(bits_to_index(expected), index)


def test_any_leading_shape_is_kept():
    bits = index_to_bits(np.array([[0, 5], [6, 7]]), 3)
    assert bits.tolist() == [[[0, 0, 0], [1, 0, 1]], [[1, 1, 0], [1, 1, 1]]]
    assert bits_to_index(bits).tolist() == [[0, 5], [6, 7]]
