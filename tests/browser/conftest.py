"""The real app in a real Chromium, and what several browser tests do with it."""

import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import sync_playwright

import qhn_core as qhn
from tests import SECONDS
from tests.service.browserless import AppServer

ROOT = Path(__file__).parents[2]
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREEN = {"width": 1440, "height": 900}
PAGE_DEFAULTS = {"n_seeds": 8}
"""What the page's controls start from where it is not RunConfig's own default."""


def no_browser(reason):
    """Skip, but not on CI: there a browser is promised."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of the app, started as the README says, with a store of its own."""
    server = AppServer(tmp_path_factory.mktemp("qhn"))
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        no_browser(f"none of {', '.join(CHROMIUMS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_context(chromium):
    """What the visitors of a module have in common: a cache, so that a page opens in a second."""
    context = chromium.new_context(viewport=SCREEN)
    yield context
    context.close()


@pytest.fixture
def visit(server, chromium, shared_context):
    """visit(path) -> a Visitor in a tab of its own; elsewhere=True: in a browser of its own.

    At the end no visitor may have seen an error on the browser's console.
    """
    opened = []

    def open_tab(path="/", elsewhere=False):
        context = chromium.new_context(viewport=SCREEN) if elsewhere else shared_context
        opened.append(Visitor(context.new_page(), server))
        return opened[-1].go(path)

    yield open_tab
    for visitor in opened:
        visitor.page.close()
    assert [error for visitor in opened for error in visitor.errors] == []


class Visitor:
    """One browser tab. `page` is Playwright's."""

    def __init__(self, page, server):
        self.page, self.server, self.errors = page, server, []
        page.set_default_timeout(SECONDS * 1000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._listen)

    def _listen(self, message):
        known = "_stcore" in message.location.get("url", "")  # Streamlit's own
        if message.type == "error" and not known:
            self.errors.append(f"{message.text} {message.location}")

    def go(self, path):
        self.page.goto(self.server + path)
        return self

    @property
    def link(self):
        """The fields in the address, without the run."""
        fields = dict(parse_qsl(urlsplit(self.page.url).query))
        fields.pop("run", None)
        return fields

    @property
    def run_id(self):
        return dict(parse_qsl(urlsplit(self.page.url).query)).get("run")

    @property
    def fields(self):
        """What the address and the page's defaults make of a RunConfig."""
        fields = {**PAGE_DEFAULTS, **self.link}
        if fields.pop("exact", "false") == "true":
            fields["shots"] = None
        return fields

    @property
    def config(self):
        return qhn.RunConfig(**self.fields)

    def wait_for_link(self, **fields):
        """Until the address has these fields; a value is a regular expression."""
        for name, value in fields.items():
            self.page.wait_for_url(re.compile(rf"[?&]{name}={value}(&|$)"))
        return self

    # --- the Train page

    def wait_for_run_of(self, config):
        """Until the view shows a run of this config that has begun."""
        words = re.compile("^" + re.escape(config.in_words()))
        self.page.locator(".qhn.live .config").filter(has_text=words).wait_for()
        return self.wait_for_run()

    @property
    def live(self):
        return self.page.locator(".qhn.live")

    def wait_for_run(self, epoch=1, state=None):
        """Until the run on show has come to an epoch, or to a state."""
        there = """(node, [epoch, state]) => Number(node.dataset.epoch) >= epoch
                   && (!state || node.dataset.state === state)"""
        give_up = time.monotonic() + SECONDS
        while not self.live.evaluate(there, [epoch, state]):  # each time of the node that is there now
            assert time.monotonic() < give_up, f"the run does not come to epoch {epoch}, {state}"
            self.page.wait_for_timeout(20)
        return self

    def wait_for_rest(self):
        """Until the page's script is over, and will not run again by itself."""
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        return self

    def press(self, label):
        """Press a button once the page is at rest: else another may come in its place under the mouse."""
        self.wait_for_rest().page.get_by_role("button", name=label, exact=True).click()
        return self

    def number(self, label):
        """A number of the header, as text."""
        return self.page.locator(f'[data-number="{label}"]').inner_text()

    def move(self, field, key, times=1):
        """Move a slider of the sidebar with the keyboard; wait until the address follows."""
        thumb = self.page.locator(f".st-key-{field} input[type=range]")
        thumb.focus()
        for _ in range(times):
            thumb.press(key)
        self.page.wait_for_function(
            """(name) => {
              const thumb = document.querySelector(`.st-key-${name} input[type=range]`);
              const shown = thumb.getAttribute("aria-valuetext");
              return Number(new URL(location).searchParams.get(name)) === Number(shown);
            }""",
            arg=field,
        )
        return self

    def controls(self):
        """{field: what its control shows} for all controls of the sidebar."""
        return self.page.evaluate(
            """(fields) => Object.fromEntries(fields.flatMap((field) => {
              const box = document.querySelector(`.stSidebar .st-key-${field}`);
              if (!box) return [];
              const input = box.querySelector("input");
              const chosen = box.querySelector("[role=radio][aria-checked=true]");
              if (!input) return [[field, chosen.textContent]];
              if (input.type === "range") return [[field, input.getAttribute("aria-valuetext")]];
              return [[field, input.type === "checkbox" ? input.checked : input.value]];
            }))""",
            [*qhn.RunConfig.model_fields, "exact"],
        )


def path_to(page, **fields):
    """The path of a page with fields in its query."""
    return f"/{page}?{urlencode(fields)}"
