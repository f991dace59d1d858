import dataclasses
import json

import numpy as np
import pytest

from pages.parts import paper_compute
from qhn_core import paper
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits, ServerFullError
from qhn_core.paper.background import Progress, results_folder
from qhn_core.paper.published import published

pytestmark = pytest.mark.slow


def shown(page, column):
    """The first table's column, as it is drawn."""
    return page.at.dataframe[0].value[column].tolist()


def figure(page, place=0):
    return json.loads(page.at.get("plotly_chart")[place].proto.spec)


def test_it_opens_with_the_published_tables_beside_ours(visit):
    page = visit("paper")
    printed = published().tables["test_bce"]
    methods = list(zip(shown(page, "dataset"), shown(page, "method"), strict=True))
    assert len(methods) == 21
    for key, text in zip(methods, shown(page, "published"), strict=True):
        dataset, method = key
        mean, std = printed[dataset].get(method, (None, None))
        if mean is None:
            assert text == "–"
        else:
            assert text == (f"{mean:.3f}" if std is None else f"{mean:.3f} ± {std:.3f}")
    assert not page.has_job, "nothing is trained for a look"


@pytest.mark.parametrize("network", ["average", "mixture", "most probable"])
def test_every_convention_is_a_link_and_has_the_numbers_of_the_package(visit, network):
    page = visit("paper", by="chain-rule", scale="mean", mle_scale="sum", network=network, table="III")
    conventions = paper.Conventions("chain-rule", "mean", "sum", network)
    table = paper.table(paper.load_results(), conventions, "test_accuracy")
    ours = [
        f"{r.ours_mean:.3f}" + ("" if np.isnan(r.ours_std) else f" ± {r.ours_std:.3f}")
        for r in table.itertuples()
    ]
    assert shown(page, "ours") == ours


def test_figures_are_those_of_the_package(visit):
    results = paper.load_results()
    page = visit("paper", figure="5")
    conventions = paper.Conventions(mle_likelihood="mean")
    expected = paper.figure_5(results, conventions, "gaussian")["data"]
    drawn = figure(page, 1)["data"]
    assert [t.get("name") for t in drawn] == [t.get("name") for t in expected]
    np.testing.assert_allclose(drawn[-1]["y"], expected[-1]["y"])
    for number, charts in (("2", 1), ("3", 1), ("6", 3)):
        drawn = visit("paper", figure=number).at.get("plotly_chart")
        assert len(drawn) == 1 + charts + 1  # between the differences and the parts beyond the paper


def test_a_run_opens_with_all_its_seeds(visit):
    page = visit("paper")
    page.button("Open this run").click()
    page.at.run()  # ends on the Train page, which this test does not have
    results = paper.load_results()
    conventions = paper.Conventions(mle_likelihood="mean")
    assert page.job.config == results.configs[results.find("gaussian", "SELBO λ=1", conventions)]
    assert page.job.config.n_seeds == 100
    page.service.cancel(page.job.id)


def test_the_command_that_made_it_is_on_the_page(visit):
    about = paper.load_results().provenance
    assert about.command in [block.value for block in visit("paper").at.code]


# --- beyond the paper --------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "score"), [("II", "test_bce"), ("III", "test_accuracy")])
def test_parts_beyond_the_paper_are_told_by_the_package(visit, number, score):
    page = visit("paper", table=number, network="most probable", by="chain-rule")
    results = paper.load_results()
    assert page.at.get_by_key("part").options == paper.parts_run(results)
    sentence = paper.beyond_sentence(results, "strength", "most probable", score)
    assert any(sentence in text.value.replace("\\[", "[") for text in page.at.markdown)
    page.set(beyond_of="rings")
    expected = paper.beyond_figure(results, "strength", "rings", "most probable", score)["data"]
    drawn = figure(page, -1)["data"]
    assert [t["name"] for t in drawn] == [t["name"] for t in expected]
    for ours, theirs in zip(drawn, expected, strict=True):
        np.testing.assert_allclose(ours["y"], theirs["y"])


def test_without_runs_beyond_the_paper_there_is_no_such_part(visit, monkeypatch):
    results = paper.load_results()
    section_iv = dataclasses.replace(
        results, provenance=results.provenance.model_copy(update={"beyond": ()})
    )
    monkeypatch.setattr("qhn_core.paper.load_results", lambda: section_iv)
    page = visit("paper")
    assert "part" not in [item.key for item in page.at.get("button_group")]
    assert not any("Beyond the paper" in text.value for text in page.at.markdown)


