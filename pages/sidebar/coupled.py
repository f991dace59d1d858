"""Controls that change others: the dataset, and the number of hidden neurons."""

from typing import Any

import streamlit as st

from pages.parts.visitor import visitor
from pages.sidebar.state import add_stop, default, within_limits
from qhn_core.config import RunConfig

START_OF_IMAGES = {"n_hidden": 2, "n_seeds": 2, "epochs": 100, "learning_rate": 0.1, "patience": 5}
"""Where the controls start when digits are chosen: 134 qubits, whose angles only wander at η = 1.

Test accuracy of 2 seeds after 100 epochs, by (η, patience): (0.1, 5) 0.85, (0.03, 10) 0.82, (0.1, 10) 0.81.
"""


def quarter_of(dataset: str, n_hidden: int) -> float:
    """Return n/4, the bandwidth at first, of a network for a dataset."""
    return RunConfig(dataset=dataset, n_hidden=n_hidden).n_qubits / 4


def hidden_neurons() -> int:
    """Return the number of hidden neurons, also before its control is drawn for the first time."""
    asked = visitor().asked.get("n_hidden", default("n_hidden"))
    return int(st.session_state.get("n_hidden", asked))


def choose_dataset() -> None:
    """Move the controls that still stand at the former dataset's start to the new dataset's."""

    def start(dataset: str, field: str) -> Any:
        return within_limits(field, START_OF_IMAGES[field]) if dataset == "digits" else default(field)

    before, now = visitor().drawn_dataset, st.session_state.dataset
    for field in START_OF_IMAGES:
        if st.session_state[field] == start(before, field):
            st.session_state[field] = start(now, field)
    keep_at_quarter()


def keep_at_quarter() -> None:
    """Keep a bandwidth that stood at n/4 there when n changes."""
    before = visitor().drawn_quarter
    if st.session_state.get("bandwidth", before) == before:
        st.session_state.bandwidth = quarter_of(st.session_state.dataset, st.session_state.n_hidden)
        add_stop("bandwidth", st.session_state.bandwidth)
