"""What a live view is sent of networks of too many bits for tables, held to plain Python."""

import base64
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import qhn_core as qhn
from qhn_core.bits import words_to_bits
from qhn_core.figures import sampled_networks
from qhn_core.jobs.cost import shard_seeds
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.workers import run_chunk
from qhn_core.live.messages import message_text
from tests.unit import oracles

RUNS = {
    "digits": {"dataset": "digits", "n_hidden": 2},
    "2-8-1": {"n_hidden": 8},
    "2-16-1, two words": {"n_hidden": 16, "objective": "elbo"},
}
EVERY_RUN = pytest.mark.parametrize("run", RUNS)


def config_of(run, **options):
    small = {"n_seeds": 2, "epochs": 4, "seed": 1, "shots": 9, "n_train_per_class": 10}
    return qhn.RunConfig(**{**small, "learning_rate": 0.3, **RUNS[run], **options})


def go_on(job, n_epochs):
    job.plan_chunk(n_epochs)
    job.waiting.clear()
    job.done = {i: run_chunk(job.config, part, n_epochs) for i, part in enumerate(job.shards)}
    job.finish_chunk(workers=1)
    job.status = Status.RUNNING
    job.version += 1


def new_job(config):
    return Job(config, [*shard_seeds(config, 2)])


def job_at(config, epoch):
    job = new_job(config)
    go_on(job, epoch)
    return job


def read(job, seed=None, since=None):
    text = message_text(job, seed, since)[1]
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def traces(message, chart):
    return message["figures"][chart]["data"]


def networks(job, seed):
    """The sampled bitstrings (shots, n) of a seed."""
    samples = job.state.samples[seed]
    return words_to_bits(samples if samples.ndim == 2 else samples[None], job.config.n_qubits)


def ones(bits, point, n_hidden):
    return 1 / (1 + np.exp(-oracles.logit(bits, list(point), n_hidden)))


def most_probable(angles):
    """Bit by bit: the likelier value of each qubit, then CX on (2, 3), (4, 5), ..."""
    bits = [int(np.sin(a / 2) ** 2 > 0.5) for a in angles]
    for control in range(1, len(bits) - 1, 2):
        bits[control + 1] ^= bits[control]
    return bits


@EVERY_RUN
def test_a_delta_makes_the_snapshot_before_it_the_one_after(run):
    job = new_job(config_of(run))
    first = read(job)
    go_on(job, 2)
    change, now = read(job, since=0), read(job)
    for chart, columns in change["extend"].items():
        for axis, per_trace in columns.items():
            assert [t[axis] for t in traces(now, chart)] == per_trace
            assert [t[axis] for t in traces(first, chart)] == [[]] * len(per_trace)
    for chart, updates in change["restyle"].items():
        for update, old, new in zip(updates, traces(first, chart), traces(now, chart), strict=False):
            if "bdata" in str(update):
                flat = np.frombuffer(base64.b64decode(update["z"]["bdata"]), np.uint8) / 100
                update = {"z": flat.reshape(np.shape(new["z"])).round(2).tolist()}
            assert {**old, **update} == new
    assert change["status"] == now["status"]
    assert change["restyle"]["boundary"][0] != traces(first, "boundary")[0]["z"]


@EVERY_RUN
def test_the_yardstick_is_logistic_regression(run):
    job = job_at(config_of(run), 2)
    status = read(job)["status"]
    data = qhn.load_dataset(job.config.dataset, n_train_per_class=10)
    linear = LogisticRegression(max_iter=10_000).fit(data.x_train, data.y_train)
    bce = log_loss(data.y_test, linear.predict_proba(data.x_test)[:, 1])
    assert [n["reference"] for n in status["numbers"]] == [
        f"logistic regression {bce:.3f}",
        f"logistic regression {linear.score(data.x_test, data.y_test):.3f}",
        "",
    ]


@EVERY_RUN
def test_nothing_is_drawn_that_would_need_all_networks(run):
    figure = read(job_at(config_of(run), 2))["figures"]["objective"]
    assert not [t for t in figure["data"] if "exact" in t.get("name", "")]
    assert "shapes" not in figure["layout"]


@EVERY_RUN
@pytest.mark.parametrize("seed", [0, 1])
def test_the_histogram_counts_the_networks_of_the_seed_on_show(run, seed):
    job = job_at(config_of(run, learning_rate=3.0, shots=40), 3)
    bars, marks = traces(read(job, seed=seed), "histogram")
    strings = ["".join(map(str, row)) for row in networks(job, seed)]
    share = Counter(strings)
    named = {f"#{hashlib.sha256(s.encode()).hexdigest()[:7]}": s for s in strings}
    assert len(bars["x"]) == len(set(bars["x"])) == min(16, len(share))
    assert bars["y"] == sorted((round(share[named[name]] / 40, 4) for name in bars["x"]), reverse=True)
    ry = job.state.angles[seed, 0, 0]
    for name, q in zip(marks["x"], marks["y"], strict=True):
        bits = [int(b) for b in named[name]]
        for control in range(1, len(bits) - 1, 2):
            bits[control + 1] ^= bits[control]
        chances = [np.sin(a / 2) ** 2 if b else np.cos(a / 2) ** 2 for a, b in zip(ry, bits, strict=True)]
        assert q == pytest.approx(np.prod(chances), abs=1e-6)


