"""The optimisers: how the seeds of a run step from their angles to better ones, all at once.

Each is one function (config, estimator, state, epoch) -> `Step`; `config` has the λ of the epoch. What an
optimiser must remember is in the state (`TrainingState.moments`), and its random numbers depend on seed and
epoch only. So a run that is cut into chunks and resumed gives the same numbers, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.batches import closed_form
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.config import RunConfig
from qhn_core.objectives.estimates import Estimator, objective_of
from qhn_core.training.state import TrainingState

ADAM_EPSILON = 1e-8
"""The small number in Adam's denominator, as published."""
DIRECTIONS = 1
"""Spawn key of SPSA's directions; 0 is that of the first angles."""


@dataclass(frozen=True)
class Step:
    """What an optimiser did with S seeds. Numbers may be infinite: training ends such a seed."""

    angles: Float
    """The new angles, (S, L, 2, n)."""
    gradient: Float
    """The estimate of the gradient that it used, (S, L, 2, n)."""
    moments: Float
    """`TrainingState.moments`."""


def moments_shape(config: RunConfig) -> tuple[int, ...]:
    """Return the shape of one seed's `TrainingState.moments`.

    >>> moments_shape(RunConfig()), moments_shape(RunConfig(optimizer="adam"))
    ((0, 1, 2, 14), (2, 1, 2, 14))
    """
    return (2 if config.optimizer == "adam" else 0, *config.angle_shape)


def circuits_per_epoch(config: RunConfig) -> int:
    """Count the circuits that an epoch measures for each seed, the measurement of the new angles included.

    Gradients take two circuits for each angle, SPSA two in all, Rotosolve three for each angle but the RZ
    of layer 1.

    >>> [circuits_per_epoch(RunConfig(optimizer=name)) for name in ("adam", "spsa", "rotosolve")]
    [57, 3, 43]
    """
    n_angles = int(np.prod(config.angle_shape))
    steps = {"spsa": 2, "rotosolve": 3 * (n_angles - config.n_qubits)}
    return steps.get(config.optimizer, 2 * n_angles) + 1


def ascend(angles: Float, direction: Float, learning_rate: Float) -> Float:
    """Compute angles + η direction for each seed; angles (S, L, 2, n), learning_rate (S,)."""
    with np.errstate(over="ignore", invalid="ignore"):  # training reports a seed that diverges
        return angles + learning_rate[:, None, None, None] * direction


def gradient_ascent(config: RunConfig, estimator: Estimator, now: TrainingState, epoch: int) -> Step:
    """Step along the gradient, Algorithm 1: angles + η gradient."""
    gradient = estimator.gradient(config, now.angles, epoch, now.samples)
    return Step(ascend(now.angles, gradient, now.learning_rate), gradient, now.moments)


def adam(config: RunConfig, estimator: Estimator, now: TrainingState, epoch: int) -> Step:
    """Step with Adam (Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1), uphill.

    The moments are running means of the gradient and of its square.
    """
    gradient = estimator.gradient(config, now.angles, epoch, now.samples)
    beta_1, beta_2 = config.beta_1, config.beta_2
    with np.errstate(over="ignore", invalid="ignore"):
        first = beta_1 * now.moments[:, 0] + (1 - beta_1) * gradient
        second = beta_2 * now.moments[:, 1] + (1 - beta_2) * gradient**2
        spread = np.sqrt(second / (1 - beta_2**epoch))
        direction = first / (1 - beta_1**epoch) / (spread + ADAM_EPSILON)
    angles = ascend(now.angles, direction, now.learning_rate)
    return Step(angles, gradient, np.stack([first, second], axis=1))


def spsa(config: RunConfig, estimator: Estimator, now: TrainingState, epoch: int) -> Step:
    """Step with SPSA (Spall 1992, doi:10.1109/9.119632): two circuits, whatever the number of angles.

    All angles are shifted at once, by `perturbation` up or down at random, and back. The difference of the
    two objectives estimates the slope along that direction. η and its decay take the place of Spall's
    gain sequence.
    """
    keys = [np.random.SeedSequence(config.seed, spawn_key=(int(i), DIRECTIONS, epoch)) for i in now.seeds]
    bits = np.array([np.random.default_rng(key).integers(2, size=config.angle_shape) for key in keys])
    shift = config.perturbation
    signs = 2.0 * bits.reshape(now.angles.shape) - 1
    plus = _objective(config, estimator, now.angles + shift * signs, epoch, 1)
    minus = _objective(config, estimator, now.angles - shift * signs, epoch, 2)
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = ((plus - minus) / (2 * shift))[:, None, None, None] * signs
    return Step(ascend(now.angles, gradient, now.learning_rate), gradient, now.moments)


