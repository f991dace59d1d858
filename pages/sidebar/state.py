"""What the controls of the sidebar show at first, and what they are to show when they are drawn next."""

from typing import Any

import streamlit as st

from qhn_core.config import RunConfig

PAGE_DEFAULTS = {"n_seeds": 8}
"""Where the page starts from something else than RunConfig: enough seeds for a band."""


def default(field: str) -> Any:
    """What a control shows at first."""
    return PAGE_DEFAULTS.get(field, RunConfig.model_fields[field].default)


def add_stop(field: str, value: Any) -> None:
    """Let the slider of `field` stand at a value between its stops; a value out of range is left out."""
    stops = st.session_state.setdefault("stops", {"regularization": [], "bandwidth": []})
    try:
        RunConfig(**{field: float(value)})
    except (TypeError, ValueError):
        return
    stops[field].append(float(value))


def is_stop(field: str, text: str | None) -> bool:
    """Whether add_stop took the value."""
    try:
        return text is not None and float(text) in st.session_state.get("stops", {}).get(field, [])
    except ValueError:
        return False


def set_controls(values: dict[str, Any]) -> None:
    """Let the controls stand so when the sidebar is drawn next: a control that is drawn can't be set."""
    for field in ("regularization", "bandwidth"):
        add_stop(field, values.get(field))
    st.session_state.setdefault("wanted", {}).update(values)  # two callbacks may come before one run


def set_controls_from(config: RunConfig) -> None:
    """Set every control to what it was for a run."""
    exact = config.shots is None
    shots = default("shots") if exact else config.shots
    drawn = config.model_dump(exclude={"dataset_noise", "dataset_scale", "simulator", "initial_angles"})
    given = {"initial_angles": config.initial_angles}
    set_controls({**drawn, **given, "bandwidth": config.h, "exact": exact, "shots": shots})


def stops(field: str, options: list[float]) -> list[float]:
    """Where the slider of `field` can stand."""
    return sorted({*options, *st.session_state.get("stops", {}).get(field, [])})
