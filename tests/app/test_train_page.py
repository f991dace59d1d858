import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits
from qhn_core.training.loop import initial_state
from tests import SECONDS
from tests.app.conftest import as_read

SMALL = {"n_hidden": "1", "epochs": "6", "n_seeds": "2", "shots": "20"}
"""A link to a run that is over in a moment."""
PRESETS = {
    "Recommended": {
        "optimizer": "adam",
        "learning_rate": 1.0,
        "plateau": "previous-epoch",
        "gradient": "chain-rule",
        "shots": 100,
    },
    "As printed": {
        "objective": "selbo",
        "regularization": 1.0,
        "optimizer": "gradient-ascent",
        "plateau": "previous-epoch",
        "gradient": "algorithm-1",
        "shots": 100,
    },
    "Exact": {"objective": "elbo", "regularization": 10.0, "gradient": "chain-rule", "shots": None},
}
CHANGES = {  # every control: (another value, what it makes of the config)
    "dataset": ("moons", {"dataset": "moons"}),
    "objective": ("elbo", {"objective": "elbo"}),
    "regularization": (25.0, {"regularization": 25.0}),
    "bandwidth": (1.0, {"bandwidth": 1.0}),
    "n_seeds": (3, {"n_seeds": 3}),
    "n_layers": (2, {"n_layers": 2}),
    "n_hidden": (2, {"n_hidden": 2}),
    "exact": (True, {"shots": None}),
    "shots": (50, {"shots": 50}),
    "gradient": ("algorithm-1", {"gradient": "algorithm-1"}),
    "optimizer": ("adam", {"optimizer": "adam"}),
    "plateau": ("previous-epoch", {"plateau": "previous-epoch"}),
    "entangler": ("none", {"entangler": "none"}),
    "likelihood": ("mean", {"likelihood": "mean"}),
    "epochs": (10, {"epochs": 10}),
    "learning_rate": (0.25, {"learning_rate": 0.25}),
    "patience": (5, {"patience": 5}),
    "seed": (4, {"seed": 4}),
    "decay_factor": (0.75, {"decay_factor": 0.75}),
    "min_delta": (0.01, {"min_delta": 0.01}),
    "dataset_seed": (2, {"dataset_seed": 2}),
}
COMPATIBLE = [field for field in CHANGES if field not in ("objective", "exact")]
"""Those two take other controls out of use."""
ALL_CHANGED = {name: value for field in COMPATIBLE for name, value in CHANGES[field][1].items()}
INVALID = {  # control: (value, what the message names besides the field)
    "learning_rate": (0.0, "0 < learning_rate"),
    "decay_factor": (2.0, "0 < decay_factor < 1"),
    "min_delta": (-1.0, "0 <= min_delta"),
    "shots": (1, "at least 2 shots"),
}


# --- first open --------------------------------------------------------------------------------------


def test_a_first_visit_starts_a_run_of_8_seeds_without_a_click(visit, go_on):
    page = visit()
    assert page.job.status.is_moving
    assert page.job.config == qhn.RunConfig(n_seeds=8)
    assert page.view["events_url"].startswith(f"/qhn/runs/{page.job.id}/events")
    assert page.at.query_params["run"] == page.job.id
    assert not page.badge


def test_looking_again_starts_nothing_new(visit):
    page = visit()
    first = page.job
    assert page.look().job is first
    page.act("pause")
    assert page.look().job is first


def test_a_reload_shows_the_same_run(visit):
    one = visit(**SMALL)
    again = visit(**SMALL, run=one.job.id)
    assert again.job is one.job


def test_a_run_that_the_server_does_not_know_is_named_and_nothing_else_is_started(visit):
    page = visit(**SMALL, run="from-before-the-restart")
    assert "does not have the run from-before-the-restart" in page.text
    assert not page.has_job
    assert "run" not in page.at.query_params
    page.press("Train")
    assert page.job.config.n_hidden == 1
    assert page.at.query_params["run"] == page.job.id
    assert "from-before-the-restart" not in page.text


