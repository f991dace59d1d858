import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from sklearn.metrics import accuracy_score, log_loss

from qhn_core import RunConfig
from qhn_core.model import scores as scores_module
from qhn_core.model.capacity import check_memory
from qhn_core.model.scores import DataSpec, SampledScores, score_table
from tests.unit import oracles

TINY = RunConfig(n_hidden=1)
SMALL = RunConfig(n_train_per_class=4, n_test_per_class=3)  # 14 bits, few points: plain loops are quick


def test_tables_hold_every_network_in_the_order_of_the_indices():
    table = score_table(TINY)
    data = table.dataset
    train = oracles.all_log_likelihoods(data.x_train, data.y_train, 1)
    test = oracles.all_log_likelihoods(data.x_test, data.y_test, 1)
    np.testing.assert_allclose(table.train_log_likelihood, train, rtol=1e-12)
    np.testing.assert_allclose(table.test_log_likelihood, test, rtol=1e-12)


def test_tables_of_14_bits_have_no_seams_between_chunks():
    table = score_table(SMALL)
    data = table.dataset
    some = [0, 1, 1023, 1024, 5000, 8191, 8192, 16383]
    expected = [oracles.log_likelihood(oracles.bits(i, 14), data.x_train, data.y_train, 3) for i in some]
    np.testing.assert_allclose(table.train_log_likelihood[some], expected, rtol=1e-12)
    assert len(table.train_log_likelihood) == 2**14


@pytest.mark.parametrize("index", [0, 27, 63])
def test_bce_and_accuracy_are_sklearns(index):
    table = score_table(TINY)
    for part in ("train", "test"):
        x, y = getattr(table.dataset, f"x_{part}"), getattr(table.dataset, f"y_{part}")
        logits = np.array([oracles.logit(oracles.bits(index, 6), point, 1) for point in x])
        assert getattr(table, f"{part}_bce")[index] == pytest.approx(log_loss(y, 1 / (1 + np.exp(-logits))))
        assert getattr(table, f"{part}_accuracy")[index] == accuracy_score(y, logits > 0)


def test_objectives_share_one_table():
    others = [RunConfig(n_hidden=1, objective=o, n_layers=2, shots=None, seed=5) for o in ("mle", "elbo")]
    assert all(score_table(other) is score_table(TINY) for other in others)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "moons"},
        {"dataset_seed": 1},
        {"dataset_noise": 0.5},
        {"dataset_scale": 2.0},
        {"n_train_per_class": 149},
        {"n_test_per_class": 99},
        {"n_hidden": 2},
    ],
)
def test_other_data_or_another_network_has_another_table(change):
    other = score_table(RunConfig(**{"n_hidden": 1, **change}))
    mine = score_table(TINY)
    assert other.test_bce.shape != mine.test_bce.shape or not np.array_equal(
        np.append(other.train_bce, other.test_bce), np.append(mine.train_bce, mine.test_bce)
    )


def test_shared_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        score_table(TINY).train_log_likelihood[0] = 0


def test_too_many_qubits_say_how_much_memory_is_needed():
    with pytest.raises(ValueError, match=r"n_hidden=20 makes 82 qubits") as error:
        score_table(RunConfig(n_hidden=20))
    needed = float(re.search(r"need ([\d,]+) GB", str(error.value))[1].replace(",", ""))
    assert (
        2**82 * 40 / 1e9 < needed < 2**82 * 400 / 1e9
    )  # four tables and a state of 8 byte numbers, at least
    assert re.search(r"n_hidden may be 1 to \d", str(error.value))


def test_the_largest_network_that_fits_is_named_and_fits(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2**22))
    with pytest.raises(ValueError, match="n_hidden=9 makes 38 qubits") as error:
        check_memory(RunConfig(n_hidden=9))
    largest = int(re.search(r"n_hidden may be 1 to (\d+)", str(error.value))[1])
    check_memory(RunConfig(n_hidden=largest))
    with pytest.raises(ValueError, match="n_hidden may be"):
        check_memory(RunConfig(n_hidden=largest + 1))


def test_absurdly_many_qubits_are_refused_like_too_many():
    with pytest.raises(ValueError, match="n_hidden=300 makes 1202 qubits"):
        check_memory(RunConfig(n_hidden=300))


# --- networks that are scored when they are sampled --------------------------------------------------


def sampled(n_circuits, shots=50, config=SMALL):
    """(scores of a network without a table, samples (n_circuits, 1, shots) of it)."""
    rng = np.random.default_rng(n_circuits)
    samples = rng.integers(0, 2**config.n_qubits, (n_circuits, 1, shots))
    return SampledScores(*DataSpec.of(config).load()), samples


@pytest.mark.parametrize("most", [1, 149, 150, 151, 10**6])
def test_the_block_in_which_networks_are_scored_changes_no_number(monkeypatch, most):
    scores, samples = sampled(7)
    whole = scores.mean_log_likelihood(samples)
    np.testing.assert_allclose(whole, score_table(SMALL).mean_log_likelihood(samples), rtol=1e-12)
    monkeypatch.setattr(scores_module, "MOST_AT_ONCE", most)
    monkeypatch.setattr(scores_module, "MOST_KNOWN", 0)
    np.testing.assert_array_equal(sampled(7)[0].mean_log_likelihood(samples), whole)
    assert sampled(7)[0].mean_log_likelihood(samples[:0]).shape == (0,)


def test_the_memory_does_not_grow_with_the_circuits(monkeypatch):
    """Of 34 bits nearly every sample is another network; only what is remembered grows, to MOST_KNOWN."""
    monkeypatch.setattr(scores_module, "MOST_KNOWN", 0)
    monkeypatch.setattr(scores_module, "MOST_AT_ONCE", 2**11)
    peaks = []
    for n_circuits in (100, 400):
        scores, samples = sampled(n_circuits, 100, SMALL.model_copy(update={"n_hidden": 8}))
        scores.mean_log_likelihood(samples[:1])
        tracemalloc.start()
        scores.mean_log_likelihood(samples)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
