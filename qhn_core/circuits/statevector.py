"""Circuits of any depth, by their state vector."""

from functools import cached_property

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.divergences import mmd_squared_to_uniform, safe_log, smooth
from qhn_core.circuits.simulators import Simulator
from qhn_core.config import RunConfig
from qhn_core.kernels import adjoint, light_cones, states, transforms


class StateVector(Circuits):
    """Circuits of any depth: one seed, angles (1, L, 2, n), and its state vector."""

    def __init__(self, config: RunConfig, angles: Float, simulator: Simulator) -> None:
        super().__init__(config, angles)
        self._simulator = simulator

    @cached_property
    def _state(self) -> Float:
        """Amplitudes (2, 2**n) before the last CX gates."""
        angles = self.angles[0].copy()
        angles[0, 1] = 0.0  # the RZ of layer 1 turn only the global phase, which `adjoint` expects to be 0
        return self._simulator.state(angles)

    @cached_property
    def _q(self) -> Float:
        """Probabilities (2**n,) before the last CX gates."""
        return states.probabilities(self._state)

    def _renamed(self, values: Float) -> Float:
        """Reorder numbers of basis states (2**n,) from after the last CX gates to before them, or back."""
        return states.entangled_copy(values, self.n_layers % 2, self.n_qubits)

    @override
    def samples(self, draws: Draws) -> Index:
        return light_cones.state_samples(self._q, self.n_layers, draws.keys[0], draws.epoch, draws.shots)[
            None
        ]

    @override
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        return light_cones.shifted_state_samples(
            self.angles[row], self._state, self._q, draws.keys[row], draws.epoch, draws.shots
        )

    @override
    def means(self, tables: Float) -> Float:
        return transforms.row_dots(tables, self._renamed(self._q)[None])[None]

    @cached_property
    def _log_q(self) -> Float:
        """`safe_log` of q (2**n,)."""
        return safe_log(self._q)

    @override
    def kl(self) -> Float:
        return self.n_qubits * np.log(2) + transforms.row_dots(self._q[None], self._log_q[None])

    @override
    def mmd_squared(self) -> Float:
        return mmd_squared_to_uniform(self._renamed(self._q)[None], self.config.h)

    @override
    def gradient(self, scores: Float | None, objective: str) -> Float:
        slope = -self.config.regularization * self._regularizer_slope(objective)
        if scores is not None:
            slope += self._renamed(scores)
        return adjoint.adjoint_gradient(self.angles[0], self._state, slope)[None]

    def _regularizer_slope(self, objective: str) -> Float:
        """d(regulariser)/dq before the last CX: log q + 1 for KL, 2 K (q - p) for MMD²; (2**n,)."""
        q = self._q
        if objective == "mle":
            return np.zeros_like(q)
        if objective == "elbo":
            return self._log_q + 1
        return self._renamed(2 * smooth((self._renamed(q) - 1 / q.size)[None], self.config.h)[0])
