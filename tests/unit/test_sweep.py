import itertools
import json
import secrets
import threading
import time
import zipfile

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core import cli, commands, scheduler, sweep
from qhn_core.execution import process_workers, run_chunk, thread_workers
from qhn_core.jobs import Limits, Status
from qhn_core.store import RunStore
from qhn_core.store_file import StoreError
from qhn_core.sweep import grid, run_sweep, sweep_table
from tests import SECONDS
from tests.diverging import HALF_DIVERGES, lower_the_bound


def small(**options):
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 2, "epochs": 12, "seed": 3, "shots": 20, **options})


SMALL = ["--n-hidden", "1", "--n-seeds", "2", "--epochs", "12", "--seed", "3", "--shots", "20"]
"""small() on the command line."""


def assert_same_run(job, config):
    """Bit for bit the history and angles of qhn.train."""
    expected = qhn.train(config)
    pd.testing.assert_frame_equal(job.result().history, expected.history, check_exact=True)
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)


class Counter:
    """Stands in for `run_chunk` and counts the epochs that it computes, by config."""

    def __init__(self):
        self.epochs = {}
        self.lock = threading.Lock()

    def __call__(self, config, start, n_epochs):
        before = getattr(start, "epoch", 0)
        state, rows = run_chunk(config, start, n_epochs)
        with self.lock:
            self.epochs[config] = self.epochs.get(config, 0) + state.epoch - before
        return state, rows


@pytest.fixture
def counted(monkeypatch):
    """counted() -> from now on, the epochs that are computed, by config; an epoch a chunk."""
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.001)

    def start():
        counter = Counter()
        monkeypatch.setattr(scheduler, "run_chunk", counter)
        return counter.epochs

    return start


# --- grids -------------------------------------------------------------------------------------------


def test_a_grid_is_every_combination_in_order():
    configs = grid({"objective": ["elbo", "selbo"], "n_layers": [1, 2], "seed": [5]})
    found = [(c.objective, c.n_layers, c.seed) for c in configs]
    assert found == [("elbo", 1, 5), ("elbo", 2, 5), ("selbo", 1, 5), ("selbo", 2, 5)]


def test_strength_and_bandwidth_make_runs_only_where_the_objective_reads_them():
    fields = {"objective": ["mle", "elbo", "selbo"], "regularization": [1, 10], "bandwidth": [1, 2]}
    configs = grid(fields)
    assert [c.objective for c in configs] == ["mle", "elbo", "elbo", "selbo", "selbo", "selbo", "selbo"]
    default = qhn.RunConfig()
    assert configs[0] == qhn.RunConfig(objective="mle")
    assert {c.regularization for c in configs[1:3]} == {1, 10}
    assert {c.bandwidth for c in configs[1:3]} == {default.bandwidth}
    assert {(c.regularization, c.bandwidth) for c in configs[3:]} == {(1, 1), (1, 2), (10, 1), (10, 2)}


def test_the_default_objective_reads_both():
    assert len(grid({"regularization": [1, 10], "bandwidth": [1, 2]})) == 4


def test_values_that_are_the_same_make_one_run():
    assert grid({"regularization": ["1", "1.0", 1]}) == [qhn.RunConfig()]
    assert grid({}) == [qhn.RunConfig()]


def test_a_bad_value_in_a_grid_is_named():
    with pytest.raises(ValueError, match="epochs"):
        grid({"objective": ["mle"], "epochs": [5, 0]})


# --- running and resuming ----------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_a_sweep_has_the_numbers_of_train_in_the_order_of_the_configs(tmp_path, workers):
    configs = [small(objective=name) for name in ("selbo", "mle", "elbo")]
    jobs = run_sweep(configs, thread_workers(workers), RunStore(tmp_path))
    assert [job.config for job in jobs] == configs
    for job, config in zip(jobs, configs, strict=True):
        assert job.status == Status.DONE
        assert_same_run(job, config)


