"""The address of a page: the values it gives to controls, and a word where it asks in vain."""

from collections.abc import Iterable

import streamlit as st

from pages.parts.landscape_controls import VIEW
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.kinds import Control
from pages.sidebar.table import CONTROLS

NO_CONTROLS = {"run", "pins", "embed", "embed_options"}
"""Names in the address that belong to no control."""


def read_sidebar() -> None:
    """Read the address for the controls of the sidebar; a name that no control has is a problem too."""
    known = {*CONTROLS, *(control.field for control in VIEW), *NO_CONTROLS}
    unknown = [f"{name}: there is no such setting" for name in st.query_params if name not in known]
    read_address("sidebar", CONTROLS.values(), unknown)


def read_address(place: str, controls: Iterable[Control], problems: Iterable[str] = ()) -> None:
    """Bring the address of a page that was just opened into the form that Streamlit reads.

    Streamlit drops numbers in a spelling that it does not know and fails at some others. So each value is
    read here before its control is drawn; where the address has to change for that, the page starts again.

    Args:
        place: A name for this set of controls, which are read once in a visit.
        controls: The controls that the address may set.
        problems: What is wrong with the address besides.
    """
    if place in visitor().problems:
        return
    found, changes = list(problems), {}
    for control in controls:
        text = st.query_params.get(control.field)
        if text is None:
            continue
        try:
            value = control.read(text)
        except ValueError as error:
            found.append(str(error))
            changes[control.field] = None
        else:
            visitor().asked[control.field] = value
            if control.write(value) != text:
                changes[control.field] = control.write(value)
    visitor().problems[place] = found
    if changes:
        for name, spelled in changes.items():
            if spelled is None:
                del st.query_params[name]
            else:
                st.query_params[name] = spelled
        st.rerun()


def report_link() -> bool:
    """Say what the address asked of this page in vain; return whether there was anything."""
    problems, lost = visitor().problems["sidebar"], visitor().lost
    if lost:
        st.warning(
            f"This server does not have the run {plain(lost)}. Press Train to start a run with the "
            "settings in the sidebar."
        )
    warn(problems)
    return bool(problems or lost)


def warn(problems: Iterable[str]) -> None:
    """Name the problems of an address, where there are any."""
    if lines := "\n".join(f"- {plain(problem)}" for problem in problems):
        st.warning(
            f"This link asks for settings that are not available:\n{lines}\n\nDefaults are used instead."
        )
