import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.landscape.planes import nearest_equivalent, retrain_trajectory, trained_optima
from qhn_core.landscape.trajectories import barriers, training_path
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

CONFIG = RunConfig(n_hidden=1, epochs=9, n_seeds=3, regularization=4, bandwidth=1.3)


def scanned(kind, config=CONFIG, seed=2, **options):
    center = train(config).best_angles[seed]
    plane = LandscapeConfig(plane=kind, resolution=11, **options)
    return scan_landscape(config, plane, center, seed_row=seed)


def value(config, name, angles, strength, h):
    data = score_table(config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    return oracles.objective(name, oracles.probabilities(angles), scores, strength, h)


def test_nearest_copies_are_the_same_circuit_and_the_nearest():
    angles, to = 30 * oracles.random_angles(0, 2, 2, 4), oracles.random_angles(1, 2, 2, 4)
    near = nearest_equivalent(angles, to)
    np.testing.assert_allclose(oracles.probabilities(near), oracles.probabilities(angles), atol=1e-12)
    assert np.abs(near - to).max() <= np.pi
    np.testing.assert_array_equal(near[0, 1], to[0, 1])


@pytest.mark.parametrize("kind", ["random", "principal", "gates", "optima"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_path_has_the_values_of_the_run_and_of_its_projection(kind, n_layers):
    config = CONFIG.model_copy(update={"n_layers": n_layers})
    scan = scanned(kind, config)
    table = training_path(scan).table(Objective("selbo", 6.0, 2.0))
    way = retrain_trajectory(config, 2)
    assert table.epoch.tolist() == list(range(10))
    for epoch in (0, 4, 9):
        row = table.iloc[epoch]
        assert row.value == pytest.approx(value(config, "selbo", way[epoch], 6.0, 2.0), rel=1e-9)
        on_plane = scan.plane.center + row.x * scan.plane.directions[0] + row.y * scan.plane.directions[1]
        assert row.value_on_plane == pytest.approx(value(config, "selbo", on_plane, 6.0, 2.0), rel=1e-9)


def test_the_objective_of_the_path_is_the_exact_one_of_the_history():
    history = train(CONFIG).history
    expected = history[history.seed == 2].exact_objective
    found = training_path(scanned("random")).table(Objective.of(CONFIG)).value[1:]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_no_point_of_the_plane_is_nearer_than_the_distance():
    """By brute force over the plane, in the angles that do something, of the nearest copy to theta*."""
    scan = scanned("random")
    path = training_path(scan)
    way = nearest_equivalent(retrain_trajectory(CONFIG, 2), scan.plane.center)
    steps = np.linspace(-0.3, 0.3, 7)
    for epoch in (0, 3, 9):
        gaps = [
            (
                way[epoch]
                - scan.plane.center
                - np.tensordot([path.x[epoch] + dx, path.y[epoch] + dy], scan.plane.directions, axes=1)
            )[0, 0]
            for dx in steps
            for dy in steps
        ]
        distances = np.linalg.norm(gaps, axis=1)
        assert distances.argmin() == 24
        assert path.distance[epoch] == pytest.approx(distances[24], abs=1e-9)


def test_theta_star_is_on_its_plane_and_other_points_are_not():
    config = CONFIG.model_copy(
        update={"shots": None, "learning_rate": 0.01}
    )  # so that the last is the best
    path = training_path(scanned("random", config))
    assert (path.x[-1], path.y[-1], path.distance[-1]) == pytest.approx((0, 0, 0), abs=1e-9)
    assert (path.distance[:-1] > 0).all()
    table = path.table(Objective.of(config, "mle"))
    assert table.value.iloc[-1] == pytest.approx(table.value_on_plane.iloc[-1])


def test_a_path_in_the_plane_has_no_distance():
    """Two qubits' RY that span the whole path: a plane through gates holds what moves along them."""
    scan = scanned("gates", gates=((0, 0, 1), (0, 0, 3)))
    path = training_path(scan)
    offsets = nearest_equivalent(retrain_trajectory(CONFIG, 2), scan.plane.center) - scan.plane.center
    np.testing.assert_allclose(path.x, offsets[:, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(path.y, offsets[:, 0, 0, 3], atol=1e-12)
    rest = np.delete(offsets[:, 0, 0], [1, 3], axis=1)
    np.testing.assert_allclose(path.distance, np.linalg.norm(rest, axis=1), atol=1e-12)


def test_barriers_are_those_of_the_line_on_cirq():
    table = barriers(CONFIG, seed_row=1)
    assert list(zip(table["from"], table.to, table.objective, strict=True))[3:5] == [
        ("MLE*", "SELBO*", "MLE"),
        ("MLE*", "SELBO*", "ELBO"),
    ]
    assert len(table) == 9
    best = trained_optima(CONFIG, 1)
    step = (best["selbo"] - best["mle"] + np.pi) % (2 * np.pi) - np.pi
    line = [best["mle"] + t * step for t in np.linspace(0, 1, 101)]
    values = np.array([value(CONFIG, "elbo", angles, 4, 1.3) for angles in line])
    row = table.iloc[4]
    assert (row.start, row.end, row.lowest) == pytest.approx(
        (values[0], values[-1], values.min()), rel=1e-9
    )
    assert row.barrier == pytest.approx((values[0] + values[-1]) / 2 - values.min(), rel=1e-6)
    assert row.dip == pytest.approx(min(values[0], values[-1]) - values.min(), rel=1e-6, abs=1e-9)
    assert row.distance == pytest.approx(np.linalg.norm(step[0, 0]))


def test_optima_are_those_of_the_three_runs():
    for name, angles in trained_optima(CONFIG, 1).items():
        own = train(CONFIG.model_copy(update={"objective": name})).best_angles[1]
        np.testing.assert_allclose(oracles.probabilities(angles), oracles.probabilities(own), atol=1e-9)


def test_barriers_are_never_negative_and_dips_are_below_them():
    table = barriers(CONFIG, seed_row=0)
    assert (table.dip >= 0).all()
    np.testing.assert_allclose(table.barrier - table.dip, (table.start - table.end).abs() / 2, atol=1e-9)
