"""The live views as Streamlit components: JavaScript of `assets/` around Plotly."""

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


def live_run(events_path: str | None, status: str | None, key: str) -> None:
    """Draw the header and four views of a run, fed by its event stream.

    events_path: of the stream; None before there is a run. The page runs again when the run leaves the
    `status` that the page was drawn for.
    """
    url = None if events_path is None else on_this_server(events_path)
    data = {"plotly_url": on_this_server(PLOTLY_PATH), "events_url": url, "status": status}
    _component("live_run")(key=key, data=data, on_status_change=lambda: None)


def landscape(data: dict[str, Any], key: str, **callbacks: Any) -> Any:
    """Draw three surfaces whose λ and h move in the browser; a `point` in `data` lets one be chosen."""
    return _component("landscape")(
        key=key, data={"plotly_url": on_this_server(PLOTLY_PATH), **data}, **callbacks
    )
