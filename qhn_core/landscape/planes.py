"""Planes through theta*: two orthonormal directions in angle space, and how they are chosen."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.point_terms import checked
from qhn_core.objectives.gradients import objective_gradient
from qhn_core.objectives.terms import KINDS, Objective
from qhn_core.training.loop import advance, initial_state

HESSIAN_STEP = 1e-4
"""Radians; the central difference of exact gradients is then right to about 1e-8."""
LARGEST_ANGLE = 1e8
"""Radians; from here on a floating-point number is too coarse for steps on a plane and of the Hessian."""
SAME_POINT = 1e-9
"""Radians; optima that are no further apart count as one."""


@dataclass(frozen=True)
class Plane:
    """A plane through `center` (n_layers, 2, n_qubits)."""

    center: Float
    directions: Float
    """Orthonormal, (2, n_layers, 2, n_qubits)."""
    labels: tuple[str, str]
    """What each direction is, with its share of the path, its curvature or its slope."""
    points: tuple[tuple[str, float, float], ...] = ()
    """Named points in the plane, by their coordinates in radians."""

    def at(self, x: float, y: float) -> Float:
        """Return the angles (n_layers, 2, n_qubits) of the point that is x, y radians from the center."""
        return self.center + x * self.directions[0] + y * self.directions[1]

    @property
    def reach(self) -> float:
        """How far from the center the farthest named point is along a direction, radians."""
        return max((abs(c) for _, x, y in self.points for c in (x, y)), default=0.0)


def choose_plane(
    config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int = 0
) -> Plane:
    """Choose the plane that `landscape_config.plane` names, through theta* = center.

    center: angles (n_layers, 2, n_qubits), radians. seed_row: the seed of the run that ended in theta*,
    for planes that look at its training. Raises ValueError where there is no such plane, and for angles
    above `LARGEST_ANGLE`.
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
    plane = makers[landscape_config.plane](config, landscape_config, center, seed_row)
    check_angle_size(plane.center)
    return plane


def check_angle_size(angles: Float) -> None:
    """Raise ValueError unless the angles (n_layers, 2, n_qubits) are at most `LARGEST_ANGLE` in size."""
    layer, axis, qubit = (int(i) for i in np.unravel_index(np.abs(angles).argmax(), angles.shape))
    largest = float(angles[layer, axis, qubit])
    if abs(largest) > LARGEST_ANGLE:
        raise ValueError(
            f"the center's angle of {_gate_name(layer, axis, qubit)} is {largest:g}; on a plane, all must "
            f"be between -{LARGEST_ANGLE:g} and {LARGEST_ANGLE:g} radians"
        )


def _gate_name(layer: int, axis: int, qubit: int) -> str:
    """Name a rotation in words. All three numbers are counted from 0; axis 0 is RY."""
    return f"{('RY', 'RZ')[axis]} of qubit {qubit + 1}, layer {layer + 1}"


def orthonormal(first: Float, second: Float) -> Float:
    """Make two arrays of one shape orthonormal, the first along `first` (Gram-Schmidt): (2, ...).

    Raises ValueError where they span no plane.
    """
    a = first / max(np.linalg.norm(first), np.finfo(float).tiny)
    rest = second - (a * second).sum() * a
    if not (np.isclose(np.linalg.norm(a), 1) and np.linalg.norm(rest) > 1e-9 * np.linalg.norm(second)):
        raise ValueError("the two directions are parallel or zero: they span no plane")
    return np.stack([a, rest / np.linalg.norm(rest)])


