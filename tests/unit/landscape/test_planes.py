import numpy as np
import pytest
from scipy.linalg import eigh

from qhn_core import LandscapeConfig, RunConfig, objective_gradient, objective_value, train
from qhn_core.landscape import planes
from qhn_core.landscape.planes import choose_plane, hessian_eigenvectors, orthonormal, retrain_trajectory
from tests.unit import oracles

CONFIG = RunConfig(n_hidden=1, n_layers=2, objective="elbo", regularization=5, shots=None, epochs=12)
KINDS = ["random", "random-ry", "gates", "principal", "hessian", "gradient", "optima"]


def plane_of(kind, config=CONFIG, **options):
    center = oracles.random_angles(3, *config.angle_shape)
    return choose_plane(config, LandscapeConfig(plane=kind, **options), center)


@pytest.mark.parametrize("kind", KINDS)
def test_directions_are_orthonormal(kind):
    flat = plane_of(kind).directions.reshape(2, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(2), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_request_gives_the_same_plane(kind):
    one, other = plane_of(kind), plane_of(kind)
    np.testing.assert_array_equal(one.directions, other.directions)
    assert one.labels == other.labels


@pytest.mark.parametrize("kind", ["random", "random-ry"])
def test_random_planes_differ_by_their_seed(kind):
    one, other = (plane_of(kind, seed=s).directions.reshape(2, -1) for s in (0, 1))
    assert np.abs(one @ other.T).max() < 0.9


def test_random_ry_leaves_every_rz_alone():
    assert not plane_of("random-ry").directions[:, :, 1].any()
    assert plane_of("random").directions[:, :, 1].any()


def test_gates_turn_the_two_gates_and_nothing_else():
    plane = plane_of("gates", gates=((1, 0, 2), (0, 1, 5)))
    assert plane.directions[0].sum() == plane.directions[0][1, 0, 2] == 1
    assert plane.directions[1].sum() == plane.directions[1][0, 1, 5] == 1
    assert plane.labels == ("RY of qubit 3, layer 2", "RZ of qubit 6, layer 1")


@pytest.mark.parametrize(
    ("gates", "message"), [(((2, 0, 0), (0, 0, 1)), "layer 2"), (((0, 0, 1),) * 2, "no plane")]
)
def test_gates_that_span_no_plane_are_named(gates, message):
    with pytest.raises(ValueError, match=message):
        plane_of("gates", gates=gates)


def test_parallel_directions_are_refused():
    with pytest.raises(ValueError, match="parallel"):
        orthonormal(np.ones((1, 2, 3)), -2 * np.ones((1, 2, 3)))


def test_the_trajectory_is_the_way_of_the_run():
    config = RunConfig(n_hidden=1, epochs=5, n_seeds=3)
    result = train(config)
    path = retrain_trajectory(config, seed_row=2)
    assert path.shape == (6, *config.angle_shape)
    np.testing.assert_array_equal(path[-1], result.state.angles[2])
    steps = np.abs(np.diff(path, axis=0)).mean(axis=(1, 2, 3))
    rows = result.history[result.history.seed == 2]
    np.testing.assert_allclose(steps, rows.gradient_magnitude * rows.learning_rate, rtol=1e-9)


def test_principal_components_hold_more_of_the_path_than_any_random_plane():
    config = RunConfig(n_hidden=1, epochs=12, shots=None)
    path = retrain_trajectory(config, 0)
    center = path[-1]
    away = (path - center).reshape(len(path), -1)
    steps = (away + np.pi) % (2 * np.pi) - np.pi  # of the nearest copies: a turn changes no circuit
    assert np.abs(away).max() > np.pi

    def kept(kind):
        plane = choose_plane(config, LandscapeConfig(plane=kind), center)
        return np.square(steps @ plane.directions.reshape(2, -1).T).sum() / np.square(steps).sum()

    values = np.linalg.eigvalsh(steps.T @ steps)[::-1]
    assert kept("principal") == pytest.approx(values[:2].sum() / values.sum(), rel=1e-9)
    assert kept("principal") > 2 * kept("random")


def test_hessian_eigenvectors_are_those_of_the_finite_difference_hessian():
    center = oracles.random_angles(3, *CONFIG.angle_shape)
    size, step = center.size, 1e-3

    def value(offset):
        return objective_value(CONFIG.model_copy(update={"simulator": "cirq"}), (center + offset)[None])[0]

    hessian = np.zeros((size, size))
    units = step * np.eye(size).reshape(size, *center.shape)
    for i in range(size):
        for j in range(i + 1):
            four = [value(s * units[i] + t * units[j]) * s * t for s in (1, -1) for t in (1, -1)]
            hessian[i, j] = hessian[j, i] = sum(four) / (4 * step**2)
    expected = sorted(eigh(hessian, eigvals_only=True), key=abs)[:-3:-1]
    values, vectors = hessian_eigenvectors(CONFIG, center)
    np.testing.assert_allclose(values, expected, rtol=1e-3)
    for curvature, vector in zip(values, vectors.reshape(2, -1), strict=True):
        np.testing.assert_allclose(hessian @ vector, curvature * vector, atol=1e-3 * abs(expected[0]))


def test_the_first_direction_of_the_gradient_plane_is_uphill():
    plane = plane_of("gradient")
    slope = objective_gradient(CONFIG, plane.center[None])[0]
    along = [(slope * d).sum() for d in plane.directions]
    assert along[0] == pytest.approx(np.linalg.norm(slope))
    assert along[1] == pytest.approx(0, abs=1e-9)


def test_the_plane_of_the_optima_holds_all_three():
    config = RunConfig(n_hidden=1, epochs=15, shots=None, regularization=3)
    plane = choose_plane(config, LandscapeConfig(plane="optima"), np.zeros(config.angle_shape))
    assert [name for name, _, _ in plane.points] == ["MLE*", "ELBO*", "SELBO*"]
    for name, x, y in plane.points:
        own = config.model_copy(update={"objective": name[:-1].lower()})
        reached = plane.center + x * plane.directions[0] + y * plane.directions[1]
        both = np.stack([reached, train(own).best_angles[0]])
        np.testing.assert_allclose(*objective_value(own, both), rtol=1e-9)


@pytest.mark.parametrize(
    ("moved", "labels"),
    [
        ({}, ("random direction", "random normal")),
        ({"selbo": 0.5}, ("from MLE* to SELBO*", "random normal")),
        ({"elbo": 1.0, "selbo": -0.5}, ("from MLE* to ELBO*", "random normal")),
    ],
)
def test_optima_on_one_line_or_in_one_point_still_have_a_plane(monkeypatch, moved, labels):
    config = RunConfig(n_hidden=1)
    start = np.random.default_rng(5).normal(size=config.angle_shape)
    step = np.random.default_rng(6).normal(size=config.angle_shape)
    best = {name: start + moved.get(name, 0.0) * step for name in ("mle", "elbo", "selbo")}
    monkeypatch.setattr("qhn_core.landscape.planes.trained_optima", lambda config, seed: best)
    plane = choose_plane(config, LandscapeConfig(plane="optima"), start)
    assert plane.labels == labels
    gram = np.tensordot(plane.directions, plane.directions, ([1, 2, 3], [1, 2, 3]))
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-12)
    for (_, x, y), angles in zip(plane.points, best.values(), strict=True):
        np.testing.assert_allclose(plane.center + x * plane.directions[0] + y * plane.directions[1], angles)


