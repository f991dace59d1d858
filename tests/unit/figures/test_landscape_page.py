import base64
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.cli.main import main
from qhn_core.figures.landscape_page import caption, landscape_html, view_data
from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.landscape.roughness import roughness
from qhn_core.landscape.scanner import roughness_table
from qhn_core.landscape.trajectories import training_path
from qhn_core.objectives.terms import Objective

CONFIG = RunConfig(n_hidden=1, epochs=3, regularization=7, n_seeds=2)
PLANE = LandscapeConfig(resolution=11)


@pytest.fixture(scope="module")
def scan():
    return scan_landscape(CONFIG, PLANE, train(CONFIG).best_angles[0])


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f8")


def test_the_browser_gets_every_number_of_the_scan(scan):
    data = view_data(scan, Objective("selbo", 3.0, 0.5), "words")
    assert (data["regularization"], data["bandwidth"], data["n_qubits"], data["shape"]) == (
        3.0,
        0.5,
        6,
        [11, 11],
    )
    np.testing.assert_array_equal(decoded(data["axis"]), scan.axis)
    np.testing.assert_array_equal(decoded(data["entropy"]), scan.entropy.ravel())
    np.testing.assert_array_equal(
        decoded(data["expected_log_likelihood"]), scan.expected_log_likelihood.ravel()
    )
    np.testing.assert_array_equal(decoded(data["correlators"]), scan.correlators[..., 1:].ravel())


def test_the_offline_page_holds_its_data_and_asks_no_server(scan):
    page = landscape_html(view_data(scan, Objective("selbo", 7.0, 1.5), caption(scan, 0)))
    data = json.loads(re.search(r"showLandscape\(\{ data: (\{.*?\}), parentElement", page, re.S)[1])
    np.testing.assert_array_equal(decoded(data["entropy"]), scan.entropy.ravel())
    assert data["regularization"] == 7
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_the_caption_tells_seed_plane_radius_and_resolution(scan):
    assert "seed 4" in caption(scan, 4)
    assert "Plane: random (seed 0), orthonormal directions, radius 2π, 11×11 points, exact" in caption(
        scan, 4
    )


def test_the_roughness_table_is_that_of_each_surface(scan):
    table = roughness_table(scan, Objective("mle", 50, 0.7))
    spacing = scan.axis[1] - scan.axis[0]
    for name in ("mle", "elbo", "selbo"):
        expected = roughness(scan.values(name, 50, 0.7), spacing)
        assert table[name.upper()].to_dict() == pytest.approx(expected)


def test_qhn_landscape_writes_what_it_says(tmp_path, capsys):
    options = ["--n-hidden", "1", "--epochs", "3", "--n-seeds", "2", "--regularization", "7"]
    files = ["--html", str(tmp_path / "l.html"), "--npz", str(tmp_path / "l.npz"), "--json"]
    assert main(["landscape", *options, "--plane", "gradient", "--resolution", "11", *files]) == 0
    report = json.loads(capsys.readouterr().out)
    result = train(CONFIG)
    best = int(result.state.best_objective.argmax())
    plane = LandscapeConfig(plane="gradient", resolution=11)
    expected = scan_landscape(CONFIG, plane, result.best_angles[best], seed_row=best)
    assert report["seed"] == best
    for name, measures in roughness_table(expected).to_dict().items():
        assert report["roughness"][name] == pytest.approx(measures)
    with np.load(tmp_path / "l.npz", allow_pickle=False) as grid:
        np.testing.assert_array_equal(grid["entropy"], expected.entropy)
        assert RunConfig.model_validate_json(str(grid["config"])) == CONFIG
    assert "showLandscape" in (tmp_path / "l.html").read_text()


@pytest.mark.parametrize("objective", ["mle", "elbo"])
def test_qhn_landscape_reports_every_roughness_at_the_largest_lambda(tmp_path, capsys, objective):
    """ELBO and SELBO overflow at this λ; their roughness does not."""
    table = tmp_path / "l.csv"
    options = ["--n-hidden", "1", "--epochs", "2", "--resolution", "11", "--objective", objective]
    extreme = ["--regularization", "1e308", "--json", "--csv", str(table)]
    assert main(["landscape", *options, *extreme]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    slopes = [measures["mean slope, range/rad"] for measures in report["roughness"].values()]
    assert len(set(slopes)) == 3
    assert all(slope > 0 for slope in slopes)
    rows = pd.read_csv(table)
    assert (set(rows.regularization), set(rows.bandwidth)) == ({1e308}, {1.5})
    assert np.isfinite(rows.mle).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resolution", "5"], "resolution='5'.*11 <= resolution"),
        (["--plane", "flat"], "plane='flat'.*'optima'"),
    ],
)
def test_qhn_landscape_names_a_bad_plane(options, message, capsys):
    assert main(["landscape", *options]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_the_path_and_the_arrows_of_one_rule_go_along(scan):
    path, field = training_path(scan), gradient_field(scan, 3)
    data = view_data(scan, Objective("selbo", 1.0, 1.5), "words", path, field, "algorithm-1")
    np.testing.assert_array_equal(decoded(data["path"]["x"]), path.x)
    np.testing.assert_array_equal(decoded(data["path"]["y"]), path.y)
    np.testing.assert_array_equal(decoded(data["field"]["axis"]), field.axis)
    np.testing.assert_array_equal(decoded(data["field"]["entropy"]), field.entropy["algorithm-1"].ravel())
    slopes = decoded(data["field"]["correlators"]).reshape(3, 3, 2, 6)
    np.testing.assert_array_equal(slopes, field.correlators["algorithm-1"][..., 1:])


def test_a_scan_that_is_not_complete_is_drawn_without_holes(scan):
    angles = train(CONFIG).best_angles[0]
    some = np.zeros((11, 11), dtype=bool)
    some[5, 5] = True
    holes = {
        name: np.where(some, getattr(scan, name), np.nan) for name in ("expected_log_likelihood", "entropy")
    }
    data = view_data(
        replace(scan, done=some, angles=angles, **holes), Objective("selbo", 1.0, 1.5), "words"
    )
    assert set(decoded(data["entropy"])) == {scan.entropy[5, 5]}
