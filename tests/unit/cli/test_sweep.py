import json

import pytest

import qhn_core as qhn
from qhn_core.cli import sweep as sweep_command
from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore
from tests.unit.sweeps import SMALL, has_simulator, run, small, swept


def test_the_sweep_command_trains_a_grid_and_says_where_it_is(capsys, home):
    rows = swept(capsys, "--objective", "mle,elbo", "--regularization", "1,10")
    assert [row["objective"] for row in rows] == ["mle", "elbo", "elbo"]
    assert [row["status"] for row in rows] == ["done"] * 3
    with RunStore(home) as store:
        assert {row["run"] for row in rows} == {run.id for run in store.runs()}
    for row, strength in zip(rows[1:], (1, 10), strict=True):
        expected = qhn.train(small(objective="elbo", regularization=strength)).summary()
        for name in ("test_bce_mean", "test_bce_std", "test_accuracy_mean", "test_accuracy_std"):
            assert row[name] == expected.loc["last epoch", name], "all digits, as train --json prints"


def test_the_sweep_command_prints_the_same_table_for_people(capsys, home):
    swept(capsys, "--seed", "1,2")
    code, out, _ = run(capsys, "sweep", *SMALL, "--seed", "1,2", "--workers", "2")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][0] == "seed"
    assert [line[0] for line in lines[1:]] == ["1", "2"]
    assert [line[-1] for line in lines[1:]] == ["done", "done"]


def test_the_sweep_command_run_again_computes_nothing(capsys, home, counted):
    first = swept(capsys, "--seed", "1,2")
    computed = counted()
    assert swept(capsys, "--seed", "1,2") == first
    assert computed == {}


def test_exact_shots_can_stand_in_a_grid(capsys, home):
    rows = swept(capsys, "--shots", "20,exact")
    assert [row["shots"] for row in rows] == [20, None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "5,0"], ["epochs='0'", "1 <= epochs"]),
        (["--objective", "mle,best"], ["objective='best'"]),
        (["--seed", "1,,2"], ["seed=''"]),
    ],
)
def test_a_bad_grid_is_bad_input_and_trains_nothing(capsys, home, options, words):
    code, out, err = run(capsys, "sweep", *options)
    assert (code, out) == (2, "")
    assert [word for word in words if word not in err] == []
    assert list(home.iterdir()) == []


def test_a_sweep_with_a_failed_run_has_its_own_exit_code(capsys, home):
    code, out, err = run(capsys, "sweep", "--json", *SMALL, "--simulator", "qsim-cuda,auto")
    if has_simulator("qsim-cuda"):
        pytest.skip("this machine has the simulator that the test needs to be missing")
    assert code == 1
    assert [row["status"] for row in json.loads(out)["runs"]] == ["failed", "done"]
    assert "CUDA" in err


def test_a_sweep_whose_runs_can_not_be_saved_says_so(capsys, home, monkeypatch):
    def full(*arguments, **options):
        raise StoreError("runs.sqlite3: the disk is full")

    monkeypatch.setattr(RunStore, "checkpoint", full)
    _, out, err = run(capsys, "sweep", "--json", *SMALL)
    assert [row["status"] for row in json.loads(out)["runs"]] == ["done"]
    assert "the disk is full" in err


def test_an_interrupted_sweep_has_the_code_of_a_signal(capsys, home, monkeypatch):
    def interrupted(configs, workers, store, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_command, "run_sweep", interrupted)
    assert run(capsys, "sweep", *SMALL)[0] == 130


def test_a_scheduler_that_is_none_is_bad_input(capsys, home, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("QHN_HOME", str(home))
    code, out, err = run(capsys, "sweep", *SMALL, "--scheduler", "nonsense")
    assert (code, out) == (2, "")
    assert "scheduler='nonsense'" in err
