import numpy as np
import oracles
import pytest

from qhn_core import LandscapeConfig, RunConfig, landscape, objective_value, scan_landscape
from qhn_core.problem import build_problem

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
LAYERS = pytest.mark.parametrize("n_layers", [1, 2])
PLANE = LandscapeConfig(resolution=11, radius=2.0, seed=4)


def configured(**options):
    return RunConfig(**{"n_hidden": 1, "regularization": 20, "bandwidth": 1.2, **options})


def scanned(plane=PLANE, **options):
    config = configured(**options)
    return scan_landscape(config, plane, oracles.random_angles(0, *config.angle_shape))


def point(scan, i, j):
    first, second = scan.plane.directions
    return scan.plane.center + scan.axis[j] * first + scan.axis[i] * second


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_grid_values_are_the_objective_on_cirq(objective, n_layers, likelihood):
    scan = scanned(n_layers=n_layers, likelihood=likelihood)
    data = build_problem(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1) / (
        300 if likelihood == "mean" else 1
    )
    values = scan.values(objective)
    assert values.shape == (11, 11)
    for i, j in np.random.default_rng(1).integers(11, size=(6, 2)):
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 1.2)
        assert values[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
def test_grid_values_at_14_qubits(objective):
    scan = scanned(n_hidden=3, n_layers=2, bandwidth=None)
    scores = build_problem(scan.config).train_log_likelihood
    for i, j in [(0, 3), (10, 10)]:
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 3.5)
        assert scan.values(objective)[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize(("strength", "h"), [(0.0, 0.4), (333.0, 2.9)])
def test_fact_2_a_scan_recombines_to_any_lambda_and_h(objective, n_layers, strength, h):
    recombined = scanned(n_layers=n_layers).values(objective, regularization=strength, bandwidth=h)
    fresh = scanned(n_layers=n_layers, regularization=strength, bandwidth=h, objective=objective)
    np.testing.assert_allclose(recombined, fresh.values(objective), rtol=1e-9)
    angles = point(fresh, 7, 2)
    assert recombined[7, 2] == pytest.approx(objective_value(fresh.config, angles[None])[0], rel=1e-9)


@OBJECTIVES
@LAYERS
def test_the_center_of_the_grid_is_theta_star(objective, n_layers):
    scan = scanned(n_layers=n_layers, objective=objective)
    expected = objective_value(scan.config, scan.plane.center[None])[0]
    assert scan.axis[5] == 0
    assert scan.values(objective)[5, 5] == pytest.approx(expected, rel=1e-9)


def test_the_axis_is_distance_from_theta_star_in_radians():
    scan = scanned(LandscapeConfig(resolution=21, radius=3.0))
    np.testing.assert_allclose(scan.axis, np.linspace(-3, 3, 21), atol=1e-14)
    assert scanned(LandscapeConfig(resolution=11)).axis[-1] == pytest.approx(2 * np.pi)


def test_terms_are_those_of_the_distribution():
    scan = scanned(n_layers=2)
    angles = point(scan, 1, 9)
    q = oracles.probabilities(angles)
    assert scan.entropy[1, 9] == pytest.approx(6 * np.log(2) - oracles.kl(q), rel=1e-5)
    assert scan.correlators.shape == (11, 11, 7)
    np.testing.assert_allclose(scan.correlators[..., 0], 1, atol=1e-6)


def test_shots_do_not_matter_since_a_landscape_is_exact():
    one, hundred = scanned(objective="mle", shots=1), scanned(shots=100)
    for objective in ("mle", "elbo", "selbo"):
        np.testing.assert_array_equal(one.values(objective), hundred.values(objective))


def test_values_default_to_the_configs_lambda_and_h():
    scan = scanned()
    np.testing.assert_array_equal(scan.values("selbo"), scan.values("selbo", 20, 1.2))
    assert (scan.values("selbo") != scan.values("selbo", 21, 1.2)).any()
    assert (scan.values("selbo") != scan.values("selbo", 20, 1.3)).any()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("map",), "objective"),
        (("elbo", -1.0), "regularization"),
        (("elbo", np.nan), "regularization"),
        (("selbo", 1.0, 0.0), "bandwidth"),
        (("selbo", 1.0, np.inf), "bandwidth"),
    ],
)
def test_bad_values_are_named(arguments, field):
    with pytest.raises(ValueError, match=field):
        scanned().values(*arguments)


@pytest.mark.parametrize(
    "angles", [np.zeros((1, 2, 14)), np.zeros((1, 1, 2, 6)), np.full((1, 2, 6), np.nan)]
)
def test_bad_angles_are_refused(angles):
    with pytest.raises(ValueError, match=r"needed are finite numbers of shape \(1, 2, 6\)"):
        scan_landscape(configured(), PLANE, angles)


def test_progress_counts_grid_points_up_to_the_last():
    seen = []
    config = configured()
    scan_landscape(
        config, PLANE, np.zeros(config.angle_shape), lambda done, total: seen.append((done, total))
    )
    assert [total for _, total in seen] == [121] * len(seen)
    done = [d for d, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == 121


def test_an_exception_in_progress_stops_the_scan(monkeypatch):
    points = []
    simulator = landscape.get_simulator("qsim")
    original = simulator.probabilities
    monkeypatch.setattr(
        simulator, "probabilities", lambda angles: (points.append(len(angles)), original(angles))[1]
    )
    monkeypatch.setattr(landscape, "get_simulator", lambda *arguments: simulator)

    def stop(done, total):
        raise KeyboardInterrupt

    config = configured()
    with pytest.raises(KeyboardInterrupt):
        scan_landscape(config, LandscapeConfig(resolution=101), np.zeros(config.angle_shape), stop)
    assert sum(points) < 101 * 101 / 2  # what was queued is dropped
