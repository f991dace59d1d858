"""Tables, comparisons, figures and sentences, of made-up results whose answers are known."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.paper import (
    METHODS,
    Conventions,
    PaperResults,
    Study,
    contrast_figure,
    contrasts,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
    findings,
    orderings,
    published,
    regularizer_effect,
    scale_effect,
    table,
)
from qhn_core.paper.conventions import NETWORKS, method_of
from qhn_core.paper.cost import Cost
from qhn_core.paper.report import report_html
from qhn_core.paper.results import CURVES, Provenance, Slice

SEEDS = 40
STUDY = Study(
    qhn.RunConfig(n_seeds=SEEDS, epochs=3), parts=("layers", "annealing", "shots"), beyond_seeds=SEEDS
)
COST = Cost(wall_seconds=90, cpu_seconds=170, peak_memory_mb=500, energy_joules=None, machine="a machine")


def made_up(mean_of):
    """Results whose test BCE has the mean mean_of(config) and whose methods differ seed by seed."""
    paper, extra = STUDY.paper(), STUDY.beyond()
    rng = np.random.default_rng(0)
    common = rng.normal(0, 0.2, SEEDS)
    scores, curves = [], []
    for place, config in enumerate([*paper, *extra]):
        noise = rng.normal(0, 0.01, SEEDS)
        values = mean_of(config) + common - common.mean() + noise - noise.mean()
        for network in NETWORKS:
            rows = {"run": place, "seed": np.arange(SEEDS), "network": network, "test_bce": values}
            scores.append(pd.DataFrame(rows | {c: values for c in ("train_bce", "train_accuracy")}))
            scores[-1]["test_accuracy"] = 1 - values
        if place < len(paper):
            rows = {"run": place, "epoch": [1, 2, 3]}
            rows |= {
                f"{c}_{f}": np.arange(3.0) - 30 * i for i, c in enumerate(CURVES) for f in ("mean", "std")
            }
            curves.append(pd.DataFrame(rows))
    axis = np.linspace(-1, 1, 5)
    y, x = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    provenance = Provenance(
        command="qhn reproduce <made up>",
        made=datetime(2026, 1, 2, tzinfo=UTC),
        versions={"qhn_core": "0"},
        paper=tuple(paper),
        beyond=tuple(extra),
        exhaustive={d: {"test_bce": 0.1, "test_accuracy": 0.9} for d in STUDY.datasets},
        slice=Slice(
            config=STUDY.slice(),
            landscape_config=qhn.LandscapeConfig(),
            seed=3,
            roughness={name: {"mean slope": 0.5} for name in ("mle", "elbo", "selbo")},
        ),
        cost=COST,
        epochs_computed=1,
        epochs_total=2,
    )
    landscape = pd.DataFrame({"x": x, "y": y, "mle": x, "elbo": y, "selbo": x + 10 * y})
    return PaperResults(provenance, pd.concat(scores), pd.concat(curves), landscape)


def as_published(config):
    """The published mean; MLE with the summed likelihood is better than all others."""
    row = published().tables["test_bce"][config.dataset]
    name = method_of(config)
    if name == "MLE" and config.likelihood == "sum":
        return row["SELBO λ=0.01"][0] - 0.05
    return row.get(name, (0.7, None))[0]


@pytest.fixture(scope="module")
def results():
    return made_up(as_published)


READING = Conventions("algorithm-1", "sum", "mean")


def test_a_table_has_ours_beside_published(results):
    found = table(results, READING)
    assert list(found.loc["gaussian"].index) == ["MLE E.S.", *METHODS]
    row = found.loc["moons", "ELBO"]
    assert (row.published_mean, row.published_std, row.n) == (0.378, 0.024, SEEDS)
    assert row.ours_mean == pytest.approx(0.378)
    assert row.standard_errors == pytest.approx(0, abs=1e-9)
    assert found.loc["rings", "MLE E.S."].ours_mean == 0.1
    assert found.loc["rings", "SELBO λ=1000"].isna().published_mean


def test_standard_errors_are_ours_minus_published():
    found = table(made_up(lambda config: 0.5), READING).loc["gaussian", "ELBO"]
    values = made_up(lambda config: 0.5).scores
    spread = found.ours_std
    assert found.standard_errors == pytest.approx(
        (0.5 - 0.139) / np.sqrt(spread**2 / SEEDS + 0.073**2 / 100)
    )
    assert len(values)


def test_contrasts_are_paired_by_seed_and_signed(results):
    found = contrasts(results, READING)
    assert list(found.loc["rings"].index) == [m for m in METHODS if m != "MLE"]
    row = found.loc["gaussian", "SELBO λ=0.01"]
    assert row.difference == pytest.approx(0.129 - 0.315)
    assert row.high < 0
    assert row.high - row.low < 0.02  # the spread that both share is gone: unpaired it is 0.18
    assert row.published == pytest.approx(0.129 - 0.315)
    assert row.published_errors == pytest.approx(-0.186 / np.hypot(0.0123, 0.0071))
    assert (found.p_holm >= found.p_t).all()


def test_orderings_find_the_convention_that_the_results_were_made_of(results):
    found = orderings(results)
    assert len(found) == 32
    clear = 8  # four methods on gaussian and on moons; on rings the published differences are small
    assert (found.clear == clear).all()
    assert (found[found.mle_likelihood == "mean"].reproduced == clear).all()
    same = found[found.mle_likelihood == "sum"]
    assert (same.reproduced == 0).all()
    assert (same.reversed == clear).all()
    assert found.reproduced.is_monotonic_decreasing
    assert found.rms[0] == pytest.approx(found.rms.min())


def test_effects_of_scale_and_of_the_regulariser_are_told_apart(results):
    scale = scale_effect(results, "last epoch")
    assert scale.loc["gaussian"].difference == pytest.approx(0.315 - 0.079)
    alone = regularizer_effect(results, "algorithm-1", "sum", "last epoch")
    assert alone.loc["gaussian", "SELBO λ=0.01"].difference == pytest.approx(0.05)


def test_a_seed_that_diverged_in_one_run_is_left_out_of_the_pair(results):
    run = results.find("gaussian", "ELBO", READING)
    scores = results.scores
    fewer = PaperResults(
        results.provenance,
        scores[~((scores.run == run) & (scores.seed < 5))],
        results.curves,
        results.landscape,
    )
    assert contrasts(fewer, READING).loc["gaussian", "ELBO"].n == SEEDS - 5
    assert table(fewer, READING).loc["gaussian", "ELBO"].n == SEEDS - 5


@pytest.mark.parametrize("ask", [table, contrasts])
def test_an_unknown_score_is_named(results, ask):
    with pytest.raises(ValueError, match=r"score='f1'.*'test_bce'"):
        ask(results, READING, "f1")


# --- figures -----------------------------------------------------------------------------------------


def means(figure):
    """name -> y of the lines that have a name."""
    return {t["name"]: t["y"] for t in figure["data"] if "name" in t}


def test_figure_2_shows_all_points(results):
    data = qhn.load_dataset("rings")
    figure = figure_2(results, "rings")
    assert sum(len(t["x"]) for t in figure["data"]) == len(data.x_train) + len(data.x_test)


def test_figure_3_has_the_parts_and_kl_up_to_its_constant(results):
    found = means(figure_3(results, READING, "ELBO"))
    curve = results.curve(results.find("gaussian", "ELBO", READING))
    constant = 14 * np.log(2)
    assert found["KL − n ln 2"] == pytest.approx(curve.kl_mean - constant, rel=1e-4)
    assert found["ELBO"] == pytest.approx(curve.objective_mean + constant, rel=1e-4)
    assert found["expected log-likelihood"] == pytest.approx(curve.expected_log_likelihood_mean)
    assert "MMD²" in means(figure_3(results, READING, "SELBO λ=1"))


@pytest.mark.parametrize(
    ("draw", "column"), [(figure_4, "objective_mean"), (figure_5, "gradient_magnitude_mean")]
)
def test_curves_are_per_training_point_whatever_the_likelihood(results, draw, column):
    found = means(draw(results, READING, "moons"))
    assert list(found) == list(METHODS)
    mle, elbo = (results.curve(results.find("moons", m, READING))[column] for m in ("MLE", "ELBO"))
    assert found["MLE"] == pytest.approx(mle, rel=1e-4)  # averaged already
    assert found["ELBO"] == pytest.approx(elbo / 300, rel=1e-4)


def test_the_curves_in_numbers_are_per_training_point_too(results):
    found = findings.curve_table(results, READING).loc["moons"]
    for method, points in (("MLE", 1), ("ELBO", 300)):  # MLE is averaged already
        last = results.curve(results.find("moons", method, READING)).iloc[
            -1
        ]  # the last quarter of 3 epochs
        expected = {
            "objective": last.objective_mean / points,
            "expected log-likelihood": last.expected_log_likelihood_mean / points,
            "gradient": last.gradient_magnitude_mean / points,
            "spread": last.gradient_magnitude_std / points,
        }
        assert found.loc[method].to_dict() == pytest.approx(expected)


def test_figure_6_has_y_upwards(results):
    [trace] = figure_6(results, "selbo")["data"]
    np.testing.assert_allclose(trace["z"][4], np.array(trace["x"]) + 10)


def test_the_contrast_figure_has_intervals_and_published_points(results):
    ours, theirs = contrast_figure(results, READING)["data"]
    found = contrasts(results, READING)
    assert np.subtract(ours["x"], ours["error_x"]["arrayminus"]) == pytest.approx(found.low)
    assert theirs["x"][0] == pytest.approx(0.139 - 0.315)
    assert theirs["x"][ours["y"].index("gaussian, SELBO λ=1000")] is None


# --- words -------------------------------------------------------------------------------------------


def test_sentences_say_what_the_tables_say(results):
    clear, under, same = findings.ordering_sentences(results)
    assert "8 methods" in clear
    assert "likelihood: mean for MLE, sum for the others, by either gradient rule" in under
    assert "0 to 8 of them appear" in same
    assert "gaussian: " in findings.scale_sentences(results)[0]
    assert "+0.236" in findings.scale_sentences(results)[0]


def test_sentences_on_the_curves_count_cases(results):
    """MLE with the averaged likelihood ends lowest, with the largest gradients; all else is alike."""
    curves = results.curves.copy()
    for dataset in results.datasets:
        mle = curves.run == results.find(dataset, "MLE", READING)
        curves.loc[mle, "objective_mean"] = -5.0
        curves.loc[mle, ["gradient_magnitude_mean", "gradient_magnitude_std"]] = 1.0
    changed = PaperResults(results.provenance, results.scores, curves, results.landscape)
    summed, mixed, chain = findings.figure_sentences(changed)
    for alike in (summed, chain):
        assert "in 0 of 6 cases" in alike
        assert "gradient in 0, and the larger spread in 0, of 12" in alike
    assert "in 6 of 6 cases" in mixed
    assert "gradient in 12, and the larger spread in 12, of 12" in mixed


def test_the_printed_rule_finds_no_slope_of_the_regulariser():
    assert findings.regularizer_gradient() < 1e-9


def test_the_report_is_one_file_with_every_number(results):
    html = report_html(results)
    body = html[html.index("<body>") :]
    assert "&lt;made up&gt;" in body
    assert "src=" not in html.split("<script>")[0] + body.split("<script>")[0]
    for score in ("test_bce", "test_accuracy"):
        for mean, std in (v for row in published().tables[score].values() for v in row.values()):
            assert (f"{mean:.3f} ± {std:.3f}" if std else f"{mean:.3f}") in body
    assert "55 min" in body
    assert "energy" not in body  # this machine did not tell
    assert len(html) < 10e6
