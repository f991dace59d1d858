"""Circuits without CX gates, whose state is a product of qubits: nothing has to be simulated."""

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float
from qhn_core.circuits.ansatz import bit_amplitudes, check_angles, product_of_qubits
from qhn_core.circuits.simulators.base import Simulator


class ProductStates(Simulator):
    """The ansatz without its CX gates."""

    name = "product"

    @override
    def probabilities(self, angles: Float) -> Float:
        return np.abs(product_of_qubits(bit_amplitudes(check_angles(angles)))) ** 2

    @override
    def state(self, angles: Float) -> Float:
        amplitudes = bit_amplitudes(check_angles(angles[None]))
        product = product_of_qubits(amplitudes)[0]
        return np.array([product.real, product.imag])
