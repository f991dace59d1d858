"""Three experiments at one click each."""

from typing import Any

import streamlit as st

from pages.sidebar.state import set_controls

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "Paper": (
        "Algorithm 1 as printed: the shift rule on the whole objective, SELBO with λ = 1, N_qc = 100.",
        {
            "objective": "selbo",
            "regularization": 1.0,
            "gradient": "algorithm-1",
            "shots": 100,
            "exact": False,
        },
    ),
    "Corrected": (
        "The same run with the true gradient of the regulariser, and a λ at which it has an effect.",
        {
            "objective": "selbo",
            "regularization": 100.0,
            "gradient": "chain-rule",
            "shots": 100,
            "exact": False,
        },
    ),
    "Exact": (
        "The true gradient without shot noise: exact expectations.",
        {"objective": "elbo", "regularization": 10.0, "gradient": "chain-rule", "exact": True},
    ),
}


def presets() -> None:
    """Draw a button for each preset; it sets the controls that the preset names and leaves the others."""
    st.markdown(":small[Presets]")
    with st.container(horizontal=True, gap="small", key="presets"):
        for name, (text, values) in PRESETS.items():
            st.button(name, help=text, on_click=set_controls, args=(values,), width="stretch")