def test_a_sweep_that_was_stopped_computes_only_what_is_missing(tmp_path, counted):
    configs = [small(seed=seed, n_seeds=1) for seed in range(4)]
    total = 4 * 12

    class Stop(Exception):
        pass

    def stop_halfway(done, of):
        assert of == total
        if done >= total / 2:
            raise Stop

    counted()
    with pytest.raises(Stop):
        run_sweep(configs, thread_workers(), RunStore(tmp_path), stop_halfway)
    with RunStore(tmp_path) as store:
        saved = {qhn.RunConfig(**run.config): run.epoch for run in store.runs()}
    assert set(saved) == set(configs)
    assert sum(saved.values()) >= total / 2

    computed = counted()
    jobs = run_sweep(configs, thread_workers(), RunStore(tmp_path))
    assert computed == {config: 12 - saved[config] for config in configs if saved[config] < 12}
    for job, config in zip(jobs, configs, strict=True):
        assert_same_run(job, config)

    computed = counted()
    again = run_sweep(configs, thread_workers(), RunStore(tmp_path))
    assert computed == {}
    assert [job.id for job in again] == [job.id for job in jobs]
    with RunStore(tmp_path) as store:
        assert [run.status for run in store.runs()] == ["done"] * 4


def test_a_larger_grid_keeps_what_a_smaller_one_has_computed(tmp_path, counted):
    counted()
    run_sweep([small(seed=1)], thread_workers(), RunStore(tmp_path))
    computed = counted()
    run_sweep([small(seed=1), small(seed=2)], thread_workers(), RunStore(tmp_path))
    assert set(computed) == {small(seed=2)}


def test_progress_ends_at_the_total(tmp_path):
    calls = []
    run_sweep([small()], thread_workers(), RunStore(tmp_path), lambda *call: calls.append(call))
    assert calls[-1] == (12, 12)
    assert calls == sorted(calls)


def test_a_sweep_knows_none_of_a_servers_limits():
    defaults = vars(Limits())
    for name, value in vars(sweep.NO_LIMITS).items():
        assert value > defaults[name] or name == "grace_seconds"


def test_the_store_stays_open_for_whoever_opened_it(tmp_path):
    with RunStore(tmp_path) as store:
        run_sweep([small()], thread_workers(), store)
        assert [run.status for run in store.runs()] == ["done"]


# --- the table ---------------------------------------------------------------------------------------


def test_the_table_shows_what_differs_and_the_scores_of_the_last_epoch(tmp_path):
    configs = [small(objective=name, n_seeds=n) for name in ("mle", "selbo") for n in (2, 3)]
    jobs = run_sweep(configs, thread_workers(), RunStore(tmp_path))
    table = sweep_table(jobs)
    scores = [f"{name}_{f}" for name in ("test_bce", "test_accuracy") for f in ("mean", "std")]
    assert list(table.columns) == ["objective", "n_seeds", *scores, "status"]
    assert table["objective"].tolist() == ["mle", "mle", "selbo", "selbo"]
    assert table["n_seeds"].tolist() == [2, 3, 2, 3]
    assert table["status"].tolist() == ["done"] * 4
    for (_, row), config in zip(table.iterrows(), configs, strict=True):
        history = qhn.train(config).history
        last = history[history["epoch"] == 12]
        for name in ("test_bce", "test_accuracy"):
            assert row[f"{name}_mean"] == pytest.approx(last[name].mean(), rel=1e-12)
            assert row[f"{name}_std"] == pytest.approx(last[name].std(ddof=0), rel=1e-12)


