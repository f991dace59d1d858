"""Controls that move by themselves: with the data, and with the number of qubits."""

from typing import Any

import streamlit as st

from pages.sidebar.state import add_stop, default
from qhn_core.config import RunConfig

MOST_HIDDEN = 8
START_OF_IMAGES = {"n_hidden": 2, "n_seeds": 2, "epochs": 100, "learning_rate": 0.1, "patience": 5}
"""Where the page starts when digits are chosen: 134 qubits, whose angles only wander at η = 1.

Test accuracy of 2 seeds after 100 epochs, by (η, patience): (0.1, 5) 0.85, (0.03, 10) 0.82, (0.1, 10) 0.81.
"""


def quarter_of(dataset: str, n_hidden: int) -> float:
    """n/4, where the bandwidth stands at first."""
    return RunConfig(dataset=dataset, n_hidden=n_hidden).n_qubits / 4


def hidden_in_link() -> int:
    """Hidden neurons that the link asks for: their control, drawn further down, does not know yet."""
    text = st.session_state.link.get("n_hidden", "")
    offered = [str(n) for n in range(1, MOST_HIDDEN + 1)]
    return int(text) if text in offered else int(default("n_hidden"))


def choose_dataset() -> None:
    """Controls that stood where the former data start go where the new ones do."""

    def start(dataset: str, field: str) -> Any:
        return START_OF_IMAGES[field] if dataset == "digits" else default(field)

    before, now = st.session_state.drawn_dataset, st.session_state.dataset
    for field in START_OF_IMAGES:
        if st.session_state[field] == start(before, field):
            st.session_state[field] = start(now, field)
    keep_at_quarter()


def keep_at_quarter() -> None:
    """A bandwidth that stood at n/4 follows n."""
    before = st.session_state.quarter
    if st.session_state.get("bandwidth", before) == before:
        st.session_state.bandwidth = quarter_of(st.session_state.dataset, st.session_state.n_hidden)
        add_stop("bandwidth", st.session_state.bandwidth)
