import base64
from dataclasses import replace

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Status
from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.landscape.trajectories import training_path
from tests.app.conftest import as_read

SMALL = {"n_hidden": "1", "epochs": "6", "n_seeds": "3", "shots": "20"}
CONFIG = qhn.RunConfig(n_hidden=1, epochs=6, n_seeds=3, shots=20)


def numbers(text):
    return np.frombuffer(base64.b64decode(text), dtype="<f8")


def scan_of(config):
    """The plane through θ* of the best seed, by the package alone."""
    result = qhn.train(config)
    best = int(np.argmax(result.state.best_objective))
    scan = qhn.scan_landscape(config, qhn.LandscapeConfig(), result.best_angles[best], seed_row=best)
    return best, scan


def test_the_first_visit_trains_and_shows_the_landscape_of_the_best_seed(visit):
    page = visit("landscape", **SMALL)
    assert page.job.status == Status.DONE
    assert page.job.config == CONFIG
    best, scan = scan_of(CONFIG)
    data = page.view
    assert data["shape"] == [41, 41]
    assert data["n_qubits"] == 6
    np.testing.assert_array_equal(page.numbers("axis"), scan.axis)
    for name in ("expected_log_likelihood", "entropy"):
        np.testing.assert_array_equal(page.numbers(name), getattr(scan, name).ravel(), err_msg=name)
    np.testing.assert_array_equal(page.numbers("correlators"), scan.correlators[..., 1:].ravel())
    assert f"seed {best}" in data["caption"]
    assert CONFIG.in_words() in data["caption"]


def test_the_numbers_that_the_browser_gets_make_all_three_objectives(visit):
    """By the formulas of the design, from the decoded numbers alone."""
    page = visit("landscape", **SMALL)
    ell, entropy = page.numbers("expected_log_likelihood"), page.numbers("entropy")
    spectrum = page.numbers("correlators").reshape(-1, 6)
    w = np.arange(1, 7)
    for strength, h in ((1.0, 1.5), (40.0, 0.5)):
        e = np.exp(-1 / h**2)
        mmd = spectrum @ (((1 + e) / 2) ** (6 - w) * ((1 - e) / 2) ** w)
        made = {
            "mle": ell,
            "elbo": ell - strength * (6 * np.log(2) - entropy),
            "selbo": ell - strength * mmd,
        }
        scan = scan_of(CONFIG)[1]
        for objective, values in made.items():
            expected = scan.values(objective, regularization=strength, bandwidth=h).ravel()
            np.testing.assert_allclose(values, expected, rtol=1e-10, err_msg=objective)


def test_a_strength_moved_in_the_sidebar_reaches_the_view_without_another_scan(visit):
    page = visit("landscape", **SMALL)
    before, job = page.view, page.job
    after = page.set(regularization=25.0, bandwidth=0.5).view
    assert (before["regularization"], before["bandwidth"]) == (1.0, 1.5)
    assert (after["regularization"], after["bandwidth"]) == (25.0, 0.5)
    assert page.job is job
    grids = ("axis", "expected_log_likelihood", "entropy", "correlators")
    assert [before[name] for name in grids] == [after[name] for name in grids]


def test_the_view_tells_which_objective_the_run_was_trained_with(visit):
    assert visit("landscape", **SMALL, objective="elbo").view["objective"] == "elbo"


def test_the_landscape_of_a_run_that_is_on_show_elsewhere(visit):
    train = visit("train", **SMALL)
    page = visit("landscape", **SMALL, run=train.job.id)
    assert page.job is train.job
    assert train.job.config.in_words() in page.view["caption"]


# --- more than the surfaces --------------------------------------------------------------------------


def test_the_path_and_the_arrows_are_drawn_on_demand(visit):
    plain = visit("landscape", **SMALL).view
    assert "path" not in plain
    assert "field" not in plain
    page = visit("landscape", **SMALL, path="true", arrows="algorithm-1")
    path = training_path(scan_of(CONFIG)[1], CONFIG)
    assert page.view["path"].keys() == {"x", "y"}
    np.testing.assert_array_equal(numbers(page.view["path"]["x"]), path.x)
    field = gradient_field(scan_of(CONFIG)[1])
    np.testing.assert_array_equal(
        numbers(page.view["field"]["entropy"]), field.entropy["algorithm-1"].ravel()
    )


@pytest.mark.parametrize(
    ("look", "says"),
    [
        ("point", "at (0.00π, 0.00π)"),
        ("path", "away from this plane"),
        ("shots", "What an optimiser sees"),
        ("roughness", "Roughness"),
        ("barriers", "Barrier: mean of both ends"),
    ],
)
def test_every_look_is_a_link(visit, look, says):
    page = visit("landscape", **SMALL, look=look)
    assert any(says in text.value for text in page.at.markdown)