# --- controls ----------------------------------------------------------------------------------------


def test_every_field_of_a_config_that_has_a_control_is_tested_here():
    fields = set().union(*(changed for _, changed in CHANGES.values()))
    data_size = {"n_train_per_class", "n_test_per_class", "dataset_noise", "dataset_scale"}
    assert set(qhn.RunConfig.model_fields) - fields == data_size | {
        "simulator",
        "initial_angles",
        "annealing",
        "beta_1",
        "beta_2",
        "perturbation",
        "damping",
    }


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_leaves_the_run_alone_until_train_is_pressed(visit, go_on, field):
    page = visit(**SMALL)
    running, config = page.job, page.job.config
    value, changed = CHANGES[field]
    page.set(**{field: value})
    assert page.job is running
    assert running.config == config == qhn.RunConfig(n_hidden=1, epochs=6, n_seeds=2, shots=20)
    assert running.status.is_moving
    assert page.badge
    page.press("Train")
    assert page.job is not running
    assert page.job.config == qhn.RunConfig(**{**config.model_dump(), **changed})
    assert not page.badge


def test_train_starts_exactly_what_all_the_controls_show(visit):
    page = visit(**SMALL).set(**{field: CHANGES[field][0] for field in COMPATIBLE}).press("Train")
    assert page.job.config == qhn.RunConfig(**ALL_CHANGED)


def test_a_control_that_is_moved_back_takes_the_badge_away(visit):
    page = visit(**SMALL).set(regularization=25.0)
    assert page.badge
    assert not page.set(regularization=1.0).badge


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_the_controls_and_leaves_the_others(visit, preset):
    page = visit(n_seeds="2", dataset="moons", n_layers="2")
    first = page.job
    page.press(preset)
    assert page.job is first
    for field, value in PRESETS[preset].items():
        if field == "shots":
            assert page.value("exact") is (value is None)
        else:
            assert page.value(field) == value
    page.press("Train")
    kept = {"n_seeds": 2, "dataset": "moons", "n_layers": 2}
    assert page.job.config == qhn.RunConfig(**{**kept, **PRESETS[preset]})


def test_presets_can_follow_each_other(visit):
    page = visit(**SMALL)
    for preset in ("Exact", "As printed"):
        page.press(preset)
    page.press("Train")
    assert page.job.config.shots == 100
    assert page.job.config.gradient == "algorithm-1"
    assert page.value("exact") is False


@pytest.mark.parametrize(("before", "after"), [(3, 1), (3, 5), (1, 4)])
def test_a_bandwidth_at_n_over_4_follows_the_number_of_qubits(visit, before, after):
    page = visit(**{**SMALL, "n_hidden": str(before)})
    assert page.value("bandwidth") == (4 * before + 2) / 4
    page.set(n_hidden=after)
    assert page.value("bandwidth") == (4 * after + 2) / 4
    page.press("Train")
    assert page.job.config.bandwidth is None
    assert page.job.config.h == (4 * after + 2) / 4
    assert page.set(n_hidden=before).value("bandwidth") == (4 * before + 2) / 4


def test_another_bandwidth_stays_where_it_is(visit):
    page = visit(**SMALL).set(bandwidth=2.0, n_hidden=2)
    assert page.value("bandwidth") == 2.0


def test_controls_that_the_objective_does_not_read_are_disabled(visit):
    page = visit(**SMALL)
    for objective, strength, width in (("mle", True, True), ("elbo", False, True), ("selbo", False, False)):
        page.set(objective=objective)
        disabled = [page.at.get_by_key(field).disabled for field in ("regularization", "bandwidth")]
        assert disabled == [strength, width], objective
    assert not page.at.get_by_key("shots").disabled
    assert page.set(exact=True).at.get_by_key("shots").disabled


def test_every_control_says_what_it_does(visit):
    at = visit(**SMALL).at
    controls = [*at.button_group, *at.select_slider, *at.number_input, *at.toggle]
    silent = [c.key for c in controls if not c.proto.help]
    assert silent == ["dataset"]  # its label and the pictures above it say it all


