"""Three experiments at one click each."""

from typing import Any

import streamlit as st

from pages.sidebar.state import set_controls

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "Recommended": (
        "Adam with η = 1, the true gradient, and η halved after 3 epochs no better than the one before: "
        "mean test BCE 0.16 instead of 0.32 on gaussian.",
        {
            "optimizer": "adam",
            "learning_rate": 1.0,
            "plateau": "previous-epoch",
            "gradient": "chain-rule",
            "shots": 100,
            "exact": False,
        },
    ),
    "As printed": (
        "Algorithm 1 as printed: SELBO with λ = 1, N_qc = 100, the shift rule on the whole objective, "
        "plain ascent, and improvement read as improvement on the epoch before.",
        {
            "objective": "selbo",
            "regularization": 1.0,
            "optimizer": "gradient-ascent",
            "plateau": "previous-epoch",
            "gradient": "algorithm-1",
            "shots": 100,
            "exact": False,
        },
    ),
    "Exact": (
        "The true gradient without shot noise: exact expectations of the ELBO with λ = 10.",
        {"objective": "elbo", "regularization": 10.0, "gradient": "chain-rule", "exact": True},
    ),
}
"""What each preset does, and the controls that it sets. Figures: 50 seeds, ELBO λ = 1, last epoch."""


def presets() -> None:
    """Draw a button for each preset; it sets the controls that the preset names and leaves the others."""
    st.markdown(":small[Presets]")
    with st.container(horizontal=True, gap="small", key="presets"):
        for name, (text, values) in PRESETS.items():
            st.button(name, help=text, on_click=set_controls, args=(values,), width="stretch")
