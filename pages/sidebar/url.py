"""The address of a page: what it asked for, and what of that could not be had."""

from collections.abc import Iterable
from typing import Any

import streamlit as st
from pydantic import ValidationError

from pages.sidebar.state import add_stop, is_stop
from qhn_core.config import RunConfig, explain

Offer = tuple[Any, ...]
"""What a control can be set to: its least and its largest number, or all its words."""
NOT_FIELDS = {
    *("run", "pins", "embed", "embed_options"),
    *("plane", "radius", "resolution", "plane_seed", "path", "arrows", "look"),
}
"""URL parameters that are no field of a run."""


def read_link() -> None:
    """Keep what the address asks for when the page is opened, and make room for it on the sliders."""
    if "link" in st.session_state:
        return
    st.session_state.link = {k: v for k, v in st.query_params.to_dict().items() if k not in NOT_FIELDS}
    for field in ("regularization", "bandwidth"):
        text = st.session_state.link.get(field)
        add_stop(field, text)
        if is_stop(field, text) and f"{float(text):g}" != text:
            st.session_state[field] = float(text)  # Streamlit reads 25, not 25.0 or 2.5e1


def check_link(chosen: dict[str, Any], offered: dict[str, Offer]) -> None:
    """On the first run, compare what the address asked for with what the controls took from it."""
    if "link_problems" not in st.session_state:
        problems = [_problem(field, text, chosen, offered) for field, text in st.session_state.link.items()]
        st.session_state.link_problems = [p for p in problems if p]


def report_link() -> bool:
    """Say what the address of this page asked for that it could not give; whether there was anything."""
    problems = st.session_state.get("link_problems", [])
    lost = st.session_state.get("lost")
    if lost:
        st.warning(
            f"This server does not have the run {lost}. Train makes a run of the controls as they stand."
        )
    warn(problems)
    return bool(problems or lost)


def warn(problems: Iterable[str]) -> None:
    """Say what of a link is not on offer, where anything is not."""
    if lines := "\n".join(f"- {p}" for p in problems):
        st.warning(f"This link asks for what is not on offer:\n{lines}\n\nDefaults are used in its place.")


def _problem(field: str, text: str, chosen: dict[str, Any], offered: dict[str, Offer]) -> str:
    if field not in chosen:
        return f"{field}: no such setting"
    if taken(field, text):
        return ""
    try:
        RunConfig(**{field: text} if field != "exact" else {})
    except ValidationError as error:
        return explain(error)
    return not_offered(field, text, offered.get(field))


def taken(field: str, text: str) -> bool:
    """Whether a control shows what the address asked it for."""
    value = st.session_state[field]
    try:
        return str(value).lower() == text.lower() or float(value) == float(text)
    except (TypeError, ValueError):
        return False


def not_offered(field: str, text: str, offer: Offer | None) -> str:
    """What a control can be set to, for who asked it for something else."""
    if offer is None:
        return f"{field}={text!r}: this page does not offer it"
    if isinstance(offer[0], str):
        words = ", ".join(map(repr, offer[:-1])) + f" or {offer[-1]!r}"
    else:
        words = f"{offer[0]:,} to {offer[1]:,}"
    return f"{field}={text!r}: this page offers {words}"
