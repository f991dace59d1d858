"""What the pages remember of one visitor between two runs of a page."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from qhn_core.config import LandscapeConfig


@dataclass
class Visitor:
    """One browser tab. The values of widgets are Streamlit's own and are not in here."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names this visitor to the job service."""
    job: str | None = None
    """Id of the run on show."""
    lost: str | None = None
    """Id of a run that was asked for and that the server does not have."""
    action: str | None = None
    """Button of the live view that was pressed: "play", "pause", "step" or "reset"."""
    replays: int = 0
    """Finished runs that were asked for and are played again."""
    came_before: bool = False
    """Whether Train has been drawn: only the first visit starts a run without a click."""

    initial_angles: tuple[float, ...] | None = None
    """Angles that the next run starts from; None: random ones."""
    wanted: dict[str, Any] = field(default_factory=dict)
    """Widget values for the next run of the page."""
    stops: dict[str, list[float]] = field(default_factory=lambda: {"regularization": [], "bandwidth": []})
    """Values between the usual stops of a slider, by field."""
    drawn_dataset: str = ""
    """The dataset that the controls were last drawn for."""
    drawn_quarter: float = 0.0
    """n/4 of the network that the controls were last drawn for."""

    asked: dict[str, Any] = field(default_factory=dict)
    """Values that the address gave when the page was opened, by field."""
    problems: dict[str, list[str]] = field(default_factory=dict)
    """Requests of the address that could not be met, by the set of controls that they were made to."""

    first_plane: LandscapeConfig | None = None
    """The plane on show when the page complained about the address."""
    scanning: Any = None
    """The scan on show: a `scan_progress.Scanning`."""
    point: tuple[float, float] | None = None
    """The point of the plane that was clicked, in radians."""
    leave_for: str | None = None
    """The page to switch to, set by a callback: Streamlit switches pages only outside callbacks."""
    imported: str | None = None
    """Id of the last uploaded file that was imported."""


def visitor() -> Visitor:
    """Return what is remembered of this visitor, made on the first call."""
    if "visitor" not in st.session_state:
        st.session_state.visitor = Visitor()
    known: Visitor = st.session_state.visitor
    return known
