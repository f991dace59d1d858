import json

import numpy as np
import pandas as pd
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.cli.main import main
from qhn_core.landscape import scanner
from qhn_core.landscape.scan import scan_table
from qhn_core.landscape.smoothness import measure_planes, paired_differences
from qhn_core.storage.runs import RunStore
from qhn_core.storage.scan_file import load_scan

CONFIG = RunConfig(n_hidden=1, epochs=3, regularization=7, n_seeds=2)
OPTIONS = ["--n-hidden", "1", "--epochs", "3", "--n-seeds", "2", "--regularization", "7"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def expected():
    result = train(CONFIG)
    best = int(result.state.best_objective.argmax())
    return scan_landscape(CONFIG, LandscapeConfig(resolution=11), result.best_angles[best], seed_row=best)


def test_the_table_is_the_scans(tmp_path, capsys, expected):
    files = ["--csv", str(tmp_path / "l.csv"), "--npz", str(tmp_path / "l.npz")]
    assert main(["landscape", *OPTIONS, "--resolution", "11", *files]) == 0
    found = pd.read_csv(tmp_path / "l.csv")
    pd.testing.assert_frame_equal(found, scan_table(expected), check_exact=False, rtol=1e-14)
    assert load_scan(tmp_path / "l.npz").entropy.tobytes() == expected.entropy.tobytes()


def test_a_scan_is_stored_and_not_computed_again(home, capsys, monkeypatch, expected):
    assert main(["landscape", *OPTIONS, "--resolution", "11", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    with RunStore(home) as store:
        assert store.scans.load(expected.key).entropy.tobytes() == expected.entropy.tobytes()
    monkeypatch.setattr(scanner, "_points", lambda *arguments: 1 / 0)
    assert main(["landscape", *OPTIONS, "--resolution", "11", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_without_a_store_the_scan_runs_and_says_so(home, capsys):
    home.write_text("a file in its place", encoding="utf-8")
    assert main(["landscape", *OPTIONS, "--resolution", "11", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "roughness" in json.loads(out)
    assert "File exists" in err


def test_the_study_writes_what_it_measured_and_compares(tmp_path, capsys):
    files = ["--csv", str(tmp_path / "c.csv"), "--measured", str(tmp_path / "m.csv")]
    options = [*OPTIONS[:4], "--n-seeds", "3", "--dataset", "gaussian,moons", "--resolution", "11"]
    assert main(["study", *options, *files]) == 0
    out = capsys.readouterr().out
    config = RunConfig(n_hidden=1, epochs=3, n_seeds=3, dataset="moons")
    plane = LandscapeConfig(plane="random-ry", resolution=11)
    expected = paired_differences(measure_planes(config, plane))
    found = pd.read_csv(tmp_path / "c.csv")
    own = found[found.run == config.in_words()].reset_index(drop=True).drop(columns="run")
    pd.testing.assert_frame_equal(own, expected, check_exact=False, rtol=1e-9)
    assert len(pd.read_csv(tmp_path / "m.csv")) == 2 * 3 * (1 + 4 + 8)
    assert out.count("SELBO λ=100 h=1.5") == 2
    assert "moons" in out
    assert np.isfinite(expected.difference).all()


def test_the_study_needs_two_seeds(capsys):
    assert main(["study", *OPTIONS[:4], "--n-seeds", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err
