"""Planes through theta*: two orthonormal directions in angle space, and how they were chosen."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.objectives.gradients import objective_gradient
from qhn_core.training.loop import advance, initial_state

HESSIAN_STEP = 1e-4
"""Radians; the central difference of exact gradients is then right to about 1e-8."""
SAME_POINT = 1e-9
"""Radians; optima that are no further apart are one."""
OBJECTIVES = ("mle", "elbo", "selbo")


@dataclass(frozen=True)
class Plane:
    """A plane through `center` (n_layers, 2, n_qubits)."""

    center: Float
    directions: Float
    """Orthonormal, (2, n_layers, 2, n_qubits)."""
    labels: tuple[str, str]
    """What each direction is, with its share of the variance, curvature or angle."""
    points: tuple[tuple[str, float, float], ...] = ()
    """Named points in the plane, by their coordinates in radians."""

    def at(self, x: float, y: float) -> Float:
        """Angles (n_layers, 2, n_qubits) of the point x, y radians from the center."""
        return self.center + x * self.directions[0] + y * self.directions[1]

    @property
    def reach(self) -> float:
        """How far from the center the farthest named point is along a direction, radians."""
        return max((abs(c) for _, x, y in self.points for c in (x, y)), default=0.0)


def choose_plane(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int = 0) -> Plane:
    """The plane that `plane.plane` names, through theta* = center (n_layers, 2, n_qubits).

    seed_row: the seed of the run that ended in theta*, for planes that look at its training.
    """
    makers = {
        "random": _random,
        "random-ry": _random_ry,
        "gates": _gates,
        "principal": _principal,
        "hessian": _hessian,
        "gradient": _gradient,
        "optima": _optima,
    }
    return makers[plane.plane](config, plane, center, seed_row)


def orthonormal(first: Float, second: Float) -> Float:
    """Two arrays of one shape as orthonormal directions, the first along `first` (Gram-Schmidt).

    Raises ValueError where they span no plane.
    """
    a = first / max(np.linalg.norm(first), np.finfo(float).tiny)
    rest = second - (a * second).sum() * a
    if not (np.isclose(np.linalg.norm(a), 1) and np.linalg.norm(rest) > 1e-9 * np.linalg.norm(second)):
        raise ValueError("the two directions are parallel or zero: they span no plane")
    return np.stack([a, rest / np.linalg.norm(rest)])


def _random(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    draws = np.random.default_rng(plane.seed).standard_normal((2, *center.shape))
    return Plane(center, orthonormal(*draws), ("random direction 1", "random direction 2"))


def _random_ry(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    draws = np.random.default_rng(plane.seed).standard_normal((2, *center.shape))
    draws[:, :, 1] = 0.0
    return Plane(center, orthonormal(*draws), ("random RY direction 1", "random RY direction 2"))


def _gates(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    directions = np.zeros((2, *center.shape))
    labels = []
    for direction, (layer, axis, qubit) in zip(directions, plane.gates, strict=True):
        if layer >= config.n_layers or qubit >= config.n_qubits:
            raise ValueError(
                f"gates={plane.gates}: layer {layer}, qubit {qubit} is not in a circuit of "
                f"{config.n_layers} layers and {config.n_qubits} qubits (counted from 0)"
            )
        direction[layer, axis, qubit] = 1.0
        labels.append(f"{('RY', 'RZ')[axis]} of qubit {qubit + 1}, layer {layer + 1}")
    return Plane(center, orthonormal(*directions), (labels[0], labels[1]))


def retrain_trajectory(config: RunConfig, seed_row: int) -> Float:
    """Angles of one seed after every epoch, (epochs + 1, n_layers, 2, n_qubits): trained once more."""
    state = initial_state(config, np.array([seed_row]))
    angles = [state.angles[0]]
    for _ in range(config.epochs):
        state, _ = advance(config, state, 1)
        angles.append(state.angles[0])
    return np.array(angles)


def nearest_equivalent(angles: Float, to: Float) -> Float:
    """The angles (..., L, 2, n) of the same circuit that are nearest to `to`.

    Full turns change no probability, and neither do the RZ of the first layer, which act on |0>.

    >>> near = nearest_equivalent(np.array([[[6.0], [9.0]]]), np.array([[[0.0], [0.5]]]))
    >>> near.round(3).ravel()  # RY: 6 - 2 pi; RZ: anything
    array([-0.283,  0.5  ])
    """
    turn = np.angle(np.exp(1j * (angles - to)))
    turn[..., 0, 1, :] = 0.0
    return to + turn


def _principal(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    """The two principal components of the way to theta* (Li et al. 2018, arXiv:1712.09913).

    Of the copies of its points nearest to theta*: a step of many turns that ends near theta* is not far.
    """
    path = nearest_equivalent(retrain_trajectory(config, seed_row), center)
    steps = (path - center).reshape(len(path), -1)
    _, sizes, components = np.linalg.svd(steps, full_matrices=False)
    share = sizes**2 / (sizes**2).sum()
    directions = orthonormal(*components[:2].reshape(2, *center.shape))
    labels = [f"principal component {i + 1} ({share[i]:.0%} of the path)" for i in range(2)]
    return Plane(center, directions, (labels[0], labels[1]))


def hessian_eigenvectors(config: RunConfig, center: Float, count: int = 2) -> tuple[Float, Float]:
    """(eigenvalues, eigenvectors (count, L, 2, n)) of largest size of the exact objective's Hessian.

    Hessian-vector products are central differences of the exact chain-rule gradient; Lanczos is scipy's.
    """
    exact = config.model_copy(update={"gradient": "chain-rule", "shots": None})

    def product(vector: Float) -> Float:
        step = HESSIAN_STEP * vector.reshape(center.shape)
        plus, minus = objective_gradient(exact, np.stack([center + step, center - step]))
        return ((plus - minus) / (2 * HESSIAN_STEP)).ravel()

    size = center.size
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    values, vectors = eigsh(operator, k=count, which="LM", v0=start)
    order = np.argsort(-np.abs(values))
    return values[order], vectors.T[order].reshape(count, *center.shape)


def _hessian(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    values, vectors = hessian_eigenvectors(config, center)
    labels = [f"Hessian eigenvector {i + 1} ({values[i]:.3g} nats/rad²)" for i in range(2)]
    return Plane(center, orthonormal(*vectors), (labels[0], labels[1]))


def _gradient(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    exact = config.model_copy(update={"gradient": "chain-rule", "shots": None})
    slope = objective_gradient(exact, center[None])[0]
    normal = np.random.default_rng(plane.seed).standard_normal(center.shape)
    size = f"{np.linalg.norm(slope):.3g} nats/rad"
    return Plane(center, orthonormal(slope, normal), (f"gradient ({size})", "random normal"))


def trained_optima(config: RunConfig, seed_row: int) -> dict[str, Float]:
    """theta* (n_layers, 2, n_qubits) that MLE, ELBO and SELBO reach from the same initial angles.

    Of ELBO* and SELBO* the copies nearest to MLE*.
    """
    best = {}
    for objective in OBJECTIVES:
        own = config.model_copy(update={"objective": objective})
        state, _ = advance(own, initial_state(own, np.array([seed_row])), own.epochs)
        best[objective] = state.best_angles[0]
    return {name: nearest_equivalent(angles, best["mle"]) for name, angles in best.items()}


def _optima(config: RunConfig, plane: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    """The plane through the three optima that MLE, ELBO and SELBO reach from the same initial angles.

    Where they lie on one line, or coincide, random directions take the place of what is missing.
    """
    best = trained_optima(config, seed_row)
    draws = np.random.default_rng(plane.seed).standard_normal((2, *center.shape))
    choices = [
        (best["elbo"] - best["mle"], "from MLE* to ELBO*", "its normal towards ELBO*"),
        (best["selbo"] - best["mle"], "from MLE* to SELBO*", "its normal towards SELBO*"),
        *((draw, "random direction", "random normal") for draw in draws),
    ]
    labels: list[str] = []
    directions = np.zeros((0, *center.shape))
    for direction, first, second in choices:
        rest = direction - np.tensordot(np.tensordot(directions, direction, 3), directions, 1)
        size = np.linalg.norm(rest)
        if len(labels) < 2 and size > SAME_POINT * max(1.0, float(np.linalg.norm(direction))):
            labels.append(second if labels else first)
            directions = np.concatenate([directions, rest[None] / size])
    center = np.mean(list(best.values()), axis=0)
    places = {name: [float((d * (b - center)).sum()) for d in directions] for name, b in best.items()}
    points = tuple((f"{name.upper()}*", x, y) for name, (x, y) in places.items())
    return Plane(center, directions, (labels[0], labels[1]), points)
