"""The live views as Streamlit components: JavaScript of `assets/` around Plotly."""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

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


def live_run(
    events_path: str | None, key: str, can_reset: bool, replay: int, on_action: Callable[[], None]
) -> None:
    """Draw the buttons, the header and four views of a run, fed by its event stream.

    events_path: of the stream; None before there is a run. can_reset: whether Reset may be pressed.
    replay: counts the finished runs that were asked for; the view plays the run on show when it grows.
    on_action: called before the page runs again for a press; `st.session_state[key]["action"]` is then
    "play", "pause", "step" or "reset". The labels follow the run itself, so the page need not be drawn anew
    when the run changes.
    """
    data = {
        "plotly_url": on_this_server(PLOTLY_PATH),
        "events_url": None if events_path is None else on_this_server(events_path),
        "can_reset": can_reset,
        "replay": replay,
    }
    _component("live_run")(key=key, data=data, on_action_change=on_action)


def landscape(data: dict[str, Any], key: str, **callbacks: Any) -> Any:
    """Draw three surfaces whose λ and h move in the browser; a `point` in `data` lets one be chosen."""
    return _component("landscape")(
        key=key, data={"plotly_url": on_this_server(PLOTLY_PATH), **data}, **callbacks
    )