@pytest.mark.parametrize("options", [{}, HALF_DIVERGES], ids=["whole", "two of four seeds diverge"])
def test_the_table_and_the_summary_of_a_run_agree(tmp_path, monkeypatch, options):
    if options is HALF_DIVERGES:
        lower_the_bound(monkeypatch)
    [job] = run_sweep([small(**options)], thread_workers(), RunStore(tmp_path))
    assert job.status == Status.DONE
    assert (job.state.diverged_at > 0).sum() == (2 if options else 0)
    summary = job.result().summary().loc["last epoch"]
    row = sweep_table([job]).iloc[0]
    for name in ("test_bce_mean", "test_bce_std", "test_accuracy_mean", "test_accuracy_std"):
        assert row[name] == pytest.approx(summary[name], rel=1e-12)


def test_a_run_without_an_epoch_has_no_scores(tmp_path):
    """Its simulator is missing here, so it fails; the other run is not hurt."""
    configs = [small(simulator="qsim-cuda"), small()]
    if qhn.available_simulators()[2].available:
        pytest.skip("this machine has the simulator that the test needs to be missing")
    give_up = time.monotonic() + SECONDS

    def progress(done, total):
        assert time.monotonic() < give_up, "the run is never given up"

    jobs = run_sweep(configs, thread_workers(), RunStore(tmp_path), progress)
    table = sweep_table(jobs)
    assert table["status"].tolist() == ["failed", "done"]
    assert table["test_bce_mean"].isna().tolist() == [True, False]
    assert "CUDA" in jobs[0].message


# --- qhn sweep ---------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty store for the command line, and threads in place of processes."""
    monkeypatch.setenv("QHN_HOME", str(tmp_path))
    monkeypatch.delenv("QHN_SCHEDULER", raising=False)
    monkeypatch.setattr(
        commands.sweep, "choose_workers", lambda scheduler, count: thread_workers(count or 1)
    )
    return tmp_path


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of `qhn`."""
    code = cli.main(list(arguments))
    return code, *capsys.readouterr()


def swept(capsys, *options):
    """The runs of `qhn sweep --json`."""
    code, out, _ = run(capsys, "sweep", "--json", *SMALL, *options)
    assert code == 0
    return json.loads(out)["runs"]


def test_the_sweep_command_trains_a_grid_and_says_where_it_is(capsys, home):
    rows = swept(capsys, "--objective", "mle,elbo", "--regularization", "1,10")
    assert [row["objective"] for row in rows] == ["mle", "elbo", "elbo"]
    assert [row["status"] for row in rows] == ["done"] * 3
    with RunStore(home) as store:
        assert {row["run"] for row in rows} == {run.id for run in store.runs()}
    for row, strength in zip(rows[1:], (1, 10), strict=True):
        expected = qhn.train(small(objective="elbo", regularization=strength)).summary()
        assert row["test_bce_mean"] == pytest.approx(expected.loc["last epoch", "test_bce_mean"])


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
    if qhn.available_simulators()[2].available:
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

    monkeypatch.setattr(commands.sweep, "run_sweep", interrupted)
    assert run(capsys, "sweep", *SMALL)[0] == 130


def test_a_scheduler_that_is_none_is_bad_input(capsys, home, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("QHN_HOME", str(home))
    code, out, err = run(capsys, "sweep", *SMALL, "--scheduler", "nonsense")
    assert (code, out) == (2, "")
    assert "scheduler='nonsense'" in err


def test_a_sweep_on_processes_has_the_same_numbers(tmp_path):
    [job] = run_sweep([small()], process_workers(1), RunStore(tmp_path))
    assert_same_run(job, small())


# --- qhn runs ----------------------------------------------------------------------------------------


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
    assert f"qhn runs {action} needs" in err


def test_a_file_that_is_no_run_is_bad_input_and_a_missing_one_a_failure(capsys, home, tmp_path):
    file = tmp_path / "letter.zip"
    file.write_text("Dear all,")
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
    (home / "runs.sqlite3").write_text("this is no database, however you look at it")
    code, out, err = run(capsys, "runs")
    assert (code, out) == (1, "")
    assert "runs.sqlite3" in err
    assert "Traceback" not in err
