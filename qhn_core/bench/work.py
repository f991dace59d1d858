"""The work of the race: the inputs that every tool gets, and the answers that it must give."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np

from qhn_core.bits import Bits, Float, Index, index_to_bits
from qhn_core.circuits.divergences import kernel_table, mmd_squared_to_uniform, smooth
from qhn_core.circuits.simulators.cirq_reference import CirqReference
from qhn_core.config import RunConfig
from qhn_core.model.scores import score_table
from qhn_core.objectives.gradients import shifted_angles
from qhn_core.objectives.terms import log_likelihoods


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch of circuits of Section IV: N_qc = 100, λ = 1, h = n / 4, Gaussian data, summed likelihood."""

    n_hidden: int
    n_layers: int
    batch: int
    strength: float = 1.0
    """λ."""

    @cached_property
    def config(self) -> RunConfig:
        """The paper's run, by Algorithm 1."""
        return RunConfig(
            n_hidden=self.n_hidden,
            n_layers=self.n_layers,
            regularization=self.strength,
            gradient="algorithm-1",
        )

    @cached_property
    def elbo(self) -> RunConfig:
        """The config of the same circuits for the exact ELBO and its true gradient."""
        changes = {"objective": "elbo", "shots": None, "gradient": "chain-rule"}
        return self.config.model_copy(update=changes)

    @property
    def n_qubits(self) -> int:
        """Number of bits of the network."""
        return self.config.n_qubits

    @property
    def shots(self) -> int:
        """N_qc."""
        return self.config.shots or 0

    @cached_property
    def angles(self) -> Float:
        """(batch, L, 2, n), radians."""
        rng = np.random.default_rng(0)
        return rng.uniform(0, 2 * np.pi, (self.batch, *self.config.angle_shape))

    @cached_property
    def scores(self) -> Float:
        """Training log-likelihood of every network (2**n,), nats; every tool gets it ready-made."""
        return log_likelihoods(self.config, score_table(self.config))

    @cached_property
    def prior(self) -> Index:
        """Samples of the uniform prior (shots,)."""
        return np.random.default_rng(1).integers(2**self.n_qubits, size=self.shots)

    @cached_property
    def all_bits(self) -> Bits:
        """Every bitstring (2**n, n)."""
        return index_to_bits(np.arange(2**self.n_qubits), self.n_qubits)


def expected_selbo(inputs: Inputs, own_prior: bool) -> Float:
    """Compute the expectation of the sampled SELBO (batch,), exactly, from Cirq's q.

    own_prior: True if each estimate draws its own samples of the prior, False if all use `inputs.prior`.
    """
    q = CirqReference().probabilities(inputs.angles)
    h, prior, m = inputs.config.h, inputs.prior, inputs.shots
    if own_prior:
        mmd_squared = mmd_squared_to_uniform(q, h)
    else:
        table = kernel_table(inputs.n_qubits, h)
        distance = inputs.all_bits[prior][:, None] != inputs.all_bits[prior][None]
        of_prior = (table[distance.sum(axis=2)].sum() - m) / (m * (m - 1))
        smoothed = smooth(q, h)
        mmd_squared = (q * smoothed).sum(axis=1) + of_prior - 2 * smoothed[:, prior].mean(axis=1)
    return q @ inputs.scores - inputs.strength * mmd_squared


@lru_cache(maxsize=8)
def expected_elbo(inputs: Inputs) -> tuple[float, Float]:
    """Compute the first circuit's ELBO and gradient (L, 2, n), by the chain rule over q from Cirq."""
    angles = inputs.angles[0]
    circuits = np.concatenate([angles[None], shifted_angles(angles[None])[0].reshape(-1, *angles.shape)])
    q, *shifted = CirqReference().probabilities(circuits)
    log_q = np.log(np.where(q > 0, q, 1.0))
    value = q @ inputs.scores - inputs.strength * (q @ log_q + inputs.n_qubits * np.log(2))
    slope = inputs.scores - inputs.strength * (log_q + 1)
    plus, minus = np.array(shifted).reshape(-1, 2, q.size).transpose(1, 0, 2) @ slope
    return float(value), ((plus - minus) / 2).reshape(angles.shape)


Sampled = Callable[[int], Float]
"""seed -> the sampled SELBO, eq. (22), of each circuit of the batch, (batch,)."""
Exact = Callable[[], tuple[Float, Float]]
"""() -> the exact ELBO (batch,) and its gradient (batch, L, 2, n)."""


class Tool(Protocol):
    """This package or a peer. Both methods prepare and compile; the calls that they return are timed."""

    name: str
    settings: str
    """Version, precision, and manner of use."""
    own_prior: bool
    """True if it draws samples of the prior for every estimate, False if it takes `Inputs.prior`."""

    def sampled(self, inputs: Inputs) -> Sampled:
        """Prepare to simulate, sample `shots` bitstrings, look up likelihoods, and estimate eq. (21)."""
        ...

    def exact(self, inputs: Inputs) -> Exact:
        """Prepare value and gradient of the ELBO, without sampling."""
        ...


class MissingToolError(ImportError):
    """A peer that is not installed; the message says how to install it."""
