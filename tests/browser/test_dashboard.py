"""What a visitor sees and does, from the first open to the end of a run."""

import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

import qhn_core as qhn
from qhn_core.figures.landscape_page import landscape_html, view_data
from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.objectives.terms import Objective
from tests import SECONDS
from tests.service.browserless import AppServer

from .conftest import path_to

pytestmark = pytest.mark.slow

QUICK = {"n_hidden": 1, "n_seeds": 2, "epochs": 20}
"""A link to a run that is over in a moment."""
LIVELY = {"n_hidden": 1, "n_seeds": 2, "epochs": 2000}
"""A link to one that outlives its test, in 50 s. Give it a seed, for a run that no other test began."""
COUNT_POINTS = "(node) => node.data.find((trace) => /^(MLE|ELBO|SELBO)$/.test(trace.name)).x.length"
FITS = """(sides) => [...document.querySelectorAll("html, body, [data-testid=stMain]")]
    .every((node) => sides.every((side) => node[`scroll${side}`] <= node[`client${side}`] + 1))"""
ALL_CHARTS = ("objective", "gradient", "boundary", "histogram")


def chart(visitor, name):
    return visitor.page.locator(f'[data-chart="{name}"]').element_handle()


def train_by_command(config):
    """The report of `qhn train --json` for a config, in a process of its own."""
    fields = {**config.model_dump(), "shots": config.shots or "exact"}
    given = {name: value for name, value in fields.items() if value is not None}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [Path(sys.executable).with_name("qhn"), "train", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return json.loads(done.stdout)


# --- Train -------------------------------------------------------------------------------------------


def test_change_the_strength_train_watch_and_find_the_numbers_of_the_command_line(visit):
    visitor = visit("/?epochs=400").wait_for_run()
    visitor.move("regularization", "ArrowRight", times=3)
    config = visitor.config
    assert config == qhn.RunConfig(n_seeds=8, epochs=400, regularization=2.0)
    visitor.press("Train").wait_for_run_of(config)
    objective = chart(visitor, "objective")
    more = f"([node, seen]) => {{ const n = ({COUNT_POINTS})(node); return n > seen && n; }}"
    points = [0]
    while points[-1] < 400:
        handle = visitor.page.wait_for_function(more, arg=[objective, points[-1]])
        points.append(handle.json_value())
    visitor.wait_for_run(state="done")
    expect(visitor.page.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    assert len(points) > 3, "the curves jumped instead of growing"
    assert visitor.page.evaluate("([a, b]) => a === b", [objective, chart(visitor, "objective")])

    last = train_by_command(config)["summary"]["last epoch"]
    for label, name in (("test accuracy", "test_accuracy"), ("test BCE", "test_bce")):
        assert visitor.number(label) == f"{last[f'{name}_mean']:.3f} ± {last[f'{name}_std']:.3f}"


def test_a_first_open_shows_a_moving_run_in_four_views_on_one_screen(visit):
    """Nobody clicks. At 1440 x 900 nothing scrolls; at 800 pixels the views stack, none cut off."""
    visitor = visit().wait_for_run_of(qhn.RunConfig(n_seeds=8))
    charts = [chart(visitor, name) for name in ALL_CHARTS]
    for node in charts:
        visitor.page.wait_for_function("(node) => node.data?.length > 0", arg=node)
    points = visitor.page.evaluate(COUNT_POINTS, charts[0])
    more = f"([node, points]) => ({COUNT_POINTS})(node) >= points"
    visitor.page.wait_for_function(more, arg=[charts[0], min(points + 5, 200)])

    visitor.page.wait_for_function(FITS, arg=["Height", "Width"])
    for box in (node.bounding_box() for node in charts):
        assert (box["width"] > 200, box["height"] > 120) == (True, True), box
        assert 0 <= box["x"] <= 1440 - box["width"]
        assert 0 <= box["y"] <= 900 - box["height"]

    visitor.page.set_viewport_size({"width": 800, "height": 900})
    stacked = "(nodes) => new Set(nodes.map((node) => node.getBoundingClientRect().top)).size === 4"
    visitor.page.wait_for_function(stacked, arg=charts)
    assert all(0 <= box["x"] <= 800 - box["width"] for box in (node.bounding_box() for node in charts))
    visitor.page.wait_for_function(FITS, arg=["Width"])


def test_pause_look_at_the_uncertainty_step_and_play(visit):
    visitor = visit(path_to("", **LIVELY, seed=1)).wait_for_run(epoch=2)
    visitor.press("Pause").wait_for_run(state="paused")
    boundary = chart(visitor, "boundary")
    shown = "(node) => node.data?.slice(0, 3).map((trace) => trace.visible).join()"
    visitor.page.wait_for_function(f"(node) => ({shown})(node) === 'true,false,false'", arg=boundary)
    visitor.page.get_by_role("radio", name="uncertainty").click()
    visitor.page.wait_for_function(f"(node) => ({shown})(node) === 'false,true,false'", arg=boundary)

    visitor.page.get_by_role("button", name="Play", exact=True).wait_for()
    epoch = int(visitor.live.get_attribute("data-epoch"))
    visitor.press("Step").wait_for_run(epoch=epoch + 1, state="paused")
    assert int(visitor.live.get_attribute("data-epoch")) == epoch + 1
    visitor.press("Play").wait_for_run(epoch=epoch + 3, state="running")
    assert visitor.page.evaluate(shown, boundary) == "false,true,false", "new data keep the choice"


def test_play_of_a_finished_run_replays_its_curves_and_says_so(visit):
    visitor = visit(path_to("", **QUICK)).wait_for_run(epoch=20, state="done")
    run, objective = visitor.run_id, chart(visitor, "objective")
    visitor.page.wait_for_function("(node) => node.data?.length > 0", arg=objective)
    visitor.press("Play")
    visitor.page.locator('.qhn.live[data-replay="moving"] .message').filter(has_text="replay").wait_for()
    assert visitor.page.locator(".qhn.live .word").inner_text() == "replay"
    fewer = f"(node) => {{ const n = node.data && ({COUNT_POINTS})(node); return n > 0 && n < 20; }}"
    visitor.page.wait_for_function(fewer, arg=objective)
    visitor.page.wait_for_function(f"(node) => ({COUNT_POINTS})(node) === 20", arg=objective)
    visitor.page.locator('.qhn.live[data-replay=""]').wait_for()
    assert (visitor.run_id, visitor.page.locator(".qhn.live .word").inner_text()) == (run, "done")


def test_the_charts_are_drawn_below_a_base_path(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(AppServer, "healthy", lambda server: healthy_below(server, "/teach/qhn"))
    server = AppServer(tmp_path, STREAMLIT_SERVER_BASE_URL_PATH="teach/qhn")
    try:
        visitor = visit("/_stcore/health")
        visitor.server = f"http://127.0.0.1:{server.port}/teach/qhn"
        visitor.go(path_to("", **QUICK)).wait_for_run(epoch=20)
        visitor.page.wait_for_function("(node) => node.data?.length > 0", arg=chart(visitor, "objective"))
        visitor.page.goto("about:blank")  # a page whose server ends complains
    finally:
        server.stop()


def healthy_below(server, base):
    """Whether a server answers below its base path."""
    with contextlib.suppress(OSError):
        url = f"http://127.0.0.1:{server.port}{base}/_stcore/health"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    return False


# --- links -------------------------------------------------------------------------------------------


def test_the_address_of_a_configured_page_opens_the_same_experiment_elsewhere(visit):
    one = visit(path_to("", **LIVELY, seed=2)).wait_for_run()
    one.page.locator(".st-key-objective").get_by_text("elbo", exact=True).click()
    one.wait_for_link(objective="elbo").move("regularization", "ArrowRight", times=4)
    expected = qhn.RunConfig(**LIVELY, seed=2, objective="elbo", regularization=2.5)
    assert one.config == expected
    one.press("Train").wait_for_run_of(expected)

    # First who asks for the run by its fields alone: it has to be under way still.
    addresses = [(path_to("", **one.link), False), (one.page.url.removeprefix(one.server), True)]
    for address, elsewhere in addresses:
        two = visit(address, elsewhere)
        two.wait_for_run_of(expected)
        assert two.controls() == one.controls()
        assert two.config == expected
        assert two.run_id == one.run_id, "who asks for a run that is under way joins it"
    assert (two.controls()["objective"], two.controls()["regularization"]) == ("elbo", "2.5")


def test_presets_reach_the_address(visit):
    visitor = visit(path_to("", **QUICK)).wait_for_run()
    visitor.press("Exact").wait_for_link(objective="elbo", regularization=10, exact="true")
    assert visitor.config == qhn.RunConfig(**QUICK, objective="elbo", regularization=10.0, shots=None)
    visitor.press("As printed").wait_for_link(gradient="algorithm-1")
    visitor.page.wait_for_function("() => !location.search.includes('exact')")
    assert visitor.config == qhn.RunConfig(**QUICK, gradient="algorithm-1", plateau="previous-epoch")


def test_what_choosing_digits_changes_reaches_the_address_at_once(visit):
    visitor = visit(path_to("", n_layers=2, seed=4)).wait_for_run()
    visitor.page.locator(".st-key-dataset").get_by_text("digits", exact=True).click()
    visitor.wait_for_link(dataset="digits", n_hidden=2, n_seeds=2, epochs=100, patience=5)
    visitor.wait_for_link(learning_rate=r"0\.1")


def test_a_drawing_of_many_layers_is_large_enough_to_read_and_scrolls(visit):
    scale = """(node) => {
        const drawing = node.querySelector("svg");
        return [drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width,
                node.scrollWidth > node.clientWidth + 1];
    }"""
    for layers, scrolls in ((1, False), (6, True)):
        visitor = visit(path_to("", n_hidden=2, n_seeds=1, epochs=1, n_layers=layers)).wait_for_run()
        size, scrolled = visitor.page.locator(".qhn.live .circuit").evaluate(scale)
        assert (size >= 0.65, scrolled) == (True, scrolls), (layers, size)


def test_a_reload_finds_the_same_run_again(visit):
    visitor = visit(path_to("", **LIVELY, seed=3)).wait_for_run(epoch=5)
    run, epoch = visitor.run_id, int(visitor.live.get_attribute("data-epoch"))
    visitor.page.reload()
    visitor.wait_for_run(epoch=epoch)
    assert visitor.run_id == run
    grown = f"([node, epoch]) => node.data && ({COUNT_POINTS})(node) >= epoch"
    visitor.page.wait_for_function(grown, arg=[chart(visitor, "objective"), epoch])


def test_a_broken_link_says_what_was_wrong_and_runs_nothing(visit):
    visitor = visit("/?objective=vae&regularization=-3")
    message = visitor.page.get_by_test_id("stAlert")
    message.wait_for()
    text = message.inner_text()
    assert "objective='vae': this page offers 'mle', 'elbo' or 'selbo'" in text
    assert "regularization='-3'" in text
    assert "0 ≤ regularization" in text
    visitor.live.wait_for()
    assert visitor.live.get_attribute("data-state") == "idle"
    assert visitor.run_id is None
    visitor.press("Train").wait_for_run()
    assert visitor.run_id


# --- Landscape ---------------------------------------------------------------------------------------


VALUES = """(node) => Object.fromEntries(
    Object.entries(node.landscapeValues).map(([name, values]) => [name, Array.from(values)]))"""


def landscape_of(visitor):
    """The landscape's node, once its plane is scanned: a slow scan is drawn while it goes on."""
    root = visitor.page.locator(".qhn.landscape").element_handle()
    visitor.page.wait_for_function(
        "(node) => node.landscapeValues && Number(node.dataset.draws) > 0", arg=root
    )
    visitor.wait_for_rest()
    return root


def assert_values_of(visitor, root, scan):
    """The browser's surfaces are those of the package at the λ and h that the page shows."""
    strength, h = (float(root.get_attribute(f"data-{name}")) for name in ("lambda", "h"))
    for objective, values in visitor.page.evaluate(VALUES, root).items():
        expected = scan.values(objective, regularization=strength, bandwidth=h).ravel()
        np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=f"{objective} at {strength}, {h}")


@pytest.fixture(scope="module")
def scan():
    """The plane through θ* of the run that QUICK links to, by the package alone."""
    result = qhn.train(qhn.RunConfig(**QUICK))
    best = int(np.argmax(result.state.best_objective))
    return qhn.scan_landscape(result.config, qhn.LandscapeConfig(), result.best_angles[best])


def test_both_sliders_move_the_surfaces_as_the_package_says(visit, scan):
    visitor = visit(path_to("landscape", **QUICK))
    root = landscape_of(visitor)
    panel = chart(visitor, "selbo")
    assert_values_of(visitor, root, scan)
    before = visitor.page.evaluate(VALUES, root)
    visitor.page.get_by_label("regularisation", exact=True).press("End")
    assert root.get_attribute("data-lambda") == "1000"
    assert_values_of(visitor, root, scan)
    after = visitor.page.evaluate(VALUES, root)
    changed = {name: after[name] != before[name] for name in after}
    assert changed == {"mle": False, "elbo": True, "selbo": True}
    drawn = "([node, value]) => Math.abs(node.data[0].z[3][5] - value) < 1e-9"
    visitor.page.wait_for_function(drawn, arg=[panel, after["selbo"][3 * 41 + 5]])
    visitor.wait_for_link(regularization=1000)
    visitor.page.get_by_label("kernel bandwidth").press("Home")
    assert_values_of(visitor, root, scan)
    visitor.wait_for_link(bandwidth=r"0\.25", regularization=1000)
    now = [visitor.page.locator(".qhn.landscape").element_handle(), chart(visitor, "selbo")]
    same = "([a, b, c, d]) => a === b && c === d"
    assert visitor.page.evaluate(same, [root, now[0], panel, now[1]]), "nothing was mounted anew"


@pytest.mark.parametrize("strength", ["1e308", "1.7e308"])
def test_a_lambda_at_which_the_objective_overflows_leaves_a_gap_and_draws_the_rest(visit, strength):
    link = {"regularization": strength, "objective": "elbo", "arrows": "chain-rule", "path": "true"}
    visitor = visit(path_to("landscape", **QUICK, **link))
    root = landscape_of(visitor)
    assert any(value is None or np.isinf(value) for value in visitor.page.evaluate(VALUES, root)["elbo"])
    for name in ("mle", "elbo", "selbo", "weights", "kernel"):
        visitor.page.wait_for_function("(node) => node.data?.length > 0", arg=chart(visitor, name))


def test_dragging_redraws_at_once_and_tells_python_on_release(visit, scan):
    visitor = visit(path_to("landscape", **QUICK))
    root = landscape_of(visitor)
    box = visitor.page.get_by_label("regularisation", exact=True).bounding_box()
    mouse, middle = visitor.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] * 0.5, middle)
    mouse.down()
    seen = []
    for share in (0.6, 0.8):
        draws = int(root.get_attribute("data-draws"))
        mouse.move(box["x"] + box["width"] * share, middle)
        visitor.page.wait_for_function(
            "([node, draws]) => Number(node.dataset.draws) > draws", arg=[root, draws]
        )
        seen.append(float(root.get_attribute("data-lambda")))
        assert_values_of(visitor, root, scan)
    assert 1 < seen[0] < seen[1]
    assert "regularization" not in visitor.link, "Python hears nothing before the release"
    mouse.up()
    visitor.wait_for_link(regularization=f"{seen[1]:g}")
    visitor.page.wait_for_function(
        """(text) => document.querySelector(".stSidebar .st-key-regularization input")
                     .getAttribute("aria-valuetext") === text""",
        arg=f"{seen[1]:g}",
    )
    assert_values_of(visitor, root, scan)


