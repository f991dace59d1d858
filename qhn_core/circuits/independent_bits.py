"""Circuits without CX gates: every qubit is on its own, so q is a product of independent bits.

They show what the entangled circuit is worth. Any number of layers has a closed form: one qubit's two
amplitudes. A shifted angle changes the probability of its own bit, and no other.
"""

import numpy as np
from typing_extensions import override

from qhn_core.bits import Bits, Float, Index
from qhn_core.circuits.ansatz import bit_amplitudes
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.config import RunConfig
from qhn_core.kernels import group_samples


def shifted_ones(angles: Float) -> Float:
    """Compute P(1) of each angle's own bit, with the angle shifted by +pi/2 and -pi/2: (B, L, 2, n, 2)."""
    out = np.empty((*angles.shape, 2))
    for layer, kind in np.ndindex(angles.shape[1:3]):
        for side, shift in enumerate((np.pi / 2, -np.pi / 2)):
            shifted = angles.copy()
            shifted[:, layer, kind] += shift  # of all qubits at once, since none knows of another
            out[:, layer, kind, :, side] = abs(bit_amplitudes(shifted)[..., 1]) ** 2
    return out


class IndependentBits(ClosedForm):
    """The ansatz of eq. (8) without its CX gates, for any number of layers and of qubits.

    >>> flat = np.full((1, 3, 2, 14), np.pi / 2)
    >>> IndependentBits(RunConfig(n_layers=3, entangler="none"), flat).groups.shape
    (1, 14, 4)
    """

    def __init__(self, config: RunConfig, angles: Float) -> None:
        Circuits.__init__(self, config, np.ascontiguousarray(angles))
        self.groups = np.zeros((len(angles), self.n_qubits, 4))
        self.groups[..., :2] = abs(bit_amplitudes(self.angles)) ** 2
        self.starts = np.arange(self.n_qubits + 1)
        self.first_control = self.n_qubits

    @override
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        shifted = shifted_ones(self.angles[row : row + 1]).ravel()
        return group_samples.shifted_bit_samples(
            self.groups[row, :, 1].copy(), shifted, draws.keys[row], draws.epoch, draws.shots
        )

    @override
    def angle_slopes(self, by_group: Float) -> Float:
        up, down = np.moveaxis(shifted_ones(self.angles), -1, 0)
        return (by_group[..., 1] - by_group[..., 0])[:, None, None] * (up - down) / 2

    @override
    def entangled(self, bits: Bits) -> Bits:
        return bits
