"""A small study from end to end, its files, and what goes wrong with them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.jobs import scheduler, sweep
from qhn_core.jobs.workers import thread_workers
from qhn_core.model.scores import score_table
from qhn_core.paper import (
    METHODS,
    Conventions,
    Study,
    all_conventions,
    load_results,
    run_study,
    save_results,
    table,
)
from qhn_core.paper.conventions import NETWORKS
from qhn_core.paper.results import SHIPPED
from qhn_core.paper.run import FailedRunsError
from qhn_core.storage.runs import RunStore

BASE = qhn.RunConfig(n_hidden=1, n_seeds=4, epochs=6, shots=20, seed=2)
STUDY = Study(BASE, ("moons", "gaussian"), gradients=("chain-rule",), parts=("layers",), beyond_seeds=2)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with RunStore(tmp_path_factory.mktemp("store")) as store:
        return run_study(STUDY, thread_workers(2), store, "qhn reproduce --small")


@pytest.fixture
def folder(results, tmp_path):
    save_results(tmp_path / "paper", results)
    return tmp_path / "paper"


# --- numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["moons", "gaussian"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", ["MLE", "ELBO", "SELBO λ=100"])
def test_a_cell_of_the_table_is_the_summary_of_its_run(results, dataset, network, method):
    conventions = Conventions("chain-rule", "mean", "sum", network)
    fields = {"MLE": {"objective": "mle"}, "ELBO": {"objective": "elbo"}}
    chosen = fields.get(method, {"objective": "selbo", "regularization": 100})
    likelihood = "sum" if method == "MLE" else "mean"
    changes = {"dataset": dataset, "likelihood": likelihood, **chosen}
    summary = qhn.train(BASE.model_copy(update=changes)).summary().loc[network]
    for score in ("test_bce", "test_accuracy"):
        row = table(results, conventions, score).loc[dataset, method]
        assert row.n == 4
        assert row.ours_mean == pytest.approx(summary[f"{score}_mean"])
        assert row.ours_std == pytest.approx(summary[f"{score}_std"] * math.sqrt(4 / 3))


def test_exhaustive_search_is_the_best_on_the_training_set(results):
    for dataset in ("moons", "gaussian"):
        problem = score_table(BASE.model_copy(update={"dataset": dataset}))
        best = problem.train_bce == problem.train_bce.min()
        found = results.provenance.exhaustive[dataset]
        assert found["train_bce"] == problem.train_bce.min()
        assert found["test_bce"] in problem.test_bce[best]


def test_curves_are_means_over_the_seeds(results):
    run = results.find("gaussian", "SELBO λ=1", Conventions("chain-rule"))
    history = qhn.train(results.configs[run]).history
    for epoch, row in results.curve(run).set_index("epoch").iterrows():
        some = history[history.epoch == epoch]
        for column in ("objective", "gradient_magnitude", "mmd_squared"):
            assert row[f"{column}_mean"] == pytest.approx(some[column].mean())
            assert row[f"{column}_std"] == pytest.approx(some[column].std(ddof=0))
    assert len(results.curve(run)) == 6


def test_the_slice_goes_through_the_best_seed(results):
    about = results.provenance.slice
    assert about.config.objective == "selbo"
    trained = qhn.train(about.config)
    assert about.seed == trained.state.best_objective.argmax()
    middle = results.landscape[(results.landscape.x == 0) & (results.landscape.y == 0)]
    exact = about.config.model_copy(update={"shots": None})
    value = qhn.objective_value(exact, trained.best_angles[[about.seed]])
    assert middle.selbo.item() == pytest.approx(value.item())
    assert set(about.roughness) == {"mle", "elbo", "selbo"}


def test_it_says_how_it_was_made(results):
    about = results.provenance
    assert about.command == "qhn reproduce --small"
    assert about.versions["qhn_core"] == qhn.__version__
    assert about.epochs_computed == about.epochs_total == 6 * len(results.configs)
    assert about.cost.wall_seconds > 0


# --- going on ----------------------------------------------------------------------------------------


def test_a_second_call_computes_nothing_and_finds_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "UNPACED_CHUNK_SECONDS", 0)
    monkeypatch.setattr(scheduler, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.001)

    class Stop(Exception):
        pass

    def stop_halfway(done, total):
        if done > total / 2:
            raise Stop

    study = Study(BASE, ("gaussian",), ("chain-rule",), ("sum",))
    with RunStore(tmp_path / "whole") as store:
        whole = run_study(study, thread_workers(), store, "whole")
    with RunStore(tmp_path / "parts") as store:
        with pytest.raises(Stop):
            run_study(study, thread_workers(), store, "first", stop_halfway)
        second = run_study(study, thread_workers(), store, "second")
        third = run_study(study, thread_workers(), store, "third")
    assert 0 < second.provenance.epochs_computed < second.provenance.epochs_total
    assert third.provenance.epochs_computed == 0
    for again in (second, third):
        pd.testing.assert_frame_equal(again.scores, whole.scores, check_exact=True)
        pd.testing.assert_frame_equal(again.curves, whole.curves, check_exact=True)


def test_a_failed_run_is_reported_and_nothing_is_made_up(tmp_path, monkeypatch):
    def broken(config, start, n_epochs):
        raise RuntimeError("no power")

    monkeypatch.setattr("qhn_core.jobs.scheduler.run_chunk", broken)
    with RunStore(tmp_path) as store, pytest.raises(FailedRunsError, match=r"runs failed.*no power.*go on"):
        run_study(STUDY, thread_workers(), store, "")


# --- files -------------------------------------------------------------------------------------------


def test_files_keep_everything_to_single_precision(results, folder):
    found = load_results(folder)
    assert found.provenance == results.provenance
    for name in ("scores", "curves", "landscape"):
        wanted = getattr(results, name)
        pd.testing.assert_frame_equal(
            getattr(found, name), wanted, check_dtype=False, check_exact=False, rtol=1e-6
        )
    assert {p.name for p in folder.iterdir()} == {
        "about.json",
        "curves.parquet",
        "landscape.parquet",
        "scores.parquet",
    }


def change_json(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}))


def change_table(path, change):
    change(pd.read_parquet(path)).to_parquet(path)


BROKEN = {
    "no about": (lambda f: (f / "about.json").unlink(), "about.json: can't be read"),
    "cut about": (
        lambda f: (f / "about.json").write_text('{"format": 1', encoding="utf-8"),
        "about.json.*JSON",
    ),
    "newer": (lambda f: change_json(f / "about.json", format=2), "about.json: format=2"),
    "stranger": (lambda f: change_json(f / "about.json", author="me"), "about.json: author"),
    "bad config": (lambda f: change_json(f / "about.json", paper=[{"epochs": 0}]), "about.json: paper"),
    "no runs": (lambda f: change_json(f / "about.json", paper=[], beyond=[]), "scores.parquet: holds runs"),
    "no table": (lambda f: (f / "curves.parquet").unlink(), "curves.parquet: can't be read"),
    "cut table": (lambda f: (f / "scores.parquet").write_bytes(b"PAR1"), "scores.parquet: can't be read"),
    "column": (
        lambda f: change_table(f / "landscape.parquet", lambda t: t.drop(columns="mle")),
        "landscape.parquet: the columns mle are missing",
    ),
    "not finite": (
        lambda f: change_table(f / "scores.parquet", lambda t: t.assign(test_bce=np.inf)),
        "scores.parquet: the columns test_bce hold numbers that are not finite",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_named_with_what_to_do(folder, broken):
    damage, text = BROKEN[broken]
    damage(folder)
    with pytest.raises(ValueError, match=rf"(?s){text}.*qhn reproduce --ship"):
        load_results(folder)


# --- what ships --------------------------------------------------------------------------------------


def test_the_results_that_ship_are_whole_small_and_say_how_they_were_made():
    found = load_results()
    assert found.provenance.command.startswith("qhn reproduce --seeds 100 ")
    assert {c.n_seeds for c in found.provenance.paper} == {100}
    assert {c.epochs for c in found.provenance.paper} == {200}
    for conventions in all_conventions():
        rows = table(found, conventions)
        assert list(rows.index.get_level_values("dataset").unique()) == ["gaussian", "moons", "rings"]
        assert len(rows) == 3 * (1 + len(METHODS))
        assert (rows.n.drop("MLE E.S.", level="method") == 100).all()
    files = list(SHIPPED.iterdir())
    assert sum(path.stat().st_size for path in files) < 5e6