def test_a_point_can_be_looked_at_and_trained_from(visit):
    page = visit("landscape", **SMALL, look="point")
    _, scan = scan_of(CONFIG)
    x, y = float(scan.axis[3]), float(scan.axis[30])
    page.memory.point = (x, y)
    place = f"(−{-x / np.pi:.2f}π, {y / np.pi:.2f}π)"
    assert any(place in text.value for text in page.look().at.markdown)
    assert page.view["point"] == [x, y]
    before = page.job
    page.button("Start training from here").click()
    page.at.run()  # ends on the Train page, which this test does not have
    there = scan.plane.center + x * scan.plane.directions[0] + y * scan.plane.directions[1]
    assert page.job is not before
    np.testing.assert_array_equal(page.job.config.initial_angles, there.ravel())
    assert page.job.config.model_copy(update={"initial_angles": None}) == CONFIG


def test_another_plane_starts_at_its_centre(visit):
    page = visit("landscape", **SMALL, look="point")
    page.memory.point = (1.0, 2.0)
    page.look().set(plane="random-ry")
    assert any("at (0.00π, 0.00π)" in text.value for text in page.at.markdown)


def test_another_seed_of_directions_lets_the_point_go(visit):
    page = visit("landscape", **SMALL)
    assert page.view["point"] is None
    page.memory.point = (1.0, 2.0)
    assert page.look().view["point"] == [1.0, 2.0]
    assert page.set(plane_seed=1).view["point"] is None


def test_controls_of_another_run_are_noticed_and_trained_here(visit):
    page = visit("landscape", **SMALL)
    first = page.job
    assert not page.buttons()["Train"]
    page.set(regularization=25.0)
    assert not page.badge, "λ moves the surfaces themselves"
    page.set(dataset="moons")
    assert page.badge
    assert page.job is first
    page.press("Train")
    assert page.job.config == CONFIG.model_copy(update={"dataset": "moons", "regularization": 25.0})
    assert not page.badge
    assert "moons" in page.view["caption"]


def test_a_broken_link_says_so_and_trains_nothing(visit):
    page = visit("landscape", **SMALL, dataset="spirals")
    assert "dataset='spirals'" in page.text
    assert not page.has_job
    assert page.press("Train").job.config == CONFIG


@pytest.mark.parametrize(
    ("field", "text", "offered"),
    [
        ("plane", "flat", "'random', 'random-ry', 'gates'"),
        ("radius", "99", "0.1 to 10.0"),
        ("resolution", "many", "11 to 101"),
        ("plane_seed", "-1", "0 to 1,000,000"),
        ("arrows", "up", "'chain-rule'"),
        ("look", "away", "'roughness' or 'barriers'"),
    ],
)
def test_a_link_to_a_view_that_is_not_on_offer_says_what_is(visit, field, text, offered):
    page = visit("landscape", **SMALL, **{field: text})
    [message] = [as_read(w.value) for w in page.at.warning]
    assert f"{field}='{text}': this page offers" in message
    assert offered in message
    assert page.view["shape"] == [41, 41]
    assert len(page.look().at.warning) == 1
    assert len(page.set(resolution=11).at.warning) == 0


def test_a_link_to_a_view_on_offer_brings_no_complaint(visit):
    page = visit("landscape", **SMALL, plane="random-ry", radius="1.5", resolution="11", look="point")
    assert len(page.at.warning) == 0


def test_the_train_page_keeps_the_angles_until_random_ones_are_wanted(visit):
    angles = tuple(np.linspace(0, 1, 12).tolist())
    job = visit("train", **SMALL).service.submit(CONFIG.model_copy(update={"initial_angles": angles}))
    page = visit("train", **SMALL, run=job.id)
    assert not page.badge
    assert page.press("Train").job.config.initial_angles == angles
    page.press("Random angles again")
    assert page.badge
    assert page.press("Train").job.config == CONFIG


def test_a_stopped_scan_says_how_far_it_is_and_goes_on(visit):
    page = visit("landscape", **SMALL)
    whole = page.view
    held = page.memory.scanning
    some = np.zeros_like(held.scan.done)
    some[::4, ::4] = True
    page.memory.scanning = replace(held, scan=replace(held.scan, done=some), stopped=True)
    page.look()
    [bar] = page.at.get("progress")
    assert "stopped at 121 of 1681 points" in bar.proto.text
    assert page.view["entropy"] != whole["entropy"], "only the nearest neighbours"
    assert page.press("Go on").view["entropy"] == whole["entropy"]
    assert "Go on" not in page.buttons()


def test_a_plane_that_does_not_exist_is_explained(visit):
    page = visit("landscape", **SMALL, plane="gates")
    first, _ = (box for box in page.at.selectbox if box.label in ("First gate", "Second gate"))
    first.set_value(1)
    page.look()
    assert "span no plane" in page.text


@pytest.mark.parametrize("look", ["roughness", "path", "point"])
def test_a_lambda_at_which_the_objective_overflows_is_shown(visit, look):
    page = visit("landscape", **SMALL, objective="elbo", regularization="1e308", resolution="11", look=look)
    assert not page.at.error


def test_a_lambda_at_which_the_spread_of_shots_overflows_is_named(visit):
    link = {"objective": "elbo", "regularization": "1e308", "resolution": "11", "look": "shots"}
    page = visit("landscape", **SMALL, **link)
    assert "regularization=1e+308: λ must be so small" in page.text
