"""The pages without a browser: Streamlit's AppTest on a job service of one thread."""

import base64
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import pages.parts.session
import qhn_core.jobs.service
from qhn_core.jobs import scheduler
from qhn_core.jobs.service import JobService
from qhn_core.jobs.workers import thread_workers
from tests import SECONDS

ROOT = Path(__file__).parents[2]


def as_read(markdown):
    """Markdown without the marks that keep text from being read as Markdown."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown.replace("\u2060", "")).replace("  \n", "\n")


class Page:
    """One visitor of one page. `at` is Streamlit's AppTest."""

    def __init__(self, name, service, link):
        self.service = service
        self.at = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=SECONDS)
        for field, text in link.items():
            self.at.query_params[field] = text
        self.look()

    def look(self):
        """Run the script again, as a browser does when something happened."""
        self.at.run()
        assert [e.message for e in self.at.exception] == []
        return self

    def set(self, **values):
        """Move controls, one rerun each."""
        for field, value in values.items():
            self.at.get_by_key(field).set_value(value)
            self.look()
        return self

    def press(self, label):
        self.button(label).click()
        return self.look()

    def act(self, action):
        """Press a button of the live view: "play", "pause", "step" or "reset"."""
        self.memory.action = action
        return self.look()

    def button(self, label):
        [found] = [b for b in self.at.button if b.label == label]
        return found

    def buttons(self):
        """{label: whether it can be pressed}."""
        return {b.label: not b.disabled for b in self.at.button}

    @property
    def memory(self):
        """What the pages remember of this visitor."""
        return self.at.session_state["visitor"]

    def value(self, field):
        return self.at.get_by_key(field).value

    @property
    def job(self):
        return self.service.get(self.memory.job)

    @property
    def has_job(self):
        return self.memory.job is not None

    @property
    def rested(self):
        """The job on show once it has come to rest."""
        return self.service.wait(self.job.id, SECONDS)

    @property
    def badge(self):
        """Whether the page says that its controls are no longer those of the run on show."""
        return any("settings changed" in m.value for m in self.at.markdown)

    @property
    def view(self):
        """What the live view or the landscape is given."""
        [component] = self.at.get("bidi_component")
        return json.loads(component.proto.json)

    def numbers(self, name):
        """An array that the view is given: float64 as base64."""
        return np.frombuffer(base64.b64decode(self.view[name]), dtype="<f8")

    @property
    def text(self):
        """All messages on the page, as one text, as a reader sees them."""
        kinds = (self.at.error, self.at.warning, self.at.info, self.at.caption)
        return as_read("\n".join(item.value for kind in kinds for item in kind))


@pytest.fixture
def service(monkeypatch):
    """A job service on one thread, without a store, in the place of the app's own."""
    service = JobService(thread_workers())
    for module in (qhn_core.jobs.service, pages.parts.session):
        monkeypatch.setattr(module, "default_service", lambda: service)
    yield service
    service.shutdown()


@pytest.fixture
def go_on(service, monkeypatch):
    """Runs stop after their first epoch, however long the test takes; go_on() lets them run to the end."""
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e-6)

    def let_go():
        monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e6)
        for job in service.jobs():
            job.due = 0.0

    return let_go


@pytest.fixture(autouse=True)
def keep_main(monkeypatch):
    """AppTest leaves its page behind as `__main__`, and spawned processes of later tests would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def visit(service):
    """visit(page, **link) -> a Page that a visitor opened at that address."""
    yield lambda name="train", **link: Page(name, service, link)
    st.cache_data.clear()
    st.cache_resource.clear()
