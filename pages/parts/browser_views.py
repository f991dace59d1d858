"""The live views as Streamlit components: JavaScript of `assets/` around Plotly."""

from functools import cache
from typing import Any

import streamlit as st

from pages.server import PLOTLY_PATH
from qhn_core.assets import asset_text


@cache
def _component(name: str) -> Any:
    def text(kind: str) -> str:
        return "\n".join(asset_text(f"{part}.{kind}") for part in ("plots", name))

    return st.components.v2.component(f"qhn_{name}", css=text("css"), js=text("js"))


def on_this_server(path: str) -> str:
    """A path of this server, below its base path."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}{path}" if base else path


def live_run(events_path: str | None, status: str | None, key: str) -> None:
    """The header and four views of a run, fed by its event stream; None before there is one.

    The page runs again when the run is no longer in the `status` that the page was drawn for.
    """
    url = None if events_path is None else on_this_server(events_path)
    data = {"plotly_url": on_this_server(PLOTLY_PATH), "events_url": url, "status": status}
    _component("live_run")(key=key, data=data, on_status_change=lambda: None)


def landscape(data: dict[str, Any], key: str, **callbacks: Any) -> Any:
    """Three surfaces whose λ and h move in the browser; where `data` has a `point`, one can be chosen."""
    return _component("landscape")(
        key=key, data={"plotly_url": on_this_server(PLOTLY_PATH), **data}, **callbacks
    )
