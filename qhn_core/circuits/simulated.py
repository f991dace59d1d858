"""Circuits of any kind on a simulator, one simulation for each shifted circuit: slow, as a reference."""

from functools import cached_property

import numpy as np
from typing_extensions import override

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.divergences import kl_to_uniform, mmd_squared_to_uniform, safe_log, smooth
from qhn_core.circuits.simulators import Simulator
from qhn_core.config import RunConfig
from qhn_core.kernels import philox, sampling
from qhn_core.kernels.group_samples import MEASURED, SHIFTED


class Simulated(Circuits):
    """The circuit of one seed, angles (1, L, 2, n), as a simulator computes it."""

    def __init__(self, config: RunConfig, angles: Float, simulator: Simulator) -> None:
        super().__init__(config, angles)
        self._simulator = simulator

    @cached_property
    def _q(self) -> Float:
        """Probabilities (1, 2**n)."""
        return self._simulator.probabilities(self.angles)

    @cached_property
    def _shifted_q(self) -> Float:
        """Probabilities (2 P, 2**n) where each angle in turn is shifted by +pi/2, and by -pi/2."""
        steps = np.eye(self.angles.size).reshape(-1, 1, *self.angles.shape[1:]) * (np.pi / 2)
        shifted = self.angles + np.concatenate([steps, -steps], axis=1)
        return self._simulator.probabilities(shifted.reshape(-1, *self.angles.shape[1:]))

    @override
    def samples(self, draws: Draws) -> Index:
        return _measured(self._q, draws, 0, MEASURED)

    @override
    def shifted_samples(self, row: int, draws: Draws) -> Index:
        return _measured(self._shifted_q, draws, row, SHIFTED)

    @override
    def means(self, tables: Float) -> Float:
        return self._q @ tables.T

    @override
    def kl(self) -> Float:
        return kl_to_uniform(self._q)

    @override
    def mmd_squared(self) -> Float:
        return mmd_squared_to_uniform(self._q, self.config.h)

    @override
    def gradient(self, scores: Float | None, objective: str) -> Float:
        slope = np.zeros(self._q.shape[1]) if scores is None else scores.copy()
        strength = self.config.regularization
        if objective == "elbo":
            slope -= strength * safe_log(self._q[0])
        if objective == "selbo":
            slope -= strength * 2 * smooth(self._q - 1 / slope.size, self.config.h)[0]
        up, down = self._shifted_q[::2], self._shifted_q[1::2]
        return ((up - down) @ slope / 2).reshape(self.angles.shape)


def _measured(q: Float, draws: Draws, row: int, first_stream: int) -> Index:
    """Samples (C, 1, shots) of distributions (C, 2**n), each with a stream of its own."""
    uniforms = np.empty((len(q), draws.shots))
    for circuit, u in enumerate(uniforms):
        philox.fill_uniform(u, draws.keys[row], draws.epoch, first_stream + circuit, 0)
    return sampling.sample_table(q, uniforms)[:, None]