def natural_gradient(config: RunConfig, estimator: Estimator, now: TrainingState, epoch: int) -> Step:
    """Step along (F + damping)^-1 gradient; F is the Fisher information of q (Amari 1998).

    With one layer F is 1 for each RY at every angle, since p = sin(θ/2)² has (dp/dθ)² = p (1 - p). There
    the natural gradient is the plain one, but for the factor 1 / (1 + damping).
    """
    gradient = estimator.gradient(config, now.angles, epoch, now.samples)
    if config.n_layers == 1:
        direction = gradient / (1 + config.damping)
    else:
        circuits = closed_form(config, now.angles)
        members = _angles_of_groups(circuits)
        fisher = fisher_blocks(circuits, members) + config.damping * np.eye(members.shape[1])
        by_group = _padded(gradient.reshape(len(gradient), -1))[:, members]
        solved = np.linalg.solve(fisher, by_group[..., None])[..., 0]
        flat = np.zeros((len(gradient), gradient[0].size + 1))
        flat[:, members] = solved
        direction = flat[:, :-1].reshape(gradient.shape)
    return Step(ascend(now.angles, direction, now.learning_rate), gradient, now.moments)


def _angles_of_groups(circuits: ClosedForm) -> Index:
    """The places of each group's angles in a flat array (groups, most); where a group has fewer, -1."""
    shape, starts = circuits.angles.shape[1:], circuits.starts
    places = np.arange(np.prod(shape)).reshape(shape)
    out = np.full((len(starts) - 1, 2 * circuits.n_layers * np.diff(starts).max()), -1)
    for g, (start, stop) in enumerate(pairwise(starts)):
        own = places[:, :, start:stop].ravel()
        out[g, : len(own)] = own
    return out


def fisher_blocks(circuits: ClosedForm, members: Index) -> Float:
    """Compute the Fisher information of q, a block (S, groups, m, m) for each group.

    members (groups, m): the places of a group's angles, -1 for none. Between groups it is 0, since q is a
    product of groups, up to a renaming of the outcomes by the last CX gates. Impossible outcomes count 0.
    """
    q = circuits.groups
    outcomes = [np.tile(one, (*q.shape[:2], 1)) for one in np.eye(4)]
    slopes = np.stack([_padded(circuits.angle_slopes(one).reshape(len(q), -1)) for one in outcomes])
    scale = np.sqrt(np.maximum(q, np.finfo(float).tiny)).transpose(2, 0, 1)
    by_group = slopes[:, :, members] / scale[..., None]
    # not einsum, whose order of summation depends on the number of seeds
    return (by_group[..., :, None] * by_group[..., None, :]).sum(axis=0)


def _padded(flat: Float) -> Float:
    """Put a zero behind each row, so that place -1 holds 0."""
    return np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)


def rotosolve(config: RunConfig, estimator: Estimator, now: TrainingState, epoch: int) -> Step:
    """Put one angle after another where the objective is greatest (Rotosolve, arXiv:1905.09692).

    Along one angle the expected log-likelihood is a sine wave, which three circuits determine, so each turn
    is to the exact maximum, up to shot noise. KL and MMD² are no sine waves: with them each turn goes to
    the maximum of the wave through the same three values, which may be elsewhere. η plays no part. The RZ
    of layer 1 act on |0> and are left out. The gradient is that of each angle when it was its turn.
    """
    angles, gradient = now.angles.copy(), np.zeros_like(now.angles)
    seen = np.ones(config.angle_shape, dtype=bool)
    seen[0, 1] = False
    finite = np.ones(len(angles), dtype=bool)
    for number, place in enumerate(zip(*np.nonzero(seen), strict=True)):
        values = []
        for k, shift in enumerate((0.0, np.pi / 2, -np.pi / 2)):
            shifted = angles.copy()
            shifted[:, *place] += shift
            values.append(_objective(config, estimator, shifted, epoch, 3 * number + k + 1))
        here, plus, minus = values
        with np.errstate(over="ignore", invalid="ignore"):
            slope = (plus - minus) / 2
            turn = np.arctan2(slope, here - (plus + minus) / 2)
        finite &= np.isfinite(slope) & np.isfinite(turn)
        gradient[:, *place] = slope
        angles[:, *place] += np.where(finite, turn, 0.0)
    angles[~finite] = np.inf
    return Step(angles, gradient, now.moments)


def _objective(config: RunConfig, estimator: Estimator, angles: Float, epoch: int, circuit: int) -> Float:
    """Measure the objective (S,) with shots that no other circuit of the epoch uses; circuit from 1."""
    return objective_of(config, estimator.with_other_shots(circuit).estimate(config, angles, epoch).terms)


OPTIMIZERS: dict[str, Callable[[RunConfig, Estimator, TrainingState, int], Step]] = {
    "gradient-ascent": gradient_ascent,
    "adam": adam,
    "spsa": spsa,
    "natural-gradient": natural_gradient,
    "rotosolve": rotosolve,
}