@EVERY_RUN
def test_a_hover_tells_the_scores_of_its_network(run):
    job = job_at(config_of(run), 1)
    bar = traces(read(job, seed=0), "histogram")[0]
    data = qhn.load_dataset(job.config.dataset, n_train_per_class=10)
    for name, hover in zip(bar["x"][:3], bar["customdata"], strict=False):
        lines = hover.split("<br>")
        assert name in lines[0]
        text = "".join(line for line in lines[1:] if set(line) <= {"0", "1"})
        bits = np.array([int(b) for b in text], dtype=np.uint8)
        test = oracles.log_likelihood(bits, data.x_test, data.y_test, job.config.n_hidden)
        train = oracles.log_likelihood(bits, data.x_train, data.y_train, job.config.n_hidden)
        assert f"BCE: train {-train / 20:.3f}, test {-test / 200:.3f}" in hover


def test_the_boundary_in_the_plane_is_the_average_of_the_sampled_networks():
    job = job_at(config_of("2-16-1, two words"), 2)
    mean, deviation, single = traces(read(job, seed=1), "boundary")[:3]
    top = most_probable(job.state.angles[1, 0, 0])
    for i, j in ((0, 0), (14, 20), (28, 48)):
        point = [mean["x"][j], mean["y"][i]]
        found = np.array([ones(bits, point, 16) for bits in networks(job, 1)])
        drawn = [surface["z"][i][j] for surface in (mean, deviation, single)]
        np.testing.assert_allclose(drawn, [found.mean(), found.std(), ones(top, point, 16)], atol=0.0051)


def test_digits_are_drawn_on_the_colour_of_their_prediction():
    job = job_at(config_of("digits"), 2)
    message = read(job, seed=1)
    mean, deviation, single, ink = traces(message, "boundary")
    data = qhn.load_dataset("digits", n_train_per_class=10)
    top = most_probable(job.state.angles[1, 0, 0])
    rows, columns = sampled_networks.ROWS, sampled_networks.COLUMNS
    assert np.shape(mean["z"]) == (2 * rows, columns)
    for row, column in ((0, 0), (1, 3), (rows, 0), (2 * rows - 1, columns - 1)):
        label, place = divmod(row * columns + column, rows * columns)
        image = data.x_test[data.y_test == label][place]
        found = np.array([ones(bits, image, 2) for bits in networks(job, 1)])
        drawn = [surface["z"][row][column] for surface in (mean, deviation, single)]
        np.testing.assert_allclose(drawn, [found.mean(), found.std(), ones(top, image, 2)], atol=0.0051)
        tile = np.array(ink["z"])[10 * row : 10 * row + 10, 10 * column : 10 * column + 10]
        framed = np.pad(2 * image.reshape(8, 8) + 0.5, 1)  # -1/4 to 1/4
        np.testing.assert_allclose(tile, framed, atol=0.0051)
        assert ["even", "odd"][label] in mean["customdata"][row][column]
    assert message["figures"]["boundary"]["layout"]["meta"]["title"] == "Test images"
    # Pixels lie where their tile is.
    assert ink["x"][:10] == [(k + 0.5) / 10 - 0.5 for k in range(10)]
    assert (len(ink["x"]), len(ink["y"])) == (10 * columns, 20 * rows)


@pytest.mark.parametrize(("each", "shape"), [(1, (2, 1)), (20, (2, 14)), (28, (4, 14)), (100, (6, 14))])
def test_the_tiles_are_full_rows_whatever_the_test_set(each, shape):
    job = new_job(config_of("digits", n_test_per_class=each))
    assert np.shape(traces(read(job), "boundary")[0]["z"]) == shape


@EVERY_RUN
def test_before_the_start_the_prior_is_on_show(run):
    job = new_job(config_of(run, shots=400))
    message = read(job)
    bar, marks = traces(message, "histogram")
    assert len(set(bar["x"])) == 16
    assert set(marks["y"]) == {0.0}  # 2**-34 and less
    assert read(job) == message
    assert [n["value"] for n in message["status"]["numbers"]] == ["–"] * 3


@EVERY_RUN
def test_the_circuit_is_drawn_as_far_as_it_can_be_read(run):
    config = config_of(run)
    circuit = read(new_job(config))["circuit"]
    assert circuit.count("data-gate") == 2 * 12
    assert f"{config.n_qubits - 12} more qubits" in circuit
    assert len(circuit) < 15_000
