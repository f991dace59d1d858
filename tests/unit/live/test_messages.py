import base64
import json
from functools import lru_cache, partial
from itertools import zip_longest

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.cost import shard_seeds
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.workers import run_chunk
from qhn_core.live.messages import message_text
from tests import small_runs
from tests.diverging import DIVERGES, lower_the_bound
from tests.unit import oracles

RUNS = {
    "sampled SELBO": {},
    "exact SELBO": {"shots": None},
    "ELBO": {"objective": "elbo"},
    "MLE, one seed": {"objective": "mle", "n_seeds": 1},
    "two layers": {"n_layers": 2, "shots": 5},
}
small = partial(small_runs.small, epochs=12, seed=4)
EVERY_RUN = pytest.mark.parametrize("run", RUNS)


def go_on(job, n_epochs):
    """What the JobService does with the chunk that comes back."""
    job.plan_chunk(n_epochs)
    job.waiting.clear()
    job.done = {i: run_chunk(job.config, part, n_epochs) for i, part in enumerate(job.shards)}
    job.finish_chunk(workers=1)
    job.status = Status.DONE if job.state.epoch >= job.config.epochs else Status.RUNNING
    job.version += 1


def new_job(config):
    """A run whose seeds are dealt out to two workers."""
    return Job(config, [*shard_seeds(config, 2)])


def job_at(config, epoch):
    job = new_job(config)
    go_on(job, epoch)
    return job


def read(job, seed=None, since=None):
    """(id, message) as a browser gets it; JSON has no NaN."""
    epoch, text = message_text(job, seed, since)
    return epoch, json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def unpacked(trace):
    """What the browser makes of the bytes in a trace of a delta."""
    if "bdata" not in str(trace):
        return trace
    z = trace["z"]
    assert z["dtype"] == "u1"
    flat = np.frombuffer(base64.b64decode(z["bdata"]), np.uint8) * z["scale"]
    return {**trace, "z": flat.reshape([int(n) for n in z["shape"].split(",")]).round(2).tolist()}


def traces(message, chart):
    return message["figures"][chart]["data"]


def number(message, label):
    [item] = [n for n in message["status"]["numbers"] if n["label"] == label]
    return item


@lru_cache
def scores_of_all_networks(dataset):
    """By plain Python: the scores of every network 2-1-1, on the training and the test set."""
    data = qhn.load_dataset(dataset)
    table = {}
    for name, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        logits = np.array(
            [[oracles.logit(oracles.bits(i, 6), p, 1) for p in x.tolist()] for i in range(64)]
        )
        table[f"{name} log-likelihood"] = -np.log1p(np.exp(np.where(y == 1, -logits, logits))).sum(axis=1)
        table[f"{name} BCE"] = -table[f"{name} log-likelihood"] / len(y)
        table[f"{name} accuracy"] = ((logits > 0) == y).mean(axis=1)
    return table


# --- snapshot and deltas -----------------------------------------------------------------------------


@EVERY_RUN
def test_a_snapshot_and_the_deltas_after_it_make_the_snapshot_at_the_end(run):
    job = new_job(small(**RUNS[run]))
    since, first = read(job)
    assert since == 0
    curves = {chart: traces(first, chart) for chart in ("objective", "gradient")}
    assert all(trace["x"] == [] for chart in curves.values() for trace in chart)
    for n_epochs in (1, 2, 5, 4):
        go_on(job, n_epochs)
        since, change = read(job, since=since)
        assert since == job.epoch
        for chart, columns in change["extend"].items():
            for axis, per_trace in columns.items():
                for trace, values in zip(curves[chart], per_trace, strict=True):
                    trace[axis] = trace[axis] + values
    epoch, last = read(job)
    assert epoch == since == 12
    for chart, expected in (
        ("objective", traces(last, "objective")),
        ("gradient", traces(last, "gradient")),
    ):
        assert curves[chart] == expected
        assert {tuple(trace["x"]) for trace in expected} == {tuple(range(1, 13))}
        assert {len(trace["y"]) for trace in expected} == {12}
    assert change["status"] == last["status"]
    assert change["shades"] == last["shades"]


@EVERY_RUN
def test_the_pictures_of_a_delta_are_those_of_the_snapshot(run):
    job = job_at(small(**RUNS[run]), 3)
    before = read(job)[1]
    go_on(job, 4)
    change, now = read(job, since=3)[1]["restyle"], read(job)[1]
    assert set(change) == {"boundary", "histogram"}
    for chart, updates in change.items():
        for old, update, new in zip_longest(traces(before, chart), updates, traces(now, chart)):
            assert {**old, **unpacked(update or {})} == new
    moved = [t["z"] for t in traces(before, "boundary")[:2]] != [
        t["z"] for t in traces(now, "boundary")[:2]
    ]
    assert moved


def test_a_viewer_who_is_up_to_date_is_sent_the_status_alone():
    job = job_at(small(), 3)
    job.status, job.version = Status.PAUSED, job.version + 1
    epoch, message = read(job, since=3)
    assert epoch == 3
    assert set(message) == {"status"}
    assert message["status"]["state"] == "paused"