@pytest.mark.parametrize("kind", ["random", "hessian"])
@pytest.mark.parametrize("angle", [1e15, -3e8])
def test_angles_at_which_no_step_can_be_told_are_named(kind, angle):
    center = oracles.random_angles(3, *CONFIG.angle_shape)
    center[1, 0, 2] = angle
    message = f"RY of qubit 3, layer 2 is {angle:g}; .* between -1e\\+08 and 1e\\+08"
    with pytest.raises(ValueError, match=message.replace("1e+15", r"1e\+15").replace("-3e+08", r"-3e\+08")):
        choose_plane(CONFIG, LandscapeConfig(plane=kind), center)
    with pytest.raises(ValueError, match="between"):
        hessian_eigenvectors(CONFIG, center)


def test_the_hessian_after_many_full_turns_is_that_of_the_same_circuit():
    center = oracles.random_angles(3, *CONFIG.angle_shape)
    turned = center + 2 * np.pi * np.round(9e7 / (2 * np.pi))
    expected, found = (hessian_eigenvectors(CONFIG, angles)[0] for angles in (center, turned))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("kind", ["hessian", "gradient"])
@pytest.mark.parametrize("objective", ["elbo", "selbo"])
def test_a_slope_that_overflows_names_lambda(kind, objective):
    config = CONFIG.model_copy(update={"regularization": 1e308, "objective": objective})
    with pytest.raises(ValueError, match=r"regularization=1e\+308: λ must be so small"):
        plane_of(kind, config)


def test_a_hessian_that_vanishes_is_told(monkeypatch):
    monkeypatch.setattr(planes, "objective_gradient", lambda config, angles: np.zeros(angles.shape))
    with pytest.raises(ValueError, match="no 2 eigenvectors"):
        plane_of("hessian")


def test_a_path_that_does_not_move_says_so_and_has_a_plane():
    config = CONFIG.model_copy(update={"learning_rate": 1e-300, "epochs": 3})
    assert not np.ptp(retrain_trajectory(config, 0), axis=0).any()
    center = retrain_trajectory(config, 0)[-1]
    plane = choose_plane(config, LandscapeConfig(plane="principal"), center)
    assert all(label.endswith("(the path does not move)") for label in plane.labels)
    flat = plane.directions.reshape(2, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(2), atol=1e-12)
    assert (np.count_nonzero(flat, axis=1) > 2).all()
