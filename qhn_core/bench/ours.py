"""This package in the race, by its public functions."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from qhn_core.bench.work import Exact, Inputs, Sampled
from qhn_core.objectives.gradients import value_and_gradient
from qhn_core.training.loop import initial_state, train
from qhn_core.versions import __version__

SEEDS_PER_CORE = 8


@dataclass(frozen=True)
class Epochs:
    """A part of the paper's run: whole epochs of training, on all cores."""

    inputs: Inputs
    n_seeds: int = SEEDS_PER_CORE * (os.cpu_count() or 1)
    epochs: int = 40

    @property
    def evaluations(self) -> int:
        """Number of SELBO estimates: two for each angle, one after each step, and one at the start."""
        per_epoch = 2 * int(np.prod(self.inputs.config.angle_shape)) + 1
        return self.n_seeds * (self.epochs * per_epoch + 1)

    def run(self) -> Any:
        """Train, with everything that training does: steps, scores, and exact values beside them."""
        changes = {"n_seeds": self.n_seeds, "epochs": self.epochs}
        return train(self.inputs.config.model_copy(update=changes))


class Ours:
    """`train` for the sampled work, `gradients.value_and_gradient` for the exact work."""

    name = "qhn"
    own_prior = True

    def __init__(self) -> None:
        self.settings = (
            f"qhn_core {__version__}, double precision, {os.cpu_count()} cores; the sampled "
            "work is training itself, with all that belongs to it"
        )

    def sampled(self, inputs: Inputs) -> Sampled:
        """Prepare the first measurement of a training at given angles, for the check; `Epochs` is timed."""
        flat = [tuple(angles.ravel().tolist()) for angles in inputs.angles]
        configs = [inputs.config.model_copy(update={"initial_angles": angles}) for angles in flat]

        def run(seed: int) -> Any:
            states = [initial_state(c.model_copy(update={"seed": seed})) for c in configs]
            return np.array([state.best_objective[0] for state in states])

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Prepare `value_and_gradient`, with the seeds split over a thread for each core from L = 3 on.

        One or two layers take so little time that threads would wait for each other.
        """
        cores = 1 if inputs.elbo.has_closed_form else os.cpu_count() or 1
        pool = ThreadPoolExecutor(cores)
        parts = np.array_split(inputs.angles, min(cores, len(inputs.angles)))

        def run() -> Any:
            done = list(pool.map(lambda angles: value_and_gradient(inputs.elbo, angles), parts))
            values, gradients = zip(*done, strict=True)
            return np.concatenate(values), np.concatenate(gradients)

        return run
