"""The values of the sidebar's controls: at first, and for the next run of the page."""

from typing import Any

from pages.parts.session import refusal
from pages.parts.visitor import visitor
from pages.sidebar.kinds import Slider
from pages.sidebar.table import CONTROLS
from qhn_core.config import RunConfig

SMALLEST = {"n_hidden": 1, "n_seeds": 1, "epochs": 1}
"""The fields that a server limits, at their least."""


def default(field: str) -> Any:
    """Return the value of a control at first."""
    return within_limits(field, CONTROLS[field].first)


def within_limits(field: str, value: Any) -> Any:
    """Halve a value until this server takes it on, where the server limits that field."""
    while field in SMALLEST and value > 1 and refusal(RunConfig(**{**SMALLEST, field: value})):
        value //= 2
    return value


def add_stop(field: str, value: float | None) -> None:
    """Let a slider stand at a value between its stops; leave out a value that is not in range."""
    slider = CONTROLS[field]
    if isinstance(slider, Slider) and value is not None:
        slider.add_stop(value)


def set_controls(values: dict[str, Any]) -> None:
    """Set widget values for the next rerun; Streamlit forbids it once a widget is drawn."""
    for field in ("regularization", "bandwidth"):
        add_stop(field, values.get(field))
    visitor().wanted.update(values)  # two callbacks may come before one run


def set_controls_from(config: RunConfig) -> None:
    """Set every control to its value in a run's config."""
    exact = config.shots is None
    shots = default("shots") if exact else config.shots
    drawn = {name: value for name, value in config.model_dump().items() if name in CONTROLS}
    visitor().initial_angles = config.initial_angles
    set_controls({**drawn, "bandwidth": config.h, "exact": exact, "shots": shots})