# --- Train, Play, Step, Reset ------------------------------------------------------------------------


def test_pause_stops_and_play_goes_on_to_the_result_of_train(visit, go_on):
    page = visit(**{**SMALL, "epochs": "30"}).act("pause")
    assert page.rested.status == Status.PAUSED
    stopped = page.job.epoch
    assert stopped < 30
    go_on()
    assert page.look().job.epoch == stopped
    page.act("play")
    assert page.rested.status == Status.DONE
    expected = qhn.train(page.job.config)
    np.testing.assert_array_equal(page.job.state.best_angles, expected.best_angles)


def test_step_is_one_epoch(visit, go_on):
    page = visit(**{**SMALL, "epochs": "50"}).act("pause")
    epoch = page.rested.epoch
    go_on()
    for more in (1, 2):
        page.act("step")
        assert page.rested.status == Status.PAUSED
        assert page.job.epoch == epoch + more


def test_reset_goes_to_the_initial_angles_with_the_controls_as_they_stand(visit):
    page = visit(**SMALL)
    first = page.rested
    page.set(regularization=25.0).act("reset")
    assert page.job is not first
    assert (page.rested.status, page.job.epoch) == (Status.PAUSED, 0)
    assert page.job.config == first.config.model_copy(update={"regularization": 25.0})
    np.testing.assert_array_equal(page.job.state.angles, initial_state(first.config).angles)
    assert first.status == Status.DONE


def test_after_reset_and_step_play_goes_on_from_there(visit):
    page = visit(**SMALL)
    first = page.rested
    page.act("reset").act("step")
    again = page.rested
    assert (again.status, again.epoch) == (Status.PAUSED, 1)
    page.act("play")
    assert page.job is again, "not the finished run of the same settings"
    assert page.rested.status == Status.DONE
    np.testing.assert_array_equal(page.job.state.angles, first.state.angles)


def test_a_press_is_taken_once(visit, go_on):
    page = visit(**{**SMALL, "epochs": "50"}).act("pause")
    epoch = page.rested.epoch
    go_on()
    page.act("step")
    page.service.wait(page.job.id, SECONDS)
    page.look().look()
    assert page.rested.epoch == epoch + 1


def test_train_is_off_while_the_settings_are_those_of_the_run_on_show(visit):
    page = visit(**SMALL)
    assert page.rested.status == Status.DONE
    assert page.look().buttons()["Train"] is False
    assert page.set(seed=3).buttons()["Train"] is True
    assert page.set(seed=0).buttons()["Train"] is False


def test_a_run_that_was_given_up_can_be_trained_again(visit, service, go_on):
    page = visit(**SMALL)
    service.cancel(page.job.id)
    cancelled = page.job
    assert page.look().buttons()["Train"] is True
    go_on()
    page.press("Train")
    assert page.job is not cancelled
    assert page.rested.status == Status.DONE


def test_a_finished_run_that_is_asked_for_again_is_played_again(visit):
    page = visit(**SMALL)
    first = page.rested
    assert page.view["replay"] == 0
    page.set(seed=3).press("Train")
    assert page.rested.config.seed == 3
    assert page.look().view["replay"] == 0, "a run that is trained now is no replay"
    page.set(seed=0).press("Train")
    assert page.job is first
    assert page.view["replay"] == 1


def test_another_run_ends_the_one_that_nobody_watches_any_more(visit, go_on):
    page = visit(**SMALL)
    first = page.job
    page.set(seed=1).press("Train")
    assert page.service.wait(first.id, SECONDS).status == Status.CANCELLED
    assert page.job.status.is_moving


def test_a_click_of_one_visitor_stops_no_run_of_another(visit):
    one, other = visit(**SMALL, seed="1"), visit(**SMALL, seed="2")
    assert one.job is not other.job
    one.act("pause")
    assert other.rested.status == Status.DONE


