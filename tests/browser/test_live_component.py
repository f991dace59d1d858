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
    window.draw = (status) => {
        module.default({
            parentElement: document.body, data: { events_url: "/events", status },
            setTriggerValue: (name, value) => window.told.push([name, value]),
        });
    };
    window.send = (state) => {
        const data = JSON.stringify({ status: { state } });
        window.stream.dispatchEvent(new MessageEvent("delta", { data }));
    };
}"""


@pytest.fixture
def page(shared_context):
    """draw(status): the page was drawn for it; send(state): the run is in it; told: what the page hears."""
    page = shared_context.new_page()
    page.goto("about:blank")
    code = bundle("live_run.js")
    page.evaluate(START, code)
    yield page
    page.close()


def told(page):
    return [state for name, state in page.evaluate("told") if name == "status"]


def test_the_page_hears_when_the_run_is_no_longer_as_it_was_drawn(page):
    page.evaluate("draw('queued'); send('queued'); send('running'); send('running')")
    assert told(page) == ["running"]
    page.evaluate("draw('running'); send('done')")
    assert told(page) == ["running", "done"]


def test_a_page_that_comes_after_the_run_has_changed_hears_it_too(page):
    """A step is over before the page comes that was drawn while it ran."""
    page.evaluate("draw('paused'); send('paused'); send('running'); send('paused')")
    before = told(page)
    page.evaluate("draw('running')")
    assert told(page) == [*before, "paused"]


def test_a_page_that_is_ahead_of_the_stream_is_told_at_most_once(page):
    page.evaluate("draw('running'); send('running')")
    page.evaluate("for (let i = 0; i < 5; i++) draw('paused')")
    assert told(page) in ([], ["running"])
    page.evaluate("send('paused'); draw('paused')")
    assert told(page) in ([], ["running"])
