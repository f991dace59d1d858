"""Bitstrings and their integer indices, and the names of the array types that modules exchange."""

import numpy as np
from numpy.typing import NDArray

from qhn_core.kernels.hamming import WORD_BITS

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bits = NDArray[np.uint8]
"""Bit arrays (..., n_bits) of 0 and 1; bit j is qubit j."""
Index = NDArray[np.int64]
"""Basis states as integers; the first qubit is the most significant bit."""


def bits_to_index(bits: Bits) -> Index:
    """Turn bit arrays (..., n) into their integer indices (...); n must be at most 63.

    >>> bits_to_index(np.array([[0, 1, 1]], dtype=np.uint8))
    array([3])
    """
    n = bits.shape[-1]
    return (bits.astype(np.int64) << np.arange(n - 1, -1, -1)).sum(axis=-1)


def index_to_bits(index: Index, n_bits: int) -> Bits:
    """Turn indices (...) into bit arrays (..., n_bits).

    >>> index_to_bits(np.array([3]), 3)
    array([[0, 1, 1]], dtype=uint8)
    """
    shifts = np.arange(n_bits - 1, -1, -1)
    return ((np.asarray(index)[..., None] >> shifts) & 1).astype(np.uint8)


def bits_to_words(bits: Bits) -> Index:
    """Pack bit arrays (..., shots, n) into words (..., n_words, shots) of 63 bits; the last may be shorter.

    With up to 63 bits there is one word, and it is the basis state's index.

    >>> bits_to_words(np.ones((1, 64), dtype=np.uint8)).tolist() == [[2**63 - 1], [1]]
    True
    """
    n = bits.shape[-1]
    words = [bits_to_index(bits[..., start : start + WORD_BITS]) for start in range(0, n, WORD_BITS)]
    return np.stack(words, axis=-2)


def words_to_bits(words: Index, n_bits: int) -> Bits:
    """Unpack words (..., n_words, shots) into bit arrays (..., shots, n_bits).

    >>> words_to_bits(np.array([[3]]), 3).tolist()
    [[0, 1, 1]]
    """
    widths = [min(WORD_BITS, n_bits - start) for start in range(0, n_bits, WORD_BITS)]
    parts = [index_to_bits(words[..., w, :], width) for w, width in enumerate(widths)]
    return np.concatenate(parts, axis=-1)
