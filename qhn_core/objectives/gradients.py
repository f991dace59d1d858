"""Gradients of the objectives: Algorithm 1 as printed, and the chain rule; sampled and exact.

The parameter-shift rule, eq. (12), is exact for terms linear in q, such as the expected
log-likelihood. Algorithm 1 applies it to the whole objective. The chain rule,
dF/dtheta = sum_s (dF/dq_s) (q+_s - q-_s) / 2, is right for entropy and MMD² too.
"""

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.ansatz import check_angles
from qhn_core.circuits.base import Circuits, Draws
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.circuits.divergences import kernel_table, smooth
from qhn_core.config import RunConfig
from qhn_core.kernels import hamming, transforms
from qhn_core.model.capacity import MOST_TABLE_BITS
from qhn_core.model.scores import NetworkScores, ScoreTable, score_table
from qhn_core.objectives.terms import (
    check_shape,
    circuit_objective,
    log_likelihoods,
    mean_log_likelihood,
)

Distinct = tuple[Index, Float, Index]
"""What `kernels.hamming.distinct` returns."""


def shifted_angles(angles: Float) -> Float:
    """Shift each angle, eq. (13): (B, L, 2, n) -> (B, P, 2, L, 2, n), first by +pi/2, then by -pi/2."""
    n_angles = angles[0].size
    shifts = (np.pi / 2) * np.eye(n_angles).reshape(n_angles, *angles.shape[1:])
    return angles[:, None, None] + np.stack([shifts, -shifts], axis=1)


def objective_gradient(config: RunConfig, angles: Float) -> Float:
    """Compute the exact dL/dtheta (B, n_layers, 2, n_qubits) at angles of that shape, by config.gradient.

    "chain-rule": one backward pass. "algorithm-1": [L(theta+) - L(theta-)] / 2, which is not the
    gradient of the regulariser. Raises ValueError where the angles do not fit the config.

    >>> config = RunConfig(objective="elbo", gradient="algorithm-1", shots=None)
    >>> mle = config.model_copy(update={"objective": "mle"})
    >>> angles = np.random.default_rng(0).uniform(0, 6, (1, 1, 2, 14))
    >>> np.allclose(objective_gradient(config, angles), objective_gradient(mle, angles))
    True
    """
    return value_and_gradient(config, angles)[1]


def value_and_gradient(config: RunConfig, angles: Float) -> tuple[Float, Float]:
    """Compute (`objective_value` (B,), `objective_gradient`) at the same angles, simulated once."""
    check_shape(config, angles)
    table = score_table(config)
    parts = [
        (circuit_objective(config, table, circuits), exact_gradient(config, table, circuits))
        for _, circuits in circuit_blocks(config, check_angles(angles))
    ]
    values, gradients = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(gradients)


def exact_gradient(config: RunConfig, table: ScoreTable, circuits: Circuits) -> Float:
    """Compute the exact gradient (S, L, 2, n) of circuits, see `objective_gradient`."""
    if config.gradient == "chain-rule":
        return circuits.gradient(log_likelihoods(config, table), config.objective)
    gradient = circuits.gradient(log_likelihoods(config, table), "mle")
    if config.n_layers == 1 or config.objective == "mle":
        # The two shifts of an RY of the last layer differ by a flipped bit: same entropy, same MMD².
        return gradient
    return gradient - config.regularization * shifted_regularizer_difference(config, circuits.angles)


def sampled_gradient(
    config: RunConfig,
    networks: NetworkScores,
    circuits: Circuits,
    draws: Draws,
    measured: Index,
) -> Float:
    """Estimate dL/dtheta (S, L, 2, n) from finite shots, by config.gradient.

    measured (S, n_words, shots): samples at the circuits' own angles. KL is computed from the
    amplitudes, as in Section III-A.
    """
    gradient = np.empty_like(circuits.angles)
    prior = draws.prior(config.n_qubits)
    for row in range(len(gradient)):
        samples = circuits.shifted_samples(row, draws)
        values = shifted_values(config, networks, samples, prior[row], measured[row])
        with np.errstate(invalid="ignore"):  # inf - inf: training reports a seed that diverges
            gradient[row] = ((values[::2] - values[1::2]) / 2).reshape(config.angle_shape)
    if config.objective == "elbo" and config.gradient == "chain-rule":
        gradient += circuits.gradient(None, "elbo")
    elif config.objective == "elbo":
        gradient -= config.regularization * shifted_regularizer_difference(config, circuits.angles)
    return gradient


def shifted_values(
    config: RunConfig, networks: NetworkScores, samples: Index, prior: Index, measured: Index
) -> Float:
    """Estimate E[ll] - λ MMD² of the shifted circuits of one seed (C,); its differences are the gradient.

    samples (C, n_words, shots) of the shifted circuits; prior, measured (n_words, shots). MMD² is here
    only the part that depends on the shift.

    For "algorithm-1" that is eq. (21) as printed, with samples of the prior, without its prior-prior term.
    No measurement uses these samples, see `estimates.sampled_terms`. For "chain-rule" it is twice the mean
    kernel to the measured samples: the four-term estimator of Liu and Wang (2018), arXiv:1804.04168, whose
    two prior terms are constant under a uniform prior.
    """
    values = mean_log_likelihood(config, networks, samples)
    if config.objective != "selbo":
        return values
    strength, found = config.regularization, hamming.distinct(samples)
    if config.gradient == "chain-rule":
        return values - strength * 2 * mean_kernel(config, samples, found, measured)
    within = hamming.mean_kernel_within(*found, kernel_table(config.n_qubits, config.h))
    return values - strength * (within - 2 * mean_kernel(config, samples, found, prior))


def mean_kernel(config: RunConfig, samples: Index, found: Distinct, others: Index) -> Float:
    """Compute the mean kernel (C,) of each circuit's samples (C, n_words, shots) to `others` (n_words, m).

    found: `hamming.distinct` of the samples. The kernel is computed pair by pair, or, where there are
    many pairs, looked up in a table of all 2**n bitstrings; the results differ by rounding only.
    """
    rest, counts, sizes = hamming.distinct(others[None])
    weights = counts[0, : sizes[0]]
    n = config.n_qubits
    if n > MOST_TABLE_BITS or 3 * found[2].sum() * len(weights) < n * 2**n:
        table = kernel_table(n, config.h)
        return hamming.mean_kernel_between(*found, rest[0], weights, table)
    q = np.zeros(2**n)
    q[rest[0, 0, : sizes[0]]] = weights / weights.sum()
    return transforms.mean_of_table(smooth(q[None], config.h)[0], samples[:, 0])


def shifted_regularizer_difference(config: RunConfig, angles: Float) -> Float:
    """Compute line 5 of Algorithm 1 for the exact regulariser R: [R(theta+) - R(theta-)] / 2 (S, L, 2, n).

    R is MMD² for "selbo", else KL in nats. Zero for the RY of the last layer, whose two circuits differ
    by a flipped bit, and for the RZ of the first, which act on |0>.
    """
    out = np.zeros_like(angles)
    if config.n_layers == 1:
        return out
    seen = np.ones(config.angle_shape, dtype=bool)
    seen[-1, 0] = seen[0, 1] = False
    for row, theta in enumerate(angles):
        shifted = shifted_angles(theta[None])[0][seen.ravel()].reshape(-1, *config.angle_shape)
        values = np.concatenate([_regularizer(c) for _, c in circuit_blocks(config, shifted)])
        out[row][seen] = (values[::2] - values[1::2]) / 2
    return out


def _regularizer(circuits: Circuits) -> Float:
    return circuits.mmd_squared() if circuits.config.objective == "selbo" else circuits.kl()