def test_the_initial_state_of_a_paused_run_reaches_a_viewer_who_came_before_it():
    job = new_job(small())
    since, before = read(job)
    go_on(job, 0)
    _, change = read(job, since=since)
    _, now = read(job)
    assert traces(before, "histogram") != traces(now, "histogram")
    assert "restyle" in change, "the viewer keeps the pictures of the prior"
    for key, values in change["restyle"]["histogram"][0].items():
        assert traces(now, "histogram")[0][key] == values


def test_a_number_that_is_not_finite_becomes_null():
    job = job_at(small(), 3)
    job.chunks[0] = {**job.chunks[0], "objective": np.full(9, np.nan), "kl": np.full(9, np.inf)}
    values = [t["y"] for t in traces(read(job)[1], "objective") if t.get("name") == "SELBO"]
    assert values == [[None, None, None]]


# --- what the header says ----------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["gaussian", "rings"])
@EVERY_RUN
def test_the_reference_numbers_are_those_of_a_search_through_all_networks(run, dataset):
    config = small(**RUNS[run], dataset=dataset)
    _, message = read(job_at(config, 2))
    table = scores_of_all_networks(dataset)
    best = int(np.argmin(table["train BCE"]))
    assert (best == np.argmin(table["test BCE"])) == (dataset == "gaussian"), "rings tell the two apart"
    assert number(message, "test BCE")["reference"] == f"exhaustive search {table['test BCE'][best]:.3f}"
    accuracy = table["test accuracy"][best]
    assert number(message, "test accuracy")["reference"] == f"exhaustive search {accuracy:.3f}"
    level, label = table["train log-likelihood"].max(), "exhaustive search"
    if run == "ELBO":  # at λ = 1 its bound is the log evidence
        level, label = np.log(np.mean(np.exp(table["train log-likelihood"]))), "log evidence"
    elif config.objective == "selbo":
        label = "best network, no MMD²"
    assert number(message, f"best {config.objective.upper()}")["reference"] == f"{label} {level:.1f}"


@pytest.mark.parametrize("change", [{"regularization": 2.0}, {"likelihood": "mean"}])
def test_the_log_evidence_bounds_no_other_elbo(change):
    config = small(objective="elbo", **change)
    scores = scores_of_all_networks("gaussian")["train log-likelihood"]
    temperature = config.regularization * (300 if config.likelihood == "mean" else 1)
    level = config.regularization * np.log(np.mean(np.exp(scores / temperature)))
    reference = number(read(job_at(config, 1))[1], "best ELBO")["reference"]
    assert reference == f"tempered log evidence {level:.1f}"


@EVERY_RUN
def test_the_numbers_are_the_mean_over_seeds_of_the_last_epoch(run):
    config = small(**RUNS[run])
    _, message = read(job_at(config, 12))
    result = qhn.train(config)
    last = result.history[result.history.epoch == 12]
    for label, column in (("test BCE", "test_bce"), ("test accuracy", "test_accuracy")):
        mean, spread = last[column].mean(), last[column].std(ddof=0)
        expected = f"{mean:.3f}" + (f" ± {spread:.3f}" if config.n_seeds > 1 else "")
        assert number(message, label)["value"] == expected
    best = max(result.history.objective.max(), result.state.best_objective.max())
    assert number(message, f"best {config.objective.upper()}")["value"] == f"{best:.1f}"


def test_before_the_first_epoch_there_are_no_numbers_yet():
    _, message = read(new_job(small()))
    assert [n["value"] for n in message["status"]["numbers"]] == ["–"] * 3
    assert message["status"]["epoch"] == 0
    assert message["shades"] is None
    assert message["status"]["state"] == "queued"


def test_the_status_tells_the_run_and_its_trouble():
    job = job_at(small(), 2)
    job.message = "A worker died; going on from epoch 2."
    status = read(job)[1]["status"]
    assert (status["epoch"], status["epochs"], status["state"]) == (2, 12, "running")
    assert status["config"] == job.config.in_words()
    assert status["message"] == job.message


def test_guidance_changes_when_the_run_has_settled():
    job = job_at(small(), 5)
    early = read(job)[1]["status"]["guidance"]
    go_on(job, 7)
    settled = read(job)[1]["status"]["guidance"]
    assert set(early) == set(settled) == {"objective", "gradient", "boundary", "histogram"}
    assert all(early[view] != settled[view] for view in early)


# --- pictures ----------------------------------------------------------------------------------------


def counts(samples, n):
    """{bitstring: share} by counting."""
    names = [format(int(s), f"0{n}b") for s in samples]
    return {name: names.count(name) / len(names) for name in names}


