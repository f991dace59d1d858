"""The pages on a phone."""

import pytest

from .conftest import path_to

pytestmark = pytest.mark.slow


def test_on_a_phone_the_sidebar_is_closed_at_first_and_nothing_is_cut_off(visit):
    visitor = visit(path_to("", n_hidden=1, n_seeds=2, epochs=20), elsewhere=True)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.page.reload()
    visitor.wait_for_run().wait_for_rest()
    visitor.page.get_by_test_id("stExpandSidebarButton").wait_for()
    train = visitor.page.get_by_role("button", name="Train", exact=True)
    train.click(trial=True)  # fails where something lies on the button
    widest = """() => Math.max(...[document.documentElement, document.querySelector("[data-testid=stMain]")]
        .map((node) => node.scrollWidth))"""
    assert visitor.page.evaluate(widest) <= 391