# --- computed here -----------------------------------------------------------------------------------


class Asked:
    """In the place of the background: what the page asks of it, and a progress to show."""

    def __init__(self):
        self.progress, self.started, self.stopped, self.refuses = None, [], 0, False

    def start(self, study, command):
        if self.refuses:
            raise ServerFullError("one at a time")
        self.started.append((study, command))
        self.progress = Progress(study, Status.RUNNING)

    def stop(self):
        self.stopped += 1
        self.progress = dataclasses.replace(self.progress, status=Status.INTERRUPTED)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("QHN_HOME", str(tmp_path))
    asked = Asked()
    monkeypatch.setattr(paper_compute, "background", lambda: asked)
    monkeypatch.setattr(paper_compute, "seconds_to_compute", lambda study: 3.0 * study.base.n_seeds)
    return asked


def study(n_seeds):
    return paper.Study(paper.paper_base(n_seeds=n_seeds))


def in_dialog(page, action):
    """Act in the dialog: a browser runs that alone again, AppTest the whole page, which would close it."""
    page.button("Compute it here").click()
    action()
    page.look()


def test_the_study_starts_with_the_seeds_that_were_chosen(visit, asked):
    page = visit("paper").press("Compute it here")
    assert "66 runs of 5 seeds: about 15 s" in page.text
    in_dialog(page, lambda: page.at.get_by_key("compute_seeds").set_value(100))
    assert "66 runs of 100 seeds: about 5 min" in page.text
    in_dialog(page, page.button("Start").click)
    assert asked.started == [(study(100), "qhn reproduce --seeds 100 --workers 1")]
    assert not page.buttons()["Compute it here"]
    assert "Stop" in page.buttons()


def test_a_server_that_takes_fewer_seeds_offers_fewer(visit, asked, service):
    service.limits = Limits(max_seeds=10)
    page = visit("paper").press("Compute it here")
    assert page.at.get_by_key("compute_seeds").options == ["5", "10"]


def test_everybody_sees_how_far_it_is_and_can_stop_it(visit, asked):
    asked.progress = Progress(study(20), Status.RUNNING, 3300, 13200, 200.0)
    page = visit("paper")
    [bar] = page.at.get("progress")
    assert bar.proto.value == 25
    assert "20 seeds" in bar.proto.text
    assert "25%, about 3 min left" in bar.proto.text
    assert not page.buttons()["Compute it here"]
    page.press("Stop")
    assert asked.stopped == 1
    assert "Stopped at 25% of 20 seeds" in page.text
    assert page.buttons()["Compute it here"]


def test_who_comes_second_is_told(visit, asked):
    page = visit("paper").press("Compute it here")
    asked.refuses = True
    in_dialog(page, page.button("Start").click)
    assert "one at a time" in page.text


def test_what_went_wrong_is_told(visit, asked):
    asked.progress = Progress(study(20), Status.FAILED, message="The disk is full.")
    assert "20 seeds were not computed. The disk is full." in visit("paper").text


def test_results_computed_here_are_shown_in_the_place_of_the_others(visit, asked):
    shipped = paper.load_results()
    ours = dataclasses.replace(
        shipped,
        provenance=shipped.provenance.model_copy(update={"command": "qhn reproduce --seeds 5"}),
        scores=shipped.scores.assign(test_bce=shipped.scores.test_bce + 1),
    )
    paper.save_results(results_folder(5), ours)
    before = visit("paper")
    page = visit("paper", results="5 seeds, computed here")
    for one, other in list(zip(shown(before, "ours"), shown(page, "ours"), strict=True)):
        if "±" in one:  # all but the exhaustive search
            assert float(other[:5]) == pytest.approx(float(one[:5]) + 1)
    assert "qhn reproduce --seeds 5" in [block.value for block in page.at.code]
    page.set(results="shipped")
    assert shown(page, "ours") == shown(before, "ours")


def test_results_that_can_not_be_read_are_explained(visit, monkeypatch, tmp_path):
    monkeypatch.setattr("qhn_core.paper.load_results", lambda: paper.results.load_results(tmp_path))
    page = visit("paper")
    assert "about.json: can't be read" in page.text
    assert "qhn reproduce" in page.text
