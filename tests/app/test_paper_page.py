import json

import numpy as np
import pytest

from qhn_core import paper
from qhn_core.paper.published import published


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
        assert len(visit("paper", figure=number).at.get("plotly_chart")) == 1 + charts


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
    about = paper.load_results().about
    assert about.command in [block.value for block in visit("paper").at.code]


def test_results_that_can_not_be_read_are_explained(visit, monkeypatch, tmp_path):
    monkeypatch.setattr("qhn_core.paper.load_results", lambda: paper.results.load_results(tmp_path))
    page = visit("paper")
    assert "about.json: can't be read" in page.text
    assert "qhn reproduce" in page.text
