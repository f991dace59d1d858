"""Bitstrings and their integer indices, and the names of array types that pass between modules."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bits = NDArray[np.uint8]
"""Bit arrays (..., n_bits) of 0 and 1; bit j is qubit j."""
Index = NDArray[np.int64]
"""Basis states as integers; the first qubit is the most significant bit."""


def bits_to_index(bits: Bits) -> Index:
    """Integer index of each bit array (..., n) -> (...).

    >>> bits_to_index(np.array([[0, 1, 1]], dtype=np.uint8))
    array([3])
    """
    n = bits.shape[-1]
    return (bits.astype(np.int64) << np.arange(n - 1, -1, -1)).sum(axis=-1)


def index_to_bits(index: Index, n_bits: int) -> Bits:
    """Bit array of each index (...) -> (..., n_bits).

    >>> index_to_bits(np.array([3]), 3)
    array([[0, 1, 1]], dtype=uint8)
    """
    shifts = np.arange(n_bits - 1, -1, -1)
    return ((np.asarray(index)[..., None] >> shifts) & 1).astype(np.uint8)
