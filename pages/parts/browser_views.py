"""The live views as Streamlit components: JavaScript of `assets/` around Plotly."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import streamlit as st

from pages.parts.visitor import Press, visitor
from pages.server import PLOTLY_PATH
from qhn_core.assets import asset_text
from qhn_core.figures.javascript import bundle

MODULES = {"live_run": "live_run.js", "landscape": "landscape/landscape.js"}


@cache
def _component(name: str) -> Any:
    css = "\n".join(asset_text(f"{part}.css") for part in ("plots", name))
    return st.components.v2.component(f"qhn_{name}", css=css, js=bundle(MODULES[name]))


def on_this_server(path: str) -> str:
    """Return a path of this server, below its base path."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}{path}" if base else path


def live_run(events_path: str | None, offers: dict[str, bool]) -> None:
    """Draw the buttons, the header and four views of a run, fed by its event stream.

    events_path: of the stream; None before there is a run. offers: which buttons the page allows, where
    the state of the run, which the view itself knows, does not say so.
    """
    data = {
        "plotly_url": on_this_server(PLOTLY_PATH),
        "events_url": None if events_path is None else on_this_server(events_path),
        "offers": offers,
        "answered": visitor().answered,
        "replay": visitor().replay,
    }
    _component("live_run")(key="live", data=data, on_presses_change=_note_presses)


def _note_presses() -> None:
    """Note the presses that the view has sent: the page may be run anew before it comes to obey them."""
    known = max([visitor().answered, *(press.serial for press in visitor().presses)])
    sent = [Press(str(p["action"]), int(p["serial"])) for p in st.session_state["live"]["presses"] or []]
    visitor().presses += [press for press in sent if press.serial > known]


def take_presses() -> Iterator[Press]:
    """Yield the buttons that were pressed and not yet obeyed, each once, the oldest first."""
    while visitor().presses:
        press = visitor().presses.pop(0)
        visitor().answered = press.serial
        yield press


def landscape(data: dict[str, Any], key: str, **callbacks: Any) -> Any:
    """Draw three surfaces whose λ and h move in the browser; a `point` in `data` lets one be chosen."""
    return _component("landscape")(
        key=key, data={"plotly_url": on_this_server(PLOTLY_PATH), **data}, **callbacks
    )