def bars(message):
    sampled = traces(message, "histogram")[0]
    return dict(zip(sampled["x"], sampled["y"], strict=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_histogram_is_that_of_the_seed_on_show(seed):
    job = job_at(small(), 5)
    _, message = read(job, seed=seed)
    share = counts(job.state.samples[seed], 6)
    assert bars(message) == {name: share[name] for name in bars(message)}
    assert f"Seed {seed}:" in message["status"]["guidance"]["histogram"]
    exact = oracles.probabilities(job.state.angles[seed])
    marks = traces(message, "histogram")[1]
    expected = [exact[int(name, 2)] for name in marks["x"]]
    np.testing.assert_allclose(marks["y"], expected, atol=2e-6)


def test_without_a_choice_the_best_seed_is_on_show():
    job = job_at(small(seed=2), 5)
    best = int(np.argmax(job.state.best_objective))
    assert best != 0, "this test needs a run in which another seed than the first is best"
    assert traces(read(job)[1], "histogram") == traces(read(job, seed=best)[1], "histogram")
    assert traces(read(job)[1], "boundary") == traces(read(job, seed=best)[1], "boundary")
    assert traces(read(job)[1], "histogram") != traces(read(job, seed=0)[1], "histogram")
    assert f"Seed {best}:" in read(job)[1]["status"]["guidance"]["boundary"]


@pytest.mark.parametrize(("asked", "shown"), [(99, 2), (-1, 0)])
def test_a_seed_that_does_not_exist_is_the_nearest_that_does(asked, shown):
    job = job_at(small(), 5)
    assert read(job, seed=asked)[1]["figures"] == read(job, seed=shown)[1]["figures"]


def test_the_boundary_is_the_average_of_the_sampled_networks():
    job = job_at(small(shots=7), 5)
    mean, deviation, single = traces(read(job, seed=1)[1], "boundary")[:3]
    top = int(np.argmax(oracles.probabilities(job.state.angles[1])))
    for i, j in ((0, 0), (14, 20), (28, 48)):
        point = [mean["x"][j], mean["y"][i]]
        logits = [oracles.logit(oracles.bits(int(s), 6), point, 1) for s in job.state.samples[1]]
        ones = 1 / (1 + np.exp(-np.array(logits)))
        one = 1 / (1 + np.exp(-oracles.logit(oracles.bits(top, 6), point, 1)))
        drawn = [surface["z"][i][j] for surface in (mean, deviation, single)]
        np.testing.assert_allclose(drawn, [ones.mean(), ones.std(), one], atol=0.0051)


def test_an_exact_run_shows_the_exact_distribution():
    job = job_at(small(shots=None), 5)
    _, message = read(job, seed=1)
    sampled, marks = traces(message, "histogram")
    exact = oracles.probabilities(job.state.angles[1])
    likely = sorted(exact, reverse=True)[: len(sampled["y"])]
    np.testing.assert_allclose(sampled["y"], likely, atol=6e-5)
    np.testing.assert_allclose([exact[int(name, 2)] for name in sampled["x"]], likely, atol=1e-6)
    assert marks["visible"] is False
    mean = traces(message, "boundary")[0]
    i, j = 14, 20
    point = [mean["x"][j], mean["y"][i]]
    ones = [1 / (1 + np.exp(-oracles.logit(oracles.bits(k, 6), point, 1))) for k in range(64)]
    spread = np.sqrt(exact @ (np.array(ones) - exact @ ones) ** 2 / 200)
    assert abs(mean["z"][i][j] - exact @ ones) < 5 * spread + 0.005


def test_gates_are_shaded_by_the_mean_gradient_over_seeds():
    job = job_at(small(n_layers=2), 3)
    shades = np.array(read(job)[1]["shades"])
    assert shades.shape == (2, 2, 6)
    np.testing.assert_allclose(shades, np.mean(np.abs(job.state.gradient), axis=0), atol=1e-5)


def test_the_snapshot_draws_the_circuit_of_the_run():
    _, message = read(new_job(small(n_layers=2)))
    assert message["circuit"].count("data-gate") == 2 * 2 * 6


def test_a_run_whose_seeds_all_diverged_can_be_shown(monkeypatch):
    lower_the_bound(monkeypatch)
    job = job_at(small(**DIVERGES), 12)
    assert job.state.diverged_at.all()
    epoch, message = read(job)
    assert epoch == job.state.diverged_at[0] - 1 > 0
    assert traces(message, "objective")[-1]["x"] == list(range(1, epoch + 1))


def test_a_run_that_diverged_in_its_first_epoch_can_be_shown():
    job = job_at(small(learning_rate=1e308, n_seeds=2), 12)
    assert job.state.diverged_at.tolist() == [1, 1]
    epoch, message = read(job)
    assert epoch == 0
    assert message["shades"] is None
    assert number(message, "test BCE")["value"] == "–"


def test_the_state_is_running_from_the_first_task_on():
    job = job_at(small(), 0)
    job.status, job.in_flight = Status.QUEUED, 0
    states = []
    for job.in_flight in (0, 1):
        job.version += 1
        states.append(read(job)[1]["status"]["state"])
    assert states == ["queued", "running"]


def test_an_exact_run_speaks_of_no_shots():
    words = read(job_at(small(shots=None), 2))[1]["status"]["guidance"]
    assert "scatter" not in words["objective"]
    assert "shot" not in words["histogram"]
