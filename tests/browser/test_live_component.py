"""assets/live_run.js on its own, with a test in the place of Streamlit and of the event stream."""

import pytest

from qhn_core.figures.javascript import bundle

pytestmark = pytest.mark.slow

START = """async (code) => {
    window.EventSource = class extends EventTarget {
        constructor() { super(); window.stream = this; }
        close() {}
    };
    const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    window.told = [];
    window.draw = (offers = {}, answered = 0, replay = 0) => {
        module.default({
            parentElement: document.body, data: { events_url: "/events", offers, answered, replay },
            setTriggerValue: (name, value) => window.told.push(value),
        });
    };
    window.send = (state, epoch = 0) => {
        const data = JSON.stringify({ status: { state, epoch, epochs: 20 } });
        window.stream.dispatchEvent(new MessageEvent("snapshot", { data }));
    };
}"""


@pytest.fixture
def page(shared_context):
    """draw(offers, answered, replay): as the page does; send(state): as the stream; told: by the view."""
    page = shared_context.new_page()
    page.goto("about:blank")
    code = bundle("live_run.js")
    page.evaluate(START, code)
    yield page
    page.close()


def buttons(page):
    """{label: whether it can be pressed} of the buttons that are seen."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".transport button:not([hidden])")]
            .map((node) => [node.textContent, node.getAttribute("aria-disabled") !== "true"]))"""
    )


def told(page):
    return [[press["action"] for press in presses] for presses in page.evaluate("told")]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("queued", {"Pause": True, "Step": False}),
        ("running", {"Pause": True, "Step": False}),
        ("pausing", {"Play": True, "Step": True}),
        ("paused", {"Play": True, "Step": True}),
        ("interrupted", {"Play": True, "Step": True}),
        ("done", {"Play": True, "Step": False}),
        ("diverged", {"Play": True, "Step": False}),
        ("failed", {"Play": True, "Step": False}),
    ],
)
def test_the_buttons_say_what_the_state_allows_while_the_page_is_silent(page, state, expected):
    """Only the stream speaks: the page was drawn once, and a rerun of it may come late or never."""
    page.evaluate("draw({ reset: true }); send('running')")
    page.evaluate("(state) => send(state)", state)
    assert buttons(page) == {**expected, "Reset": True, "Train": False, "Pin": False}


def test_train_is_offered_where_the_settings_have_changed(page):
    page.evaluate("draw({ train: true }); send('paused')")
    assert buttons(page)["Train"]
    assert page.locator(".changed").inner_text() == "settings changed"
    page.evaluate("draw({})")
    assert not buttons(page)["Train"]
    assert page.locator(".changed").is_hidden()


def test_a_press_is_sent_until_the_page_has_answered_it(page):
    page.evaluate("draw(); send('running')")
    page.get_by_role("button", name="Pause").click()
    page.evaluate("send('paused')")
    page.get_by_role("button", name="Step").press("Enter")
    assert told(page) == [["pause"], ["pause", "step"]]
    page.evaluate("draw({}, told[1][0].serial)")
    page.get_by_role("button", name="Play").click()
    assert told(page)[2] == ["step", "play"]
    serials = [press["serial"] for press in page.evaluate("told")[1]]
    assert serials[0] < serials[1]


def test_a_button_that_is_off_sends_nothing(page):
    page.evaluate("draw(); send('running')")
    page.get_by_role("button", name="Step").press("Enter")
    assert told(page) == []


def test_a_finished_run_is_replayed_in_the_browser_alone(page):
    page.evaluate("draw(); send('done', 20)")
    page.get_by_role("button", name="Play").click()
    page.locator('.qhn[data-replay="moving"]').wait_for()
    page.get_by_role("button", name="Pause").click()
    assert "replay" in page.locator(".message").inner_text()
    epoch = int(page.locator(".qhn").get_attribute("data-epoch"))
    page.get_by_role("button", name="Step").click()
    assert int(page.locator(".qhn").get_attribute("data-epoch")) == epoch + 1
    page.get_by_role("button", name="Play").click()
    page.locator('.qhn[data-replay=""][data-epoch="20"]').wait_for()
    assert page.locator(".word").inner_text() == "done"
    assert told(page) == []


def test_a_run_that_was_trained_before_is_replayed_once(page):
    page.evaluate("draw({}, 1, 1); send('done', 20)")
    page.locator('.qhn[data-replay="moving"]').wait_for()
    page.locator('.qhn[data-replay=""]').wait_for()
    page.evaluate("draw({}, 1, 1)")
    assert page.locator(".qhn").get_attribute("data-replay") == ""
