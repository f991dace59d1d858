"""Estimates of time and memory: their order, and the limits that look at them."""

from itertools import pairwise

import pytest

import qhn_core as qhn
from qhn_core.jobs.cost import estimated_cost
from qhn_core.jobs.limits import Limits

DIGITS = {"dataset": "digits", "n_hidden": 8, "n_layers": 2}


@pytest.mark.parametrize(
    "series",
    [
        [{}, {"n_hidden": 4}, {"n_hidden": 5}],
        [{"shots": 10}, {}, {"shots": 10_000}],
        [{}, {"n_layers": 2}, {"n_layers": 3}, {"n_layers": 6}],
        [{"n_hidden": 8}, {"dataset": "digits", "n_hidden": 2}, DIGITS, {**DIGITS, "shots": 10_000}],
        [{"n_hidden": 8, "n_train_per_class": 10}, {"n_hidden": 8}],
    ],
)
def test_what_is_larger_costs_more(series):
    costs = [estimated_cost(qhn.RunConfig(**options)) for options in series]
    assert all(small.seconds < large.seconds for small, large in pairwise(costs))
    assert all(small.bytes <= large.bytes for small, large in pairwise(costs))


def test_seeds_and_epochs_multiply_and_workers_divide():
    def seconds(workers=1, **options):
        return estimated_cost(qhn.RunConfig(**{**DIGITS, "epochs": 10, **options}), workers).seconds

    assert seconds(n_seeds=8) == pytest.approx(8 * seconds())
    assert seconds(epochs=20) == pytest.approx(2 * seconds())
    assert seconds(n_seeds=8, workers=4) == pytest.approx(2 * seconds())
    assert seconds(workers=4) == seconds()


@pytest.mark.parametrize("options", [{"n_hidden": 10**5}, {"n_hidden": 10**5, "shots": None}])
def test_any_config_has_an_estimate(options):
    cost = estimated_cost(qhn.RunConfig(**options), workers=2)
    assert 3600 < cost.seconds < float("inf")
    assert 1e9 < cost.bytes < float("inf")


@pytest.mark.parametrize(
    ("options", "limits", "words"),
    [
        ({**DIGITS, "shots": 10_000}, Limits(), ["shots=10000", "GB of memory", "allows 8 GB"]),
        ({**DIGITS, "epochs": 5000, "n_seeds": 100}, Limits(), ["epochs=5000", "hours", "allows 48"]),
        ({"epochs": 1}, Limits(max_hours=0), ["epochs=1", "allows 0 hours"]),
    ],
)
def test_a_run_that_costs_too_much_is_refused_with_its_cost(options, limits, words):
    with pytest.raises(ValueError, match=words[0]) as refused:
        limits.check(qhn.RunConfig(**options))
    assert [word for word in words if word not in str(refused.value)] == []


def test_a_server_takes_the_runs_of_the_paper_and_the_largest_presets():
    for options in (
        {"n_seeds": 100, "epochs": 2000},
        {"n_hidden": 5, "n_seeds": 10},
        {**DIGITS, "n_seeds": 2},
    ):
        Limits().check(qhn.RunConfig(**options))
