"""Networks of too many bits for tables, on the pages."""

import json

import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Status
from qhn_core.live.messages import message_text
from qhn_core.storage.run_zip import export_zip, import_zip
from qhn_core.storage.runs import RunStore
from tests import SECONDS

DIGITS = {"dataset": "digits", "n_hidden": "1", "epochs": "2", "n_seeds": "2", "shots": "10"}
WIDE = {"n_hidden": "8", "epochs": "2", "n_seeds": "1", "shots": "10"}
LINKS = pytest.mark.parametrize(("link", "qubits"), [(DIGITS, 68), (WIDE, 34)], ids=["digits", "2-8-1"])


@LINKS
def test_a_link_trains_to_the_end(visit, link, qubits):
    page = visit(**link)
    assert page.rested.status == Status.DONE
    assert page.job.config.n_qubits == qubits
    assert page.job.config.bandwidth is None
    assert page.value("bandwidth") == qubits / 4
    assert page.text == ""
    message = json.loads(message_text(page.job, None, None)[1])
    assert message["status"]["numbers"][0]["reference"].startswith("logistic regression")
    expected = qhn.train(page.job.config).history
    assert page.job.rows()["objective"].tolist() == pytest.approx(
        expected.sort_values(["epoch", "seed"]).objective.tolist(), rel=1e-12
    )


def test_digits_are_chosen_and_trained_by_hand(visit):
    page = visit(**{**DIGITS, "dataset": "moons"})
    assert page.value("bandwidth") == 1.5
    page.set(dataset="digits")
    assert page.value("bandwidth") == 17, "a bandwidth at n/4 follows n"
    page.set(n_hidden=2)
    assert page.value("bandwidth") == 33.5
    page.press("Train")
    assert page.job.config == qhn.RunConfig(
        dataset="digits", n_hidden=2, epochs=2, n_seeds=2, shots=10, learning_rate=0.1, patience=5
    )
    assert page.rested.status == Status.DONE


def test_digits_start_where_they_learn_and_what_was_set_by_hand_stays(visit):
    page = visit(dataset="moons", epochs="2", shots="10")
    names = ("n_hidden", "n_seeds", "epochs", "learning_rate", "patience")
    values = lambda: [page.value(name) for name in names]  # noqa: E731
    assert values() == [3, 8, 2, 1.0, 3]
    page.set(dataset="digits")
    assert values() == [2, 2, 2, 0.1, 5]
    assert page.value("bandwidth") == 134 / 4
    page.set(patience=7, dataset="rings")
    assert values() == [3, 8, 2, 1.0, 7]
    assert page.value("bandwidth") == 3.5


def test_a_bandwidth_of_ones_own_stays_when_the_data_change(visit):
    page = visit(**{**DIGITS, "dataset": "moons"}).set(bandwidth=2.0, dataset="digits")
    assert page.value("bandwidth") == 2.0


@pytest.mark.parametrize("n_hidden", range(1, 9))
@pytest.mark.parametrize("dataset", ["rings", "digits"])
def test_every_network_on_offer_has_its_quarter(visit, dataset, n_hidden):
    page = visit(**{**DIGITS, "epochs": "1", "n_hidden": "1"}).set(dataset=dataset, n_hidden=n_hidden)
    assert page.value("bandwidth") == qhn.RunConfig(dataset=dataset, n_hidden=n_hidden).n_qubits / 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exact": True}, ["68 qubits", "exact expectations by shots"]),
        ({"n_layers": 3}, ["68 qubits", "n_layers=3 by 1 or 2"]),
    ],
)
def test_what_needs_all_networks_says_what_to_change(visit, changes, words):
    page = visit(**DIGITS)
    before = page.job
    page.set(**changes)
    assert [word for word in words if word not in page.text] == []
    assert page.buttons()["Train"] is False
    assert page.job is before
    undone = {field: {"exact": False, "n_layers": 1}[field] for field in changes}
    assert page.set(**undone).view["can_reset"] is True
    assert page.text == ""


def test_a_landscape_says_that_it_can_not_be(visit):
    page = visit("landscape", **DIGITS)
    assert "2^68 amplitudes" in page.text
    assert "n_hidden may be 1 to 5" in page.text
    assert len(page.at.get("bidi_component")) == 0


@pytest.mark.parametrize(
    "options",
    [{"dataset": "digits", "n_hidden": 1}, {"n_hidden": 8}, {"n_hidden": 16}],
    ids=["digits", "2-8-1", "2-16-1"],
)
def test_a_run_goes_through_the_store_and_a_zip_and_on(tmp_path, service, options):
    config = qhn.RunConfig(**options, epochs=4, n_seeds=2, shots=10)
    whole = qhn.train(config)
    service.registry.store = RunStore(tmp_path)
    job = service.submit(config, paused=True)
    service.wait(job.id, SECONDS)
    service.resume(job.id, n_epochs=2)
    service.wait(job.id, SECONDS)
    stored = service.store.load(job.id)
    data = export_zip(stored)
    brought = service.store.add(import_zip(data))
    for run_id in (job.id, brought):
        service.forget(run_id)
        service.resume(run_id)
        done = service.wait(run_id, SECONDS)
        assert done.status == Status.DONE, done.message
        history = done.result().history
        assert (
            history.drop(columns="exact_objective") == whole.history.drop(columns="exact_objective")
        ).all(axis=None)
        assert history.exact_objective.isna().all()
        assert (done.state.samples == whole.state.samples).all()
        json.loads(message_text(done, None, None)[1])


def test_a_stored_run_of_more_neurons_than_are_on_offer_can_be_opened(visit):
    page = visit(**DIGITS)
    page.memory.stops["bandwidth"].append(16.5)  # as the Runs page does
    page.memory.wanted = {"dataset": "moons", "n_hidden": 16, "bandwidth": 16.5}
    page.look()
    assert (page.value("n_hidden"), page.value("bandwidth"), page.text) == (16, 16.5, "")
    page.set(n_hidden=15)
    assert page.value("bandwidth") == 15.5
    page.set(n_hidden=2)
    assert page.value("bandwidth") == 2.5