def test_the_view_is_told_whose_pictures_to_draw(visit):
    page = visit(**SMALL)
    [choice] = [box for box in page.at.sidebar.selectbox if box.label == "Seed on show"]
    assert choice.options == ["best so far", "0", "1"]
    assert "seed=" not in page.view["events_url"]
    choice.set_value(1)
    assert page.look().view["events_url"].endswith("seed=1")


# --- what is not valid -------------------------------------------------------------------------------


@pytest.mark.parametrize("field", INVALID)
def test_an_invalid_value_is_explained_beside_its_control_and_can_not_be_trained(visit, go_on, field):
    page = visit(**SMALL)
    running = page.job
    value, range_ = INVALID[field]
    page.set(**{field: value})
    [message] = [as_read(e.value) for e in page.at.error]
    assert f"{field}={value}" in message
    assert range_ in message
    advanced = page.at.sidebar.expander[0]
    assert [":red[" in c.value for c in advanced.caption] == [True]
    assert page.buttons()["Train"] is False
    assert page.view["can_reset"] is False
    # the rest of the page still works
    assert page.job is running
    assert page.view["events_url"].startswith(f"/qhn/runs/{running.id}/events")
    page.act("pause")
    assert page.rested.status == Status.PAUSED
    page.set(objective="elbo", **{field: CHANGES[field][0]})
    assert len(page.at.error) == 0
    assert page.buttons()["Train"] is True


def test_one_shot_is_enough_where_nothing_needs_two(visit):
    page = visit(**SMALL).set(objective="mle", shots=1)
    assert len(page.at.error) == 0
    assert page.press("Train").job.config.shots == 1


def test_a_server_that_is_full_says_so_on_the_page(visit, service):
    page = visit(**SMALL, seed="5")
    paused = service.submit(qhn.RunConfig(epochs=5000, seed=6), paused=True)
    service.wait(paused.id, SECONDS)
    taken = [service.submit(qhn.RunConfig(epochs=5000, seed=i), session="other") for i in range(4)]
    service.limits = type(service.limits)(max_jobs=4)
    page.set(seed=99).press("Train")
    assert "runs are under way" in page.text
    assert page.job.config.seed == 5
    stopped = visit(run=paused.id)
    assert "runs are under way" in stopped.act("play").text
    assert stopped.job.status == Status.PAUSED
    for job in taken:
        service.cancel(job.id)
    assert page.press("Train").job.config.seed == 99


# --- links -------------------------------------------------------------------------------------------


def test_a_link_is_an_experiment(visit):
    values = {field: CHANGES[field][0] for field in COMPATIBLE}
    page = visit(**{f: f"{v:g}" if isinstance(v, float) else str(v) for f, v in values.items()})
    assert page.job.config == qhn.RunConfig(**ALL_CHANGED)
    assert {field: page.value(field) for field in COMPATIBLE} == values
    assert len(page.at.warning) == 0
    assert not page.badge


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("regularization", "25.0"),
        ("regularization", "2.5e1"),
        ("regularization", "2.5E+1"),
        ("regularization", "1e-5"),  # as Python writes it: 1e-05, as JavaScript does: 0.00001
        ("regularization", "0.00001"),
        ("regularization", "0.1234567890123456"),
        ("regularization", "1e21"),
        ("bandwidth", "0.70"),
        ("bandwidth", "1e-7"),
        ("epochs", "1e1"),
        ("epochs", "10.0"),
        ("min_delta", "1e-5"),
        ("learning_rate", "2.50"),
    ],
)
def test_any_spelling_of_a_number_stays_in_the_address_and_means_the_same(visit, field, text):
    page = visit(**{**SMALL, field: text})
    assert page.text == ""
    assert getattr(page.job.config, field) == page.value(field) == float(text)
    [kept] = [page.at.query_params[field]]
    assert float(kept) == float(text)
    sent_on = visit(**{name: t for name, t in page.at.query_params.items() if name != "run"})
    assert sent_on.job.config == page.job.config


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "Infinity", "1e999"])
@pytest.mark.parametrize("field", ["epochs", "seed", "regularization", "bandwidth", "learning_rate"])
def test_a_number_that_is_not_finite_is_refused(visit, field, text):
    page = visit(**{field: text})
    assert f"{field}='{text}'" in page.text
    assert not page.has_job
    assert field not in page.at.query_params


