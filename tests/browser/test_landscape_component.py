"""assets/landscape/ on its own, with a test in the place of Streamlit and without Plotly."""

import base64

import numpy as np
import pytest

from qhn_core.figures.javascript import bundle

pytestmark = pytest.mark.slow

START = """async ([code, data]) => {
    const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const sent = [];
    window.show = (changes) => {
        module.default({
            parentElement: document.body, data: { ...data, ...changes },
            setStateValue: (name, value) => sent.push([name, value]), setTriggerValue: () => {},
        });
    };
    window.sent = sent;
    window.show({});
}"""


def encoded(values):
    return base64.b64encode(np.asarray(values, dtype="<f8").tobytes()).decode()


@pytest.fixture
def page(shared_context):
    """The landscape of a made-up plane of 11 x 11 points and 6 qubits, at λ = 1 and h = 1.5."""
    rng = np.random.default_rng(0)
    page = shared_context.new_page()
    page.goto("about:blank")
    code = bundle("landscape/landscape.js")
    data = {
        "axis": encoded(np.linspace(-1, 1, 11)),
        "shape": [11, 11],
        "n_qubits": 6,
        "expected_log_likelihood": encoded(rng.normal(size=121)),
        "entropy": encoded(rng.uniform(0, 4, 121)),
        "correlators": encoded(rng.uniform(size=(121, 6))),
        "regularization": 1.0,
        "bandwidth": 1.5,
    }
    page.evaluate(START, [code, data])
    yield page
    page.close()


def strength(page):
    return float(page.locator(".qhn.landscape").get_attribute("data-lambda"))


def test_a_strength_from_the_sidebar_moves_the_slider(page):
    page.evaluate("show({ regularization: 10 })")
    assert strength(page) == 10
    page.evaluate("show({ bandwidth: 0.5 })")
    assert page.locator(".qhn.landscape").get_attribute("data-h") == "0.5"


def test_an_echo_of_what_was_sent_changes_nothing(page):
    slider = page.get_by_label("regularisation", exact=True)
    slider.press("End")
    assert page.evaluate("sent").count(["regularization", 1000]) == 1
    page.evaluate("show({ regularization: 1000 })")
    assert strength(page) == 1000
    page.evaluate("show({ regularization: 10 })")
    assert strength(page) == 10, "after the echo the sidebar is heard again"


def test_an_answer_to_an_earlier_key_does_not_take_the_slider_back(page):
    """A visitor who holds the key down is ahead of the server."""
    slider = page.get_by_label("regularisation", exact=True)
    for _ in range(3):
        slider.press("ArrowRight")
    first, *_, last = [value for name, value in page.evaluate("sent") if name == "regularization"]
    assert first < last == strength(page)
    page.evaluate("(value) => show({ regularization: value })", first)
    assert strength(page) == last
    page.evaluate("(value) => show({ regularization: value })", last)
    assert strength(page) == last
