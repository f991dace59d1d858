"""Text that a link brings in, as Streamlit's own Markdown shows it in the browser."""

import pytest
from playwright.sync_api import expect

from .conftest import path_to

HOSTILE = (
    "![a](https://a.example/a.png) [b](https://b.example) <b>c</b> https://d.example/x www.e.example "
    "f@g.example :smile: :material/delete: :red[h] $i$ `j` **k** ~~l~~ # m"
)


@pytest.mark.parametrize("field", [HOSTILE, "run", "dataset", "epochs"])
def test_text_of_a_link_is_shown_as_text(visit, field):
    visitor = visit(path_to("", **{field: HOSTILE}))
    alert = visitor.page.get_by_test_id("stAlert").first
    expect(alert).to_contain_text(HOSTILE.replace("www", "www\u2060")[:10])
    assert HOSTILE in alert.inner_text().replace("\u2060", "")
    read_as_markdown = (
        "a, img, b, strong, del, code, h1, .katex, [data-testid=stIconMaterial], .stMarkdownColoredText"
    )
    inside = alert.get_by_test_id("stMarkdownContainer").locator(read_as_markdown)
    assert inside.evaluate_all("(nodes) => nodes.map((node) => node.outerHTML)") == []


def test_a_number_in_another_spelling_stays_in_the_address(visit):
    fields = {"regularization": "2.5e1", "bandwidth": "0.70", "min_delta": "1e-5", "n_seeds": "2.0"}
    visitor = visit(path_to("", **fields, n_hidden=1, epochs=20)).wait_for_run().wait_for_rest()
    kept = {name: float(text) for name, text in visitor.link.items()}
    assert kept == {name: float(text) for name, text in fields.items()} | {"n_hidden": 1, "epochs": 20}
    visitor.page.reload()
    visitor.wait_for_run().wait_for_rest()
    assert {name: float(text) for name, text in visitor.link.items()} == kept
