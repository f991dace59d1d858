"""This package, by the functions that everybody calls."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

import qhn_core
from qhn_core.bench.work import Exact, Inputs, Sampled
from qhn_core.gradients import objective_gradient
from qhn_core.objectives import objective_value
from qhn_core.training import train

SEEDS_PER_CORE = 8


@dataclass(frozen=True)
class Epochs:
    """A piece of the paper's run: whole epochs of training, on all cores."""

    inputs: Inputs
    n_seeds: int = SEEDS_PER_CORE * (os.cpu_count() or 1)
    epochs: int = 5

    @property
    def evaluations(self) -> int:
        """Circuits whose SELBO is estimated: two for each angle, one after the step, one at the start."""
        per_epoch = 2 * int(np.prod(self.inputs.config.angle_shape)) + 1
        return self.n_seeds * (self.epochs * per_epoch + 1)

    def run(self) -> Any:
        """Train, with everything that training does: steps, scores, exact values beside."""
        changes = {"n_seeds": self.n_seeds, "epochs": self.epochs}
        return train(self.inputs.config.model_copy(update=changes))


class Ours:
    """`train` for the sampled work, `objective_value` and `objective_gradient` for the exact."""

    name = "qhn"

    def __init__(self) -> None:
        self.settings = (
            f"qhn_core {qhn_core.__version__}, double precision, {os.cpu_count()} cores; the sampled "
            "work is training itself, with everything else that it does"
        )

    def sampled(self, inputs: Inputs) -> Sampled:
        """One SELBO estimate of each circuit, by the parts that training uses; for the check only."""
        from qhn_core.objectives import sampled_terms
        from qhn_core.problem import build_problem
        from qhn_core.simulators import get_simulator

        config, problem = inputs.config, build_problem(inputs.config)
        simulator = get_simulator(config.simulator, config.n_qubits)
        prior = np.tile(inputs.prior, (inputs.batch, 1))

        def run(seed: int) -> Any:
            uniforms = np.random.default_rng(seed).random((inputs.batch, inputs.shots))
            samples = simulator.sample_indices(inputs.angles, uniforms)
            terms = sampled_terms(config, problem, samples, prior, np.zeros(inputs.batch))
            return terms.value(config.objective, config.regularization)

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Both public functions, one after the other."""

        def run() -> Any:
            return objective_value(inputs.elbo, inputs.angles), objective_gradient(
                inputs.elbo, inputs.angles
            )

        return run
