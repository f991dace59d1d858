"""Cirq's own simulator: slow, and the reference that the others are held to."""

import cirq
import numpy as np

from qhn_core.ansatz import brickwork_circuit, check_angles, parameter_resolver
from qhn_core.bits import Float
from qhn_core.simulators.base import Simulator


class CirqReference(Simulator):
    """The ansatz on `cirq.Simulator`, in double precision."""

    name = "cirq"

    def probabilities(self, angles: Float) -> Float:
        """See `Simulator`."""
        angles = check_angles(angles)
        n_layers, _, n_qubits = angles.shape[1:]
        circuit = brickwork_circuit(n_qubits, n_layers)
        # Untangled states would be multiplied in an order that changes from call to call.
        simulator = cirq.Simulator(dtype=np.complex128, split_untangled_states=False)
        qubits = cirq.LineQubit.range(n_qubits)
        out = np.empty((len(angles), 2**n_qubits))
        for row, theta in zip(out, angles, strict=True):
            result = simulator.simulate(circuit, parameter_resolver(theta), qubit_order=qubits)
            row[:] = np.abs(result.final_state_vector) ** 2
        return out