def _random(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    draws = np.random.default_rng(landscape_config.seed).standard_normal((2, *center.shape))
    return Plane(center, orthonormal(*draws), ("random direction 1", "random direction 2"))


def _random_ry(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    draws = np.random.default_rng(landscape_config.seed).standard_normal((2, *center.shape))
    draws[:, :, 1] = 0.0
    return Plane(center, orthonormal(*draws), ("random RY direction 1", "random RY direction 2"))


def _gates(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    directions = np.zeros((2, *center.shape))
    labels = []
    for direction, (layer, axis, qubit) in zip(directions, landscape_config.gates, strict=True):
        if layer >= config.n_layers or qubit >= config.n_qubits:
            raise ValueError(
                f"gates={landscape_config.gates}: layer {layer}, qubit {qubit} is not in a circuit of "
                f"{config.n_layers} layers and {config.n_qubits} qubits (counted from 0)"
            )
        direction[layer, axis, qubit] = 1.0
        labels.append(_gate_name(layer, axis, qubit))
    return Plane(center, orthonormal(*directions), (labels[0], labels[1]))


def retrain_trajectory(config: RunConfig, seed_row: int) -> Float:
    """Train one seed again and return its angles after every epoch, (epochs + 1, n_layers, 2, n_qubits)."""
    state = initial_state(config, np.array([seed_row]))
    angles = [state.angles[0]]
    for _ in range(config.epochs):
        state, _ = advance(config, state, 1)
        angles.append(state.angles[0])
    return np.array(angles)


def nearest_equivalent(angles: Float, to: Float) -> Float:
    """Find the angles (..., L, 2, n) of the same circuit that are nearest to `to`.

    Full turns change no probability. Neither do the RZ of the first layer, which act on |0>.

    >>> near = nearest_equivalent(np.array([[[6.0], [9.0]]]), np.array([[[0.0], [0.5]]]))
    >>> near.round(3).ravel()  # RY: 6 - 2 pi; RZ: anything
    array([-0.283,  0.5  ])
    """
    turn = np.angle(np.exp(1j * (angles - to)))
    turn[..., 0, 1, :] = 0.0
    return to + turn


def _principal(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    """The two principal components of the path to theta* (Li et al. 2018, arXiv:1712.09913).

    Each point of the path is replaced by the nearest one of the same circuit, so that a step of many full
    turns counts by where it ends. A path that does not move has no components; random directions serve.
    """
    path = nearest_equivalent(retrain_trajectory(config, seed_row), center)
    steps = (path - center).reshape(len(path), -1)
    _, sizes, components = np.linalg.svd(steps, full_matrices=False)
    if sizes[0] <= SAME_POINT:
        random = _random(config, landscape_config, center, seed_row)
        first, second = (f"{label} (the path does not move)" for label in random.labels)
        return replace(random, labels=(first, second))
    share = sizes**2 / (sizes**2).sum()
    directions = orthonormal(*components[:2].reshape(2, *center.shape))
    labels = [f"principal component {i + 1} ({share[i]:.0%} of the path)" for i in range(2)]
    return Plane(center, directions, (labels[0], labels[1]))


def _exact_gradients(config: RunConfig, angles: Float) -> Float:
    """The true gradients (B, n_layers, 2, n_qubits) at angles; ValueError where λ makes them too large."""
    exact = config.model_copy(update={"gradient": "chain-rule", "shots": None})
    return checked(objective_gradient(exact, angles), Objective.of(config))


def hessian_eigenvectors(config: RunConfig, center: Float, count: int = 2) -> tuple[Float, Float]:
    """Compute the exact Hessian's eigenvalues (count,) of largest size and their vectors (count, L, 2, n).

    Hessian-vector products are central differences of the exact chain-rule gradient; scipy's Lanczos
    finds the eigenvectors. Raises ValueError where the Hessian vanishes or overflows, and for angles
    above `LARGEST_ANGLE`.
    """
    check_angle_size(center)

    def product(vector: Float) -> Float:
        step = HESSIAN_STEP * vector.reshape(center.shape)
        plus, minus = _exact_gradients(config, np.stack([center + step, center - step]))
        return ((plus - minus) / (2 * HESSIAN_STEP)).ravel()

    size = center.size
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    try:
        values, vectors = eigsh(operator, k=count, which="LM", v0=start)
    except ArpackError as error:
        raise ValueError(
            f"the Hessian at theta* has no {count} eigenvectors that differ from zero"
        ) from error
    order = np.argsort(-np.abs(values))
    return values[order], vectors.T[order].reshape(count, *center.shape)


def _hessian(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    values, vectors = hessian_eigenvectors(config, center)
    labels = [f"Hessian eigenvector {i + 1} ({values[i]:.3g} nats/rad²)" for i in range(2)]
    return Plane(center, orthonormal(*vectors), (labels[0], labels[1]))


def _gradient(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    slope = _exact_gradients(config, center[None])[0]
    normal = np.random.default_rng(landscape_config.seed).standard_normal(center.shape)
    size = f"{np.linalg.norm(slope):.3g} nats/rad"
    return Plane(center, orthonormal(slope, normal), (f"gradient ({size})", "random normal"))


def trained_optima(config: RunConfig, seed_row: int) -> dict[str, Float]:
    """Train MLE, ELBO and SELBO from the same initial angles; return their theta* (n_layers, 2, n_qubits).

    ELBO* and SELBO* are moved to the angles of the same circuit that are nearest to MLE*.
    """
    best = {}
    for objective in KINDS:
        own = config.model_copy(update={"objective": objective})
        state, _ = advance(own, initial_state(own, np.array([seed_row])), own.epochs)
        best[objective] = state.best_angles[0]
    return {name: nearest_equivalent(angles, best["mle"]) for name, angles in best.items()}


def _optima(config: RunConfig, landscape_config: LandscapeConfig, center: Float, seed_row: int) -> Plane:
    """The plane through the three optima that MLE, ELBO and SELBO reach from the same initial angles.

    Where they lie on one line or coincide, random directions take the place of the missing ones.
    """
    best = trained_optima(config, seed_row)
    draws = np.random.default_rng(landscape_config.seed).standard_normal((2, *center.shape))
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