def test_the_arrows_follow_the_strength_for_the_true_gradient_and_not_for_algorithm_1(visit):
    heads = "(node) => [...node.data[2].x, ...node.data[2].y].filter((place) => place !== null)"
    for rule, moves in (("chain-rule", True), ("algorithm-1", False)):
        visitor = visit(path_to("landscape", **QUICK, arrows=rule))
        landscape_of(visitor)
        panel = chart(visitor, "elbo")
        visitor.page.wait_for_function("(node) => node.data?.[2]?.x.length > 100", arg=panel)
        before = visitor.page.evaluate(heads, panel)
        visitor.page.get_by_label("regularisation", exact=True).press("End")
        visitor.page.wait_for_function(
            "(node) => Math.min(...node.data[0].z.map((row) => Math.min(...row))) < -1000", arg=panel
        )
        after = visitor.page.evaluate(heads, panel)
        assert (len(after) == len(before) and np.allclose(after, before, atol=1e-6)) != moves


def test_a_click_opens_a_point_and_a_training_starts_there(visit):
    visitor = visit(path_to("landscape", **QUICK))
    landscape_of(visitor)
    box = visitor.page.locator('[data-chart="mle"]').bounding_box()
    visitor.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.3)
    visitor.page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.3)
    visitor.page.get_by_text(re.compile(r"^The networks at \(−?0\.[1-9]")).first.wait_for()
    visitor.press("Start training from here")
    visitor.wait_for_run()
    visitor.page.get_by_text("from given angles").wait_for()
    visitor.page.get_by_role("button", name="Random angles again").wait_for()


