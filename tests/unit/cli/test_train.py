import json

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.circuits.simulators.cirq_reference import CirqReference
from qhn_core.circuits.simulators.numba_states import Compiled
from qhn_core.circuits.simulators.qsim import QSim
from qhn_core.cli.main import main
from tests.diverging import DIVERGES, lower_the_bound

from .small_training import CONFIG, SMALL

REQUIRED = {"config", "hash", "summary", "wall_seconds", "peak_memory_mb", "simulator"}
EVERY_FIELD = {
    "dataset": "moons",
    "dataset_seed": 3,
    "n_train_per_class": 20,
    "n_test_per_class": 10,
    "dataset_noise": 0.2,
    "dataset_scale": 1.5,
    "n_hidden": 1,
    "n_layers": 2,
    "objective": "elbo",
    "regularization": 0.25,
    "bandwidth": 2.5,
    "likelihood": "mean",
    "shots": 30,
    "gradient": "algorithm-1",
    "epochs": 1,
    "learning_rate": 0.5,
    "patience": 4,
    "min_delta": 0.001,
    "decay_factor": 0.25,
    "n_seeds": 2,
    "seed": 9,
    "simulator": "cirq",
    "annealing": "linear",
    "initial_angles": [0.25, *[1.5] * 23],
    "optimizer": "adam",
    "beta_1": 0.5,
    "beta_2": 0.75,
    "perturbation": 0.5,
    "damping": 0.125,
    "plateau": "previous-epoch",
    "entangler": "none",
}


def options(fields):
    texts = {n: ",".join(map(str, v)) if isinstance(v, list) else str(v) for n, v in fields.items()}
    return [text for name, value in texts.items() for text in (f"--{name.replace('_', '-')}", value)]


def report(capsys, *arguments):
    """The JSON that `qhn train --json` printed, alone."""
    assert main(["train", "--json", *arguments]) == 0
    out = capsys.readouterr().out
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_json_is_one_object_with_the_numbers_of_train(capsys):
    found = report(capsys, *SMALL)
    assert found.keys() >= REQUIRED
    assert found["summary"] == qhn.train(CONFIG).summary().to_dict(orient="index")
    assert qhn.RunConfig(**found["config"]) == CONFIG
    assert found["hash"] == CONFIG.hash
    assert found["simulator"] == "none: one or two layers have a closed form"
    assert found["wall_seconds"] > 0
    assert 50 < found["peak_memory_mb"] < 100_000
    assert found["warning"] == ""


@pytest.mark.parametrize(
    ("name", "layers", "used"),
    [
        ("auto", "3", "numba"),
        ("qsim", "3", "qsim"),
        ("cirq", "1", "cirq"),
        ("qsim", "1", None),
        ("auto", "2", None),
    ],
)
def test_the_simulator_that_is_named_is_the_one_that_ran(capsys, monkeypatch, name, layers, used):
    """Count the states that training asks for; the scores at the end use the simulator in any case."""
    ran = set()
    for cls in (Compiled, CirqReference, QSim):
        state = cls.state

        def counted(self, *arguments, state=state):
            ran.add(self.name)
            return state(self, *arguments)

        monkeypatch.setattr(cls, "state", counted)
    found = report(capsys, *SMALL, "--simulator", name, "--n-layers", layers)
    assert found["simulator"] == (used or "none: one or two layers have a closed form")
    assert ran == ({used} if used else set())


def test_every_field_of_a_config_is_an_option(capsys):
    assert set(EVERY_FIELD) == set(qhn.RunConfig.model_fields)
    assert all(getattr(qhn.RunConfig(), name) != value for name, value in EVERY_FIELD.items())
    found = report(capsys, *options(EVERY_FIELD))
    assert found["config"] == EVERY_FIELD
    assert found["simulator"] == "cirq"


def test_without_options_it_is_the_default_config(capsys, monkeypatch):
    trained = []
    monkeypatch.setattr(
        "qhn_core.cli.train.train", lambda config, progress: trained.append(config) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        main(["train"])
    assert trained == [qhn.RunConfig()]


def test_exact_shots(capsys):
    found = report(capsys, *SMALL, "--shots", "exact")
    assert found["config"]["shots"] is None
    expected = qhn.train(CONFIG.model_copy(update={"shots": None}))
    assert found["summary"] == expected.summary().to_dict(orient="index")


def test_the_table_is_the_summary_and_the_first_line_the_config(capsys):
    assert main(["train", *SMALL]) == 0
    out = capsys.readouterr().out
    first, blank, *table = out.splitlines()
    assert first.startswith(CONFIG.in_words())
    assert blank == ""
    summary = qhn.train(CONFIG).summary()
    assert table[0].split() == list(summary.columns)
    for name, values in summary.iterrows():
        [line] = [text for text in table if text.startswith(f"{name} ")]
        assert line.removeprefix(name).split() == [f"{v:.4f}" for v in values]


def test_a_run_folder_holds_the_whole_run(capsys, tmp_path):
    folder = tmp_path / "new" / "run"
    report(capsys, *SMALL, "--out", str(folder))
    expected = qhn.train(CONFIG)
    assert sorted(p.name for p in folder.iterdir()) == ["angles.npz", "config.json", "history.parquet"]
    assert qhn.RunConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8")) == CONFIG
    history = pd.read_parquet(folder / "history.parquet")
    pd.testing.assert_frame_equal(history, expected.history, check_exact=True)
    with np.load(folder / "angles.npz", allow_pickle=False) as angles:
        np.testing.assert_array_equal(angles["best"], expected.best_angles)
        np.testing.assert_array_equal(angles["last"], expected.state.angles)


def test_a_run_is_not_overwritten(capsys, tmp_path):
    assert main(["train", *SMALL, "--out", str(tmp_path)]) == 0
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    capsys.readouterr()
    assert main(["train", *SMALL, "--seed", "8", "--json", "--out", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path) in err
    assert "already holds a run" in err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_folder_that_can_not_be_made_is_bad_input(capsys, tmp_path):
    """The error comes before the training, not after an hour of it."""
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert main(["train", *SMALL, "--json", "--out", str(file / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(file / "run") in err


def test_a_diverging_run_warns_keeps_its_history_and_fails(capsys, monkeypatch, tmp_path):
    lower_the_bound(monkeypatch)
    run = options({**DIVERGES, "shots": "exact"})
    assert main(["train", "--json", "--out", str(tmp_path), *run]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert "1 of 1 seeds diverged" in found["warning"]
    assert found["warning"] in err
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert 0 < len(history) < 12
    assert f"at epoch {len(history) + 1}:" in err
    assert np.isfinite(history.to_numpy()).all()
