"""Variations beyond the paper: paired comparisons, sentences and figures of made-up results."""

import html

import numpy as np
import pytest
from scipy import stats

from qhn_core.paper import (
    PaperResults,
    beyond,
    beyond_contrasts,
    beyond_figure,
    beyond_sentence,
    load_results,
    parts_run,
)
from qhn_core.paper.report import report_html
from tests.unit.paper.test_tables import SEEDS, made_up

NETWORK = "last epoch"


def by_shots(config):
    """Worse by 0.3 with 10 shots, better by 0.2 with 30 for SELBO on moons; else all alike."""
    better = config.shots == 30 and config.objective == "selbo" and config.dataset == "moons"
    return 0.5 + 0.3 * (config.shots == 10) - 0.2 * better


@pytest.fixture(scope="module")
def results():
    return made_up(by_shots)


def test_beyond_takes_its_runs_and_those_of_the_paper():
    results = made_up(lambda config: config.n_layers + (config.shots or 0) / 1e6)
    layers = beyond(results, "layers", NETWORK)
    some = layers[
        (layers.dataset == "rings") & (layers.gradient == "chain-rule") & (layers.objective == "elbo")
    ]
    assert some.n_layers.tolist() == [1, 2, 3, 4]
    assert some["mean"].tolist() == pytest.approx([1.0001, 2.0001, 3.0001, 4.0001])
    shots = beyond(results, "shots", NETWORK)
    some = shots[(shots.dataset == "rings") & (shots.objective == "mle")]
    assert some.shots.tolist()[:-1] == [10, 30, 100, 300, 1000, 3000, 10_000]
    assert np.isnan(some.shots.iloc[-1])
    for ask in (beyond, beyond_contrasts):
        with pytest.raises(ValueError, match="part='width'"):
            ask(results, "width", NETWORK)


@pytest.mark.parametrize(
    ("part", "fields", "reference"),
    [
        ("shots", {"shots": 10}, {"shots": None}),
        ("layers", {"n_layers": 3}, {"n_layers": 1}),
        ("annealing", {"regularization": 10.0, "annealing": "cyclical"}, {"annealing": "constant"}),
    ],
)
def test_a_run_is_compared_with_its_like_seed_by_seed(results, part, fields, reference):
    found = beyond_contrasts(results, part, NETWORK)
    named = {"dataset": "rings", "gradient": "chain-rule", "objective": "elbo"} | fields
    [row] = [r for _, r in found.iterrows() if all(r[k] == v for k, v in named.items())]

    def scores(changes):
        own = {"likelihood": "sum", "n_layers": 1, "shots": 100, "annealing": "constant"}
        own |= {"regularization": 1.0} | named | changes
        [place] = [
            i for i, c in enumerate(results.configs) if all(getattr(c, k) == v for k, v in own.items())
        ]
        return results.seed_scores(place, NETWORK, "test_bce").to_numpy()

    ours, theirs = scores({}), scores(reference)
    test = stats.ttest_rel(ours, theirs)
    assert row.n == SEEDS
    assert row.difference == pytest.approx((ours - theirs).mean())
    assert (row.low, row.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert row.p_t == pytest.approx(test.pvalue)
    assert row.p_holm >= row.p_t


def test_a_reference_is_not_compared_with_itself(results):
    found = beyond_contrasts(results, "shots", NETWORK)
    assert len(found) == 3 * (1 + 2 * 2) * 7  # datasets; MLE, and two objectives by two rules; shots
    assert not found.shots.isna().any()


def test_the_sentence_counts_what_is_beyond_chance(results):
    text = beyond_sentence(results, "shots", NETWORK)
    assert "exact expectations seed by seed" in text
    assert f"{SEEDS} seeds" in text
    # By algorithm-1: ELBO and SELBO on three datasets, 7 shots each; by chain-rule MLE too.
    assert "by algorithm-1, 1 of 42 runs are better and 6 worse" in text
    assert "by chain-rule, 1 of 63 runs are better and 9 worse" in text
    assert "The best change is -0.200 " in text
    assert "(moons, SELBO λ=1 30 shots, " in text
    assert "the worst +0.300 " in text


def test_more_accuracy_is_better(results):
    text = beyond_sentence(results, "shots", NETWORK, "test_accuracy")
    assert "by algorithm-1, 1 of 42 runs are better and 6 worse" in text
    assert "The best change is +0.200 " in text


def test_nothing_beyond_chance_is_said_to_be_nothing(results):
    text = beyond_sentence(results, "layers", NETWORK)
    assert "by algorithm-1, 0 of 18 runs are better and 0 worse" in text


def test_only_parts_that_were_run_are_reported(results):
    assert parts_run(results) == ["layers", "annealing", "shots"]
    assert beyond_sentence(results, "strength", NETWORK) == ""
    paper_only = PaperResults(
        results.provenance.model_copy(update={"beyond": ()}),
        results.scores,
        results.curves,
        results.landscape,
    )
    assert parts_run(paper_only) == []
    page = html.unescape(report_html(results))
    for part in ("layers", "annealing", "shots"):
        assert beyond_sentence(results, part, NETWORK) in page
    assert "strength, gaussian" not in page


def test_the_parts_that_ship_are_found():
    assert "strength" in parts_run(load_results())


def lines(figure):
    """name -> {label at the axis: mean}."""
    ticks = dict(
        zip(figure["layout"]["xaxis"]["tickvals"], figure["layout"]["xaxis"]["ticktext"], strict=True)
    )
    for trace in figure["data"]:
        assert [ticks[round(x)] for x in trace["x"]] == trace["text"]
    return {t["name"]: dict(zip(t["text"], t["y"], strict=True)) for t in figure["data"]}


def test_the_figure_of_shots_ends_with_the_exact_run(results):
    figure = beyond_figure(results, "shots", "moons")
    assert figure["layout"]["xaxis"]["ticktext"] == [
        "10",
        "30",
        "100",
        "300",
        "1000",
        "3000",
        "10000",
        "exact",
    ]
    found = lines(figure)
    assert set(found) == {"MLE", *(f"{o}, {g}" for o in ("ELBO", "SELBO") for g in RULES)}
    for name, values in found.items():
        assert values["10"] == pytest.approx(0.8)
        assert values["30"] == pytest.approx(0.3 if "SELBO" in name else 0.5)
        assert values["exact"] == pytest.approx(0.5)


RULES = ("algorithm-1", "chain-rule")


def test_no_line_hides_another(results):
    starts = [t["x"][0] for t in beyond_figure(results, "layers", "moons")["data"]]
    assert len(set(starts)) == len(starts) == 5


def test_the_figure_of_annealing_has_a_line_for_each_schedule(results):
    figure = beyond_figure(results, "annealing", "moons")
    assert set(lines(figure)) == {
        f"{o}, {s}" for o in ("ELBO", "SELBO") for s in ("constant", "linear", "exponential", "cyclical")
    }
    assert figure["layout"]["xaxis"]["ticktext"] == ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]
    assert "chain-rule" in figure["layout"]["xaxis"]["title"]["text"]