def test_the_offline_page_moves_without_a_server(chromium, scan, tmp_path):
    data = view_data(scan, Objective.of(scan.config), "words", field=gradient_field(scan, 5))
    (tmp_path / "page.html").write_text(landscape_html(data))
    context = chromium.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    own = ("file:", "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or errors.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    root = page.locator(".qhn.landscape").element_handle()
    page.wait_for_function("(node) => Number(node.dataset.draws) > 0", arg=root)
    panel = page.locator('[data-chart="selbo"]').element_handle()
    for key, strength in (("End", 1000), ("Home", 0)):
        page.get_by_label("regularisation", exact=True).press(key)
        expected = scan.values("selbo", regularization=strength)[3, 5]
        page.wait_for_function(
            "([node, value]) => Math.abs(node.data?.[0].z[3][5] - value) < 1e-9", arg=[panel, expected]
        )
    assert errors == []
    context.close()


def test_from_train_to_landscape_and_back_it_stays_the_same_run(visit):
    visitor = visit(path_to("", **QUICK)).wait_for_run(epoch=20, state="done")
    run = visitor.run_id
    visitor.page.get_by_role("link", name="Landscape").click()
    landscape_of(visitor)
    visitor.page.get_by_role("link", name="Train").click()
    visitor.wait_for_run(epoch=20, state="done")
    assert visitor.run_id == run
    assert visitor.config == qhn.RunConfig(**QUICK)


def brightness(color):
    """0 (black) to 765 (white) of a CSS color rgb(r, g, b)."""
    return sum(int(part) for part in re.findall(r"\d+", color)[:3])


# --- looks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "name"), [("", "objective"), ("landscape", "selbo")])
def test_page_and_plots_follow_the_theme_of_the_system(visit, path, name):
    visitor = visit(path_to(path, **QUICK))
    plot = chart(visitor, name)
    visitor.page.wait_for_function("(node) => node.layout?.font?.color", arg=plot)
    looks = """(node) => [getComputedStyle(document.querySelector(".stApp")).backgroundColor,
                          getComputedStyle(node.querySelector(".xtick text")).fill]"""
    light = visitor.page.evaluate(looks, plot)
    visitor.page.emulate_media(color_scheme="dark")
    visitor.page.wait_for_function(
        f"([node, light]) => ({looks})(node).every((color, i) => color !== light[i])", arg=[plot, light]
    )
    dark = visitor.page.evaluate(looks, plot)
    page, text = ([brightness(colors[i]) for colors in (light, dark)] for i in (0, 1))
    assert page[0] > 700 > 100 > page[1]
    assert text[0] + 100 < text[1], "light text on dark, dark text on light"
