import itertools
import secrets
import zipfile

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.jobs.workers import run_chunk
from qhn_core.storage.runs import RunStore
from tests.unit.sweeps import run, small, swept


def test_runs_are_listed_the_newest_first(capsys, home):
    ids = [swept(capsys, "--seed", seed)[0]["run"] for seed in ("1", "2")]
    code, out, _ = run(capsys, "runs")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ids[::-1]
    assert all(small().in_words() in line and " done " in line for line in out.splitlines())
    assert run(capsys, "runs", "list") == (0, out, "")


def test_an_empty_store_lists_nothing(capsys, home):
    assert run(capsys, "runs") == (0, "", "")


def test_a_run_is_shown_with_its_summary(capsys, home):
    [row] = swept(capsys)
    code, out, _ = run(capsys, "runs", "show", row["run"])
    assert code == 0
    assert out.splitlines()[0] == small().in_words()
    assert out.splitlines()[1].startswith("done at epoch 12")
    [last] = [line for line in out.splitlines() if line.startswith("last epoch")]
    summary = qhn.train(small()).summary().loc["last epoch"]
    assert last.removeprefix("last epoch").split() == [f"{value:.4f}" for value in summary]


def test_a_run_goes_out_and_comes_in_elsewhere_bit_for_bit(capsys, home, monkeypatch, tmp_path):
    [row] = swept(capsys)
    target = tmp_path / "taken home.zip"
    assert run(capsys, "runs", "export", row["run"], "--out", str(target)) == (0, f"{target}\n", "")
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
    assert {"config.json", "history.csv", "history.parquet", "angles.npz"} <= set(names)
    elsewhere = tmp_path / "another machine"
    monkeypatch.setenv("QHN_HOME", str(elsewhere))
    code, out, _ = run(capsys, "runs", "import", str(target))
    assert code == 0
    with RunStore(elsewhere) as store:
        run_there = store.load(out.strip())
    assert run_there.config == small()
    expected = qhn.train(small())
    pd.testing.assert_frame_equal(run_there.result().history, expected.history, check_exact=True)
    np.testing.assert_array_equal(run_there.state.best_angles, expected.best_angles)


def test_export_writes_beside_by_default_and_over_nothing(capsys, home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    [row] = swept(capsys)
    assert run(capsys, "runs", "export", row["run"])[:2] == (0, f"{row['run']}.zip\n")
    before = (tmp_path / f"{row['run']}.zip").read_bytes()
    code, out, err = run(capsys, "runs", "export", row["run"])
    assert (code, out) == (2, "")
    assert "the file exists" in err
    assert (tmp_path / f"{row['run']}.zip").read_bytes() == before


def test_an_imported_run_is_not_taken_for_one_that_was_computed_here(capsys, home, counted, tmp_path):
    [row] = swept(capsys)
    target = str(tmp_path / "run.zip")
    run(capsys, "runs", "export", row["run"], "--out", target)
    run(capsys, "runs", "delete", row["run"])
    run(capsys, "runs", "import", target)
    computed = counted()
    swept(capsys)
    assert computed == {small(): 12}


def test_a_deleted_run_is_gone(capsys, home):
    [row] = swept(capsys)
    assert run(capsys, "runs", "delete", row["run"]) == (0, "", "")
    assert run(capsys, "runs") == (0, "", "")
    assert run(capsys, "runs", "show", row["run"])[0] == 2


def test_every_id_that_a_run_may_get_can_be_given_on_the_command_line(capsys, home, monkeypatch):
    """Ids are random letters, digits, - and _; an argument that begins with - looks like an option."""
    tokens = itertools.chain(["-xEdB-y8Mj2RcRDE", "--h"], map("token{}".format, itertools.count()))
    monkeypatch.setattr(secrets, "token_urlsafe", lambda n_bytes: next(tokens))
    for row in swept(capsys, "--seed", "1,2"):
        assert run(capsys, "runs", "show", row["run"])[0] == 0
        assert run(capsys, "runs", "delete", row["run"])[0] == 0


@pytest.mark.parametrize("action", ["show", "export", "delete"])
def test_an_unknown_run_is_bad_input(capsys, home, action):
    code, out, err = run(capsys, "runs", action, "nobody")
    assert (code, out) == (2, "")
    assert "run='nobody': there is no such run" in err


@pytest.mark.parametrize("action", ["show", "export", "import", "delete"])
def test_an_action_without_a_run_is_bad_input(capsys, home, action):
    code, out, err = run(capsys, "runs", action)
    assert (code, out) == (2, "")
    assert f"qhn runs: {action} needs {'a zip file' if action == 'import' else 'the id of a run'}" in err


def test_a_file_that_is_no_run_is_bad_input_and_a_missing_one_a_failure(capsys, home, tmp_path):
    file = tmp_path / "letter.zip"
    file.write_text("Dear all,", encoding="utf-8")
    code, out, err = run(capsys, "runs", "import", str(file))
    assert (code, out) == (2, "")
    assert "not a sound zip file" in err
    code, out, err = run(capsys, "runs", "import", str(tmp_path / "missing.zip"))
    assert (code, out) == (1, "")
    assert "missing.zip" in err
    assert run(capsys, "runs")[1] == ""


@pytest.mark.parametrize("action", ["show", "export"])
def test_a_run_at_epoch_0_can_be_shown_and_taken_home(capsys, home, action, monkeypatch):
    monkeypatch.chdir(home)
    state, _ = run_chunk(small(), np.arange(2), 0)
    with RunStore(home) as store:
        store.checkpoint("begun", small(), "paused", state, None)
        store.checkpoint("queued", small(seed=4), "queued", None, None)
    code, out, err = run(capsys, "runs", action, "begun")
    assert (code, err) == (0, "")
    assert "begun.zip" in out if action == "export" else "epoch 0" in out
    code, out, err = run(capsys, "runs", action, "queued")
    assert (code, out) == (2, "")
    assert "has not started" in err


def test_a_store_that_can_not_be_opened_is_a_failure(capsys, home):
    (home / "runs.sqlite3").write_text("this is no database, however you look at it", encoding="utf-8")
    code, out, err = run(capsys, "runs")
    assert (code, out) == (1, "")
    assert "runs.sqlite3" in err
    assert "Traceback" not in err


def test_a_zip_for_a_folder_that_is_missing_is_bad_input(capsys, home, tmp_path):
    [row] = swept(capsys)
    code, out, err = run(
        capsys, "runs", "export", row["run"], "--out", str(tmp_path / "missing" / "run.zip")
    )
    assert (code, out) == (2, "")
    assert "must be a file in a folder that exists" in err
