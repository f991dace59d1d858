"""What a simulator is: exact probabilities of a batch of circuits, and samples of them."""

from abc import ABC, abstractmethod

import numpy as np

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.circuits.ansatz import bit_probabilities, check_angles, entangle_indices
from qhn_core.kernels import sampling

CHUNK_BYTES = 32 * 2**20
"""Memory for the probabilities that are held at once, however many circuits there are."""


def row_blocks(n_rows: int, n_qubits: int) -> list[slice]:
    """Cut a batch into slices whose probabilities fit CHUNK_BYTES; an empty batch is one empty slice.

    >>> row_blocks(3, n_qubits=21)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    size = max(1, CHUNK_BYTES // (8 * 2**n_qubits))
    return [slice(start, start + size) for start in range(0, max(n_rows, 1), size)]


def sample_one_layer(angles: Float, uniforms: Float) -> Index:
    """Measure circuits of one layer bit by bit, as `Simulator.sample_indices`, without 2**n probabilities.

    It inverts the CDF of the product before the CX gates, where the outcomes are in another order.
    """
    before_cx = sampling.sample_product(bit_probabilities(angles[:, 0]), uniforms)
    return entangle_indices(before_cx, angles.shape[-1], layer=1)


class Simulator(ABC):
    """Measures the ansatz of eq. (8) for a batch of angles (B, n_layers, 2, n_qubits), in radians."""

    name: str

    @abstractmethod
    def probabilities(self, angles: Float) -> Float:
        """Compute Born probabilities, eq. (14): (B, 2**n), where each row adds up to 1."""

    @abstractmethod
    def state(self, angles: Float) -> Float:
        """Compute amplitudes (2, 2**n), real and imaginary, at angles (L, 2, n), up to a global phase.

        These are the amplitudes before the CX gates of the last layer, which only rename the outcomes.
        """

    def sample_indices(self, angles: Float, uniforms: Float) -> Index:
        """Measure basis states (B, shots): invert the CDF of each circuit at `uniforms` (B, shots)."""
        angles = check_angles(angles)
        blocks = row_blocks(len(angles), angles.shape[-1])
        return np.concatenate(
            [sampling.sample_table(self.probabilities(angles[b]), uniforms[b]) for b in blocks]
        )

    def sample(self, angles: Float, shots: int, rng: np.random.Generator) -> Bits:
        """Measure bitstrings (B, shots, n), uint8.

        Raises ValueError where shots is below 1 or the angles are not (B, n_layers, 2, n_qubits).

        >>> import qhn_core as qhn
        >>> flat = np.zeros((1, 1, 2, 3))  # all rotations off: every bit is 0
        >>> qhn.get_simulator("qsim").sample(flat, shots=2, rng=np.random.default_rng(0)).tolist()
        [[[0, 0, 0], [0, 0, 0]]]
        """
        if shots < 1:
            raise ValueError(f"shots={shots}: must be a whole number, 1 or more")
        angles = check_angles(angles)
        indices = self.sample_indices(angles, rng.random((len(angles), shots)))
        return index_to_bits(indices, angles.shape[-1])
