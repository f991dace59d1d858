"""Gradients of the objectives: Algorithm 1 as printed, and the chain rule; sampled and exact.

The parameter-shift rule, eq. (12), is exact for terms linear in q, such as the expected
log-likelihood. Algorithm 1 applies it to the whole objective. The chain rule,
dF/dtheta = sum_s (dF/dq_s) (q+_s - q-_s) / 2, is right for entropy and MMD² too.
"""

import numpy as np

from qhn_core import kernels
from qhn_core.ansatz import bit_probabilities, check_angles, product_state
from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.divergences import entropy, kernel_table, kl_to_uniform, smooth
from qhn_core.objectives import check_shape, exact_terms, log_likelihoods
from qhn_core.problem import Problem, build_problem
from qhn_core.simulators import Simulator, get_simulator, row_blocks


def shifted_angles(angles: Float) -> Float:
    """Eq. (13): (B, L, 2, n) -> (B, P, 2, L, 2, n) for all P angles, first +pi/2, then -pi/2."""
    n_angles = angles[0].size
    shifts = (np.pi / 2) * np.eye(n_angles).reshape(n_angles, *angles.shape[1:])
    return angles[:, None, None] + np.stack([shifts, -shifts], axis=1)


def objective_gradient(config: RunConfig, angles: Float) -> Float:
    """Exact dL/dtheta (B, n_layers, 2, n_qubits) at angles of that shape, by config.gradient.

    "chain-rule": one backward pass. "algorithm-1": [L(theta+) - L(theta-)] / 2, which is not the
    gradient of the regulariser.

    >>> config = RunConfig(objective="elbo", gradient="algorithm-1", shots=None)
    >>> mle = config.model_copy(update={"objective": "mle"})
    >>> angles = np.random.default_rng(0).uniform(0, 6, (1, 1, 2, 14))
    >>> np.allclose(objective_gradient(config, angles), objective_gradient(mle, angles))
    True
    """
    check_shape(config, angles)
    angles = check_angles(angles)
    problem = build_problem(config)
    if config.gradient == "algorithm-1":
        return _shifted_objective(config, problem, angles)
    return np.array([_backward(config, log_likelihoods(config, problem), theta) for theta in angles])


def _shifted_objective(config: RunConfig, problem: Problem, angles: Float) -> Float:
    simulator = get_simulator(config.simulator, config.n_qubits)
    circuits = shifted_angles(angles).reshape(-1, *config.angle_shape)
    values = []
    for block in row_blocks(len(circuits), config.n_qubits):
        q = simulator.probabilities(circuits[block])
        values.append(exact_terms(config, problem, q).value(config.objective, config.regularization))
    plus, minus = np.concatenate(values).reshape(len(angles), -1, 2).transpose(2, 0, 1)
    return ((plus - minus) / 2).reshape(angles.shape)


def _backward(config: RunConfig, scores: Float, theta: Float) -> Float:
    """Exact gradient (L, 2, n) at theta (L, 2, n) of E[scores] minus the regulariser."""
    state = product_state(theta[None, 0])[0].astype(np.complex128)
    kernels.evolve(state, theta[1:])
    q = state.real**2 + state.imag**2
    slope = scores - config.regularization * _regularizer_slope(config, q)
    gradient: Float = kernels.adjoint_gradient(theta, state, slope)
    return gradient


def _regularizer_slope(config: RunConfig, q: Float) -> Float | float:
    """d(regulariser)/dq_s for each bitstring s: log q + 1 for KL, 2 K (q - p) for MMD²."""
    if config.objective == "mle":
        return 0.0
    if config.objective == "elbo":
        return np.log(np.where(q > 0, q, 1.0)) + 1
    return 2 * smooth((q - 1 / q.size)[None], config.h)[0]


def kl_of_circuits(simulator: Simulator, angles: Float) -> Float:
    """Exact KL(q || uniform) (B,), nats. One layer is a product distribution: no 2**n needed."""
    if angles.shape[1] == 1:
        one = bit_probabilities(angles[:, 0])
        both = np.stack([one, 1 - one], axis=-1).reshape(-1, 2)
        return np.log(2) * one.shape[1] - entropy(both).reshape(one.shape).sum(axis=1)
    blocks = row_blocks(len(angles), angles.shape[-1])
    return np.concatenate([kl_to_uniform(simulator.probabilities(angles[b])) for b in blocks])


def _kl_gradient(config: RunConfig, angles: Float) -> Float:
    """Exact chain-rule gradient of KL: (B, L, 2, n)."""
    if config.n_layers == 1:
        gradient = np.zeros_like(angles)
        one = np.clip(bit_probabilities(angles[:, 0]), 1e-300, 1 - 1e-16)  # sin -> 0 faster than log -> inf
        gradient[:, 0, 0] = np.log(one / (1 - one)) * np.sin(angles[:, 0, 0]) / 2
        return gradient
    kl_only = config.model_copy(update={"objective": "elbo", "regularization": -1.0})
    return np.array([_backward(kl_only, np.zeros(2**config.n_qubits), theta) for theta in angles])


def sampled_gradient(
    config: RunConfig,
    problem: Problem,
    simulator: Simulator,
    angles: Float,
    uniforms: Float,
    prior: Index,
    measured: Index,
) -> Float:
    """Estimate dL/dtheta (S, L, 2, n) from finite shots, by config.gradient.

    angles (S, L, 2, n); uniforms (S, P, 2, shots), one number per shot of each shifted circuit;
    prior (S, shots): samples of the uniform prior; measured (S, shots): samples at angles itself.

    KL is computed from the amplitudes, as in Section III-A. For MMD², "chain-rule" is the
    four-term estimator of Liu and Wang (2018), arXiv:1804.04168, whose two prior terms are
    constant under a uniform prior, so that only q+, q- and q need samples.
    """
    shape = uniforms.shape[:3]
    circuits = shifted_angles(angles).reshape(-1, *config.angle_shape)
    samples = simulator.sample_indices(circuits, uniforms.reshape(len(circuits), -1))
    values = log_likelihoods(config, problem)[samples].mean(axis=1).reshape(shape)
    if config.objective == "selbo":
        table = kernel_table(config.n_qubits, config.h)
        values -= config.regularization * _mmd_parts(config, samples, prior, measured, table).reshape(shape)
    elif config.objective == "elbo" and config.gradient == "algorithm-1":
        values -= config.regularization * kl_of_circuits(simulator, circuits).reshape(shape)
    gradient = ((values[..., 0] - values[..., 1]) / 2).reshape(angles.shape)
    if config.objective == "elbo" and config.gradient == "chain-rule":
        gradient -= config.regularization * _kl_gradient(config, angles)
    return gradient


def _mmd_parts(config: RunConfig, samples: Index, prior: Index, measured: Index, table: Float) -> Float:
    """The part of MMD² whose shifted difference is the gradient, per shifted circuit (C,).

    Algorithm 1: eq. (21) itself, without its prior-prior term, which cancels. Chain rule: twice
    the mean kernel to the unshifted samples.
    """
    per_seed = len(samples) // len(prior)
    rows = [slice(i * per_seed, (i + 1) * per_seed) for i in range(len(prior))]
    if config.gradient == "chain-rule":
        parts = [
            2 * kernels.mean_kernel_between(samples[r], m, table)
            for r, m in zip(rows, measured, strict=True)
        ]
        return np.concatenate(parts)
    cross = [kernels.mean_kernel_between(samples[r], y, table) for r, y in zip(rows, prior, strict=True)]
    return kernels.mean_kernel_within(samples, table) - 2 * np.concatenate(cross)
