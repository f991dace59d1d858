"""Circuits of any depth, by their state vector."""

from functools import cached_property

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.divergences import mmd_squared_to_uniform, smooth
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
        angles[0, 1] = 0.0  # the RZ of layer 1 turn the global phase only, and `adjoint` wants it so
        return self._simulator.state(angles)

    @cached_property
    def _q(self) -> Float:
        """Their squares (2**n,)."""
        q: Float = states.probabilities(self._state)
        return q

    def _renamed(self, values: Float) -> Float:
        """Numbers of basis states (2**n,) after the last CX gates in the order before them, or back."""
        renamed: Float = states.entangled_copy(values, self.config.n_layers, self.config.n_qubits)
        return renamed

    def samples(self, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = light_cones.state_samples(
            self._q, self.config.n_layers, draws.keys[0], draws.epoch, draws.shots
        )
        return words[None]

    def shifted_samples(self, row: int, draws: Draws) -> Index:
        """See `Circuits`."""
        words: Index = light_cones.shifted_state_samples(
            self.angles[row], self._state, self._q, draws.keys[row], draws.epoch, draws.shots
        )
        return words

    def means(self, tables: Float) -> Float:
        """See `Circuits`."""
        means: Float = transforms.row_dots(tables, self._renamed(self._q)[None])
        return means[None]

    @cached_property
    def _log_q(self) -> Float:
        """log q (2**n,), and a large negative number where q is 0."""
        logs: Float = np.log(np.maximum(self._q, np.finfo(float).tiny))
        return logs

    def kl(self) -> Float:
        """See `Circuits`."""
        return self.config.n_qubits * np.log(2) + transforms.row_dots(self._q[None], self._log_q[None])

    def mmd_squared(self) -> Float:
        """See `Circuits`."""
        return mmd_squared_to_uniform(self._renamed(self._q)[None], self.config.h)

    def gradient(self, scores: Float | None, objective: str) -> Float:
        """See `Circuits`; one backward pass."""
        slope = -self.config.regularization * self._regularizer_slope(objective)
        if scores is not None:
            slope += self._renamed(scores)
        gradient: Float = adjoint.adjoint_gradient(self.angles[0], self._state, slope)
        return gradient[None]

    def _regularizer_slope(self, objective: str) -> Float:
        """d(regulariser)/dq before the last CX: log q + 1 for KL, 2 K (q - p) for MMD²; (2**n,)."""
        q = self._q
        if objective == "mle":
            return np.zeros_like(q)
        if objective == "elbo":
            return self._log_q + 1
        return self._renamed(2 * smooth((self._renamed(q) - 1 / q.size)[None], self.config.h)[0])
