"""This package's own state vectors: compiled kernels, in double precision, one core for each circuit.

They know the ansatz, so a layer is n / 2 passes over the state, and they release the GIL, so that
several circuits run side by side in threads. Up to about 20 qubits nothing here is faster.
"""

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float, Index
from qhn_core.circuits.ansatz import check_angles, product_probabilities
from qhn_core.circuits.simulators.base import Simulator, sample_one_layer
from qhn_core.kernels import states


class Compiled(Simulator):
    """The ansatz on `kernels.states`."""

    name = "numba"

    @override
    def probabilities(self, angles: Float) -> Float:
        angles = check_angles(angles)
        n_layers, _, n_qubits = angles.shape[1:]
        if n_layers == 1:
            return product_probabilities(angles[:, 0])
        out = np.empty((len(angles), 2**n_qubits))
        for row, theta in zip(out, angles, strict=True):
            q = states.probabilities(states.evolve(theta))
            row[:] = states.entangled_copy(q, n_layers % 2, n_qubits)
        return out

    @override
    def state(self, angles: Float) -> Float:
        return states.evolve(check_angles(angles[None])[0])

    @override
    def sample_indices(self, angles: Float, uniforms: Float) -> Index:
        angles = check_angles(angles)
        return (
            sample_one_layer(angles, uniforms)
            if angles.shape[1] == 1
            else super().sample_indices(angles, uniforms)
        )
