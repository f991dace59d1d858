"""Cirq's own simulator: slow, and the reference that the others are tested against."""

import cirq
import numpy as np
from typing_extensions import override

from qhn_core.bits import Complex, Float
from qhn_core.circuits.ansatz import brickwork_circuit, check_angles, parameter_resolver
from qhn_core.circuits.simulators.base import Simulator
from qhn_core.config import EntanglerName
from qhn_core.kernels.states import entangled_copy


class CirqReference(Simulator):
    """The ansatz on `cirq.Simulator`, in double precision."""

    name = "cirq"

    def __init__(self, entangler: EntanglerName = "brickwork") -> None:
        self.entangler: EntanglerName = entangler

    @override
    def probabilities(self, angles: Float) -> Float:
        angles = check_angles(angles)
        out = np.empty((len(angles), 2 ** angles.shape[-1]))
        for row, theta in zip(out, angles, strict=True):
            row[:] = np.abs(self._amplitudes(theta)) ** 2
        return out

    @override
    def state(self, angles: Float) -> Float:
        n_layers, _, n_qubits = angles.shape
        amplitudes = self._amplitudes(angles)
        first = n_layers % 2 if self.entangler == "brickwork" else n_qubits
        parts = [entangled_copy(part, first, n_qubits) for part in (amplitudes.real, amplitudes.imag)]
        return np.array(parts)

    def _amplitudes(self, angles: Float) -> Complex:
        n_layers, _, n_qubits = angles.shape
        circuit = brickwork_circuit(n_qubits, n_layers, self.entangler)
        # Untangled states would be multiplied in an order that changes from call to call.
        simulator = cirq.Simulator(dtype=np.complex128, split_untangled_states=False)
        order = cirq.LineQubit.range(n_qubits)
        result = simulator.simulate(circuit, parameter_resolver(angles), qubit_order=order)
        return result.final_state_vector
