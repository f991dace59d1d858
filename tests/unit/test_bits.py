import numpy as np
import pytest

from qhn_core.bits import bits_to_index, bits_to_words, index_to_bits, words_to_bits
from tests.unit import oracles


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


@pytest.mark.parametrize("n", [1, 14, 63, 64, 126, 127, 200])
def test_words_hold_every_bit_in_order(n):
    bits = np.random.default_rng(n).integers(0, 2, size=(2, 5, n), dtype=np.uint8)
    words = bits_to_words(bits)
    assert words.shape == (2, -(-n // 63), 5)
    np.testing.assert_array_equal(words_to_bits(words, n), bits)
    text = ["".join(map(str, row)) for row in bits[1]]
    expected = [[int(t[start : start + 63], 2) for t in text] for start in range(0, n, 63)]
    np.testing.assert_array_equal(words[1], expected)
