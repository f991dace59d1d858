import time

import pytest

import qhn_core as qhn
from qhn_core.jobs import sweep
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits
from qhn_core.jobs.sweep import grid, run_sweep, sweep_table
from qhn_core.jobs.workers import process_workers, thread_workers
from qhn_core.storage.runs import RunStore
from tests import SECONDS
from tests.diverging import HALF_DIVERGES, lower_the_bound
from tests.small_runs import assert_whole
from tests.unit.sweeps import has_simulator, small

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
        assert job.config == config
        assert_whole(job)


def test_a_sweep_on_processes_has_the_same_numbers(tmp_path):
    [job] = run_sweep([small()], process_workers(1), RunStore(tmp_path))
    assert job.config == small()
    assert_whole(job)


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
        assert job.config == config
        assert_whole(job)

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
    if has_simulator("qsim-cuda"):
        pytest.skip("this machine has the simulator that the test needs to be missing")
    give_up = time.monotonic() + SECONDS

    def progress(done, total):
        assert time.monotonic() < give_up, "the run is never given up"

    jobs = run_sweep(configs, thread_workers(), RunStore(tmp_path), progress)
    table = sweep_table(jobs)
    assert table["status"].tolist() == ["failed", "done"]
    assert table["test_bce_mean"].isna().tolist() == [True, False]
    assert "CUDA" in jobs[0].message
