"""What a simulator is: exact probabilities of a batch of circuits, and samples of them."""

from abc import ABC, abstractmethod

import numpy as np

from qhn_core import kernels
from qhn_core.ansatz import check_angles
from qhn_core.bits import Bits, Float, Index, index_to_bits

CHUNK_BYTES = 32 * 2**20
"""Probabilities that are held at once, however many circuits there are."""


def row_blocks(n_rows: int, n_qubits: int) -> list[slice]:
    """A batch in slices whose probabilities fit CHUNK_BYTES; one slice at least, be it empty.

    >>> row_blocks(3, n_qubits=21)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    size = max(1, CHUNK_BYTES // (8 * 2**n_qubits))
    return [slice(start, start + size) for start in range(0, max(n_rows, 1), size)]


class Simulator(ABC):
    """Measures the ansatz of eq. (8) for a batch of angles (B, n_layers, 2, n_qubits), in radians."""

    name: str

    @abstractmethod
    def probabilities(self, angles: Float) -> Float:
        """Born probabilities, eq. (14): (B, 2**n), each row summing to 1."""

    def sample_indices(self, angles: Float, uniforms: Float) -> Index:
        """Measured basis states (B, shots): the inverse CDF of each circuit at `uniforms` (B, shots)."""
        angles = check_angles(angles)
        blocks = row_blocks(len(angles), angles.shape[-1])
        return np.concatenate(
            [kernels.sample_table(self.probabilities(angles[b]), uniforms[b]) for b in blocks]
        )

    def sample(self, angles: Float, shots: int, rng: np.random.Generator) -> Bits:
        """Measured bitstrings (B, shots, n), uint8.

        >>> import qhn_core as qhn
        >>> flat = np.zeros((1, 1, 2, 3))  # all rotations off: every bit is 0
        >>> qhn.get_simulator("qsim").sample(flat, shots=2, rng=np.random.default_rng(0)).tolist()
        [[[0, 0, 0], [0, 0, 0]]]
        """
        if shots < 1:
            raise ValueError(f"shots={shots}: needed is a whole number, 1 or more")
        angles = check_angles(angles)
        indices = self.sample_indices(angles, rng.random((len(angles), shots)))
        return index_to_bits(indices, angles.shape[-1])
