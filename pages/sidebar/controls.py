"""The sidebar: every control that defines a run, drawn from the table."""

from typing import Any

import streamlit as st
from pydantic import ValidationError

from pages.parts.session import refusal
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.coupled import choose_dataset, hidden_neurons, keep_at_quarter, quarter_of
from pages.sidebar.presets import presets
from pages.sidebar.state import default
from pages.sidebar.table import ADVANCED, CONTROLS, LEFT, MAIN, RIGHT
from pages.sidebar.thumbnails import dataset_pictures
from pages.sidebar.url import read_sidebar
from qhn_core.config import RunConfig, explain


class Sidebar:
    """One drawing of the controls: the values chosen so far, and a place below each for a complaint."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.slots: dict[str, Any] = {}

    def draw(self, field: str) -> None:
        """Draw one control, as the values above it demand."""
        options = getattr(self, f"_{field}", dict)()
        first = options.pop("first", default(field))
        self.values[field] = CONTROLS[field].draw(first, **options)
        self.slots[field] = st.empty()

    def _dataset(self) -> dict[str, Any]:
        st.image(dataset_pictures(), width="stretch")
        return {"on_change": choose_dataset}

    def _regularization(self) -> dict[str, Any]:
        return {"disabled": self.values["objective"] == "mle"}

    def _bandwidth(self) -> dict[str, Any]:
        quarter = visitor().drawn_quarter = quarter_of(self.values["dataset"], hidden_neurons())
        visitor().drawn_dataset = self.values["dataset"]
        disabled = self.values["objective"] != "selbo"
        return {"first": quarter, "name": (quarter, " = n/4"), "disabled": disabled}

    def _n_hidden(self) -> dict[str, Any]:
        return {"on_change": keep_at_quarter}

    def _shots(self) -> dict[str, Any]:
        return {"disabled": self.values["exact"]}

    def config(self) -> RunConfig:
        """Return the config that the controls show; raises ValidationError."""
        fields = {name: value for name, value in self.values.items() if name != "exact"}
        if self.values["exact"]:
            fields["shots"] = None
        if fields["bandwidth"] == visitor().drawn_quarter:
            fields["bandwidth"] = None
        return RunConfig(**fields, initial_angles=visitor().initial_angles)

    def complain(self, error: ValidationError) -> None:
        """Show each complaint below its control, and all of them where they are seen."""
        st.error(plain(explain(error)))
        for item in error.errors():
            field = item["loc"][0] if item["loc"] else "shots"
            if field in self.slots:
                self.slots[field].caption(f":red[{plain(item['msg'].removeprefix('Value error, '))}]")


def sidebar_controls() -> RunConfig | None:
    """Draw the sidebar; return the config that it shows, or None where it is not valid (and say why)."""
    read_sidebar()
    for field, value in visitor().wanted.items():
        st.session_state[field] = value
    visitor().wanted.clear()
    sidebar = Sidebar()
    with st.sidebar:
        for control in MAIN:
            sidebar.draw(control.field)
        with st.expander("Advanced"):
            for control in ADVANCED:
                sidebar.draw(control.field)
            for column, controls in zip(st.columns(2), (LEFT, RIGHT), strict=True):
                with column:
                    for control in controls:
                        sidebar.draw(control.field)
        presets()
        _initial_angles()
        try:
            config = sidebar.config()
        except ValidationError as error:
            sidebar.complain(error)
            return None
        if reason := refusal(config):
            st.error(plain(reason))
            return None
        return config


def _initial_angles() -> None:
    """Say where the next run starts, unless at random angles, and offer those."""
    if visitor().initial_angles is not None:
        st.caption("Every seed starts at a chosen point of a landscape.")
        st.button("Random angles again", on_click=_forget_angles, width="stretch")


def _forget_angles() -> None:
    visitor().initial_angles = None