def test_a_link_to_an_exact_run(visit):
    page = visit(**{**SMALL, "exact": "true", "objective": "elbo"})
    assert page.job.config.shots is None
    assert page.job.config.objective == "elbo"


@pytest.mark.parametrize(("field", "value"), [("regularization", "0.37"), ("bandwidth", "3.3")])
def test_a_link_may_ask_for_a_value_between_the_stops_of_a_slider(visit, field, value):
    page = visit(**SMALL, **{field: value})
    assert getattr(page.job.config, field) == float(value)
    assert page.value(field) == float(value)
    assert len(page.at.warning) == 0


BROKEN = {  # link -> what the message names
    ("dataset", "spirals"): ["dataset='spirals'", "'gaussian', 'moons', 'rings' or 'digits'"],
    ("objective", "vae"): ["objective='vae'", "'mle', 'elbo' or 'selbo'"],
    ("regularization", "-1"): ["regularization='-1'", "0 <= regularization"],
    ("regularization", "nan"): ["regularization='nan'", "finite"],
    ("bandwidth", "0"): ["bandwidth='0'", "0 < bandwidth"],
    ("n_layers", "0"): ["n_layers='0'", "1 <= n_layers"],
    ("n_layers", "99"): ["n_layers='99': this page offers 1 to 6"],
    ("n_hidden", "20"): ["n_hidden='20': this page offers 1 to 8"],
    ("epochs", "many"): ["epochs='many'", "1 <= epochs"],
    ("learning_rate", "0"): ["learning_rate=", "0 < learning_rate"],
    ("decay_factor", "2"): ["decay_factor=", "0 < decay_factor < 1"],
    ("n_seeds", "-3"): ["n_seeds='-3'", "1 <= n_seeds"],
    ("n_seeds", "1000"): ["n_seeds='1000': this page offers 1 to 100"],
    ("shots", "20000"): ["shots='20000': this page offers 1 to 10,000"],
    ("lambda", "3"): ["lambda"],
}


@pytest.mark.parametrize("link", BROKEN, ids="=".join)
def test_a_broken_link_says_what_was_wrong_and_starts_nothing(visit, link):
    page = visit(**dict([link]))
    assert [text for text in BROKEN[link] if text not in page.text] == []
    assert not page.has_job
    assert page.view["events_url"] is None
    assert page.service.jobs() == []


HOSTILE = "![x](https://example.org/x.png) [y](//example.org) <b>z</b> :red[a] $b$ http://c.org www.d.org"


@pytest.mark.parametrize("field", [HOSTILE, "run", "dataset", "epochs"])
def test_text_of_a_link_is_shown_as_text(visit, field):
    page = visit(**{field: HOSTILE})
    assert HOSTILE in page.text
    [shown] = [w.value for w in page.at.warning]
    for mark in "![]()<>$":
        assert shown.count(mark) == shown.count(f"\\{mark}") > 0, mark
    for link in (":r", "://", "www."):
        assert link not in shown


def test_a_server_with_narrow_limits_greets_nobody_with_an_error(visit, service):
    service.limits = Limits(max_seeds=5, max_epochs=150, max_qubits=10)
    page = visit()
    assert page.text == ""
    assert page.job.config == qhn.RunConfig(n_seeds=4, epochs=100, n_hidden=1)
    page.set(dataset="digits")
    assert page.text == ""


def test_after_a_broken_link_the_page_works_with_defaults(visit):
    page = visit(dataset="spirals", n_seeds="2")
    assert page.value("dataset") == "gaussian"
    assert page.value("n_seeds") == 2
    page.press("Train")
    assert page.job.config == qhn.RunConfig(n_seeds=2)
