import numpy as np
import plotly.graph_objects as go
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.figures.landscape import path_figure, point_figures, sampled_figure
from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.landscape.shot_noise import rules_table, sample_landscape
from qhn_core.landscape.trajectories import training_path
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

CONFIG = RunConfig(n_hidden=1, epochs=5, shots=20, regularization=3.0)


@pytest.fixture(scope="module")
def scan():
    return scan_landscape(CONFIG, LandscapeConfig(resolution=11), train(CONFIG).best_angles[0])


@pytest.fixture(scope="module")
def sampled(scan):
    return sample_landscape(scan, shots=30, repeats=4, resolution=5)


def test_the_path_is_drawn_with_what_its_projection_hides(scan):
    table = training_path(scan).table(Objective("elbo", 3.0, 1.0))
    figure = path_figure(table, "elbo")
    go.Figure(figure)
    drawn = {trace["name"]: trace["y"] for trace in figure["data"]}
    assert drawn == {
        "at the run's angles": table["value"].tolist(),
        "at their projection on the plane": table["value_on_plane"].tolist(),
        "distance from the plane": table["distance"].tolist(),
    }
    assert figure["data"][2]["yaxis"] == "y2"
    assert figure["layout"]["xaxis"]["range"] == [0, 5]


def test_exact_mean_and_error_stand_side_by_side_on_one_scale(scan, sampled):
    figure = sampled_figure(scan, sampled, Objective("selbo", 3.0, 1.0))
    go.Figure(figure)
    exact, mean, error = figure["data"]
    estimates = sampled.values(Objective("selbo", 3.0, 1.0))
    np.testing.assert_array_equal(exact["z"], scan.values("selbo", 3.0, 1.0))
    np.testing.assert_allclose(mean["z"], np.mean(estimates, axis=2))
    np.testing.assert_allclose(error["z"], np.std(estimates, axis=2, ddof=1) / 2)
    assert (exact["zmin"], exact["zmax"]) == (mean["zmin"], mean["zmax"])
    assert exact["zmin"] <= np.min(mean["z"])
    assert len({trace["xaxis"] for trace in figure["data"]}) == 3


def test_the_rules_agree_on_mle_and_at_one_layer_algorithm_1_misses_the_regulariser(scan, sampled):
    field = gradient_field(scan, 5)
    table = rules_table(field, sampled, Objective("mle", 50.0, 1.0)).set_index(["objective", "rule"])
    assert len(table) == 6
    exact = table["exact slope"]
    mle = np.linalg.norm(field.expected_log_likelihood, axis=-1).mean()
    for objective in ("MLE", "ELBO", "SELBO"):
        np.testing.assert_allclose(exact[objective, "algorithm-1"], mle)
        np.testing.assert_allclose(table["cosine with the true slope"][objective, "chain-rule"], 1)
    assert table["cosine with the true slope"]["ELBO", "algorithm-1"] < 0.99
    np.testing.assert_allclose(exact["MLE", "chain-rule"], mle)


def test_the_spread_is_that_of_one_estimate(scan, sampled):
    table = rules_table(gradient_field(scan, 5), sampled).set_index(["objective", "rule"])
    estimates = sampled.slope
    variance = np.var(estimates, axis=2, ddof=1)
    np.testing.assert_allclose(
        table["spread of one estimate"]["MLE", "algorithm-1"], np.sqrt(variance.mean())
    )


def test_a_point_shows_its_own_networks(scan):
    """By Cirq's q there; where the exact q is drawn, its largest entries."""
    angles = scan.plane.at(0.4, -1.1)
    np.testing.assert_allclose(
        angles, scan.plane.center + np.tensordot([0.4, -1.1], scan.plane.directions, 1)
    )
    q = oracles.probabilities(angles)
    boundary, histogram = point_figures(CONFIG, angles)
    drawn = [int(name, 2) for name in histogram["data"][1]["x"]]
    np.testing.assert_allclose(histogram["data"][1]["y"], q[drawn], atol=1e-6)
    assert sum(histogram["data"][0]["y"]) <= 1
    go.Figure(boundary)
    _, exact = point_figures(CONFIG.model_copy(update={"shots": None}), angles)
    assert int(exact["data"][0]["x"][0], 2) == q.argmax()
    np.testing.assert_allclose(exact["data"][0]["y"], np.sort(q)[::-1][:16], atol=1e-4)
