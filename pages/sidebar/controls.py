"""The sidebar: every control that defines a run, each bound to the URL by the field's own name."""

from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from pages.parts.session import refusal
from pages.sidebar.coupled import MOST_HIDDEN, choose_dataset, hidden_in_link, keep_at_quarter, quarter_of
from pages.sidebar.presets import presets
from pages.sidebar.state import default, set_controls, stops
from pages.sidebar.thumbnails import dataset_pictures
from pages.sidebar.url import check_link, read_link
from qhn_core.config import DatasetName, ObjectiveName, RunConfig, explain

DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
STRENGTHS = [0.0, *(float(f"{m}e{p}") for p in range(-3, 3) for m in DECADE), 1000.0]
QUARTERS = {
    RunConfig(dataset=dataset, n_hidden=n).n_qubits / 4
    for dataset in get_args(DatasetName)
    for n in range(1, MOST_HIDDEN + 1)
}
"""n/4 of every network on offer."""
BANDWIDTHS = sorted({*(0.25 * k for k in range(1, 25)), 7.0, 8.0, 10.0, 12.0, 14.0, 20.0, *QUARTERS})


def sidebar_controls() -> RunConfig | None:
    """Draw the sidebar; the config that it shows, or None where it is not valid (the reason is shown)."""
    read_link()
    for field, value in st.session_state.pop("wanted", {}).items():
        st.session_state[field] = value
    st.session_state.offered, st.session_state.slots = {}, {}
    with st.sidebar:
        chosen = _main_controls()
        with st.expander("Advanced"):
            chosen |= _advanced_controls()
        presets()
        check_link(chosen, st.session_state.offered)
        chosen["initial_angles"] = _initial_angles()
        try:
            config = RunConfig(**{k: v for k, v in chosen.items() if k != "exact"})
        except ValidationError as error:
            _show_beside_controls(error)
            return None
        if reason := refusal(config):
            st.error(reason)
            return None
        return config


def _show_beside_controls(error: ValidationError) -> None:
    """Each complaint under the control that it is about, and all of them where they are seen."""
    st.error(explain(error))
    for item in error.errors():
        field = item["loc"][0] if item["loc"] else "shots"
        slot = st.session_state.slots.get(field)
        if slot is not None:
            slot.caption(f":red[{item['msg'].removeprefix('Value error, ')}]")


def _bound(field: str) -> dict[str, Any]:
    return {"key": field, "bind": "query-params"}


def _main_controls() -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    st.image(dataset_pictures(), width="stretch")
    chosen["dataset"] = st.segmented_control(
        "Dataset",
        get_args(DatasetName),
        default=default("dataset"),
        required=True,
        label_visibility="collapsed",
        width="stretch",
        on_change=choose_dataset,
        **_bound("dataset"),
    )
    st.session_state.drawn_dataset = chosen["dataset"]
    chosen["objective"] = st.segmented_control(
        "Objective",
        get_args(ObjectiveName),
        default=default("objective"),
        required=True,
        width="stretch",
        help="MLE only fits the data; the ELBO pays λ KL(q‖p) and the SELBO λ MMD²(q, p) besides.",
        **_bound("objective"),
    )
    plain = chosen["objective"] == "mle"
    chosen["regularization"] = st.select_slider(
        "Regularisation λ",
        stops("regularization", STRENGTHS),
        value=default("regularization"),
        format_func="{:g}".format,
        disabled=plain,
        help="The weight of the regulariser: larger keeps the bitstrings random for longer.",
        **_bound("regularization"),
    )
    quarter = quarter_of(chosen["dataset"], st.session_state.get("n_hidden", hidden_in_link()))
    st.session_state.quarter = quarter
    bandwidth = st.select_slider(
        "Bandwidth h",
        stops("bandwidth", BANDWIDTHS),
        value=quarter,
        format_func=lambda h: f"{h:g} = n/4" if h == quarter else f"{h:g}",
        disabled=chosen["objective"] != "selbo",
        help="Width of k(x, y) = exp(−‖x−y‖²/h²): small sees fine correlations, large only single bits.",
        **_bound("bandwidth"),
    )
    chosen["bandwidth"] = None if bandwidth == quarter else bandwidth
    text = "Independent initial angles; the curves show their mean and standard deviation."
    chosen["n_seeds"] = _number("Seeds", "n_seeds", text, 1, 100)
    return chosen


def _advanced_controls() -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    chosen["n_layers"] = _number(
        "Layers L",
        "n_layers",
        "Blocks of RZ, RY and CX in eq. (8); with 1 or 2, networks beyond 22 bits can be trained too.",
        1,
        6,
    )
    chosen["n_hidden"] = _number(
        "Hidden neurons",
        "n_hidden",
        "The network is 2-H-1 and needs 4H + 2 qubits; for digits 64-H-1, 66H + 2 qubits.",
        1,
        max(MOST_HIDDEN, st.session_state.get("n_hidden", 1)),  # a stored run may have more
        on_change=keep_at_quarter,
    )
    chosen["exact"] = st.toggle(
        "Exact expectations",
        help="Use the true probabilities instead of N_qc shots.",
        **_bound("exact"),
    )
    shots = _number(
        "Shots N_qc",
        "shots",
        "Bitstrings measured from each circuit: fewer make every estimate noisier.",
        1,
        10_000,
        disabled=chosen["exact"],
    )
    chosen["shots"] = None if chosen["exact"] else shots
    chosen["gradient"] = st.segmented_control(
        "Gradient",
        ("chain-rule", "algorithm-1"),
        default=default("gradient"),
        required=True,
        width="stretch",
        help="chain-rule is the true gradient; algorithm-1 shifts the whole objective, as printed.",
        **_bound("gradient"),
    )
    chosen["likelihood"] = st.segmented_control(
        "Log-likelihood",
        ("sum", "mean"),
        default=default("likelihood"),
        required=True,
        width="stretch",
        help="Summed or averaged over the training set; the scale acts as a step size.",
        **_bound("likelihood"),
    )
    chosen["epochs"] = _number("Epochs", "epochs", "Steps of gradient ascent.", 1, 2000)
    left, right = st.columns(2)
    with left:
        chosen["learning_rate"] = _number("Rate η", "learning_rate", "The first learning rate.")
        chosen["patience"] = _number("Patience", "patience", "Stalled epochs before η decays.", 1, 1000)
        chosen["seed"] = _number("Seed", "seed", "Fixes the initial angles and the shots.", 0, 2**31)
    with right:
        chosen["decay_factor"] = _number("Decay", "decay_factor", "Multiplies η when the objective stalls.")
        chosen["min_delta"] = _number("Min δ", "min_delta", "The least gain that counts as an improvement.")
        chosen["dataset_seed"] = _number("Data seed", "dataset_seed", "Fixes the points.", 0, 2**31)
    return chosen


def _number(
    label: str, field: str, text: str, low: int | None = None, high: int | None = None, **options: Any
) -> Any:
    """A number input with room for a complaint under it; a float where it has no bounds."""
    value = st.number_input(
        label,
        low,
        high,
        default(field),
        format=None if high else "%g",
        help=text,
        **_bound(field),
        **options,
    )
    st.session_state.slots[field] = st.empty()
    if high is not None:
        st.session_state.offered[field] = (low, high)
    return value


def _initial_angles() -> tuple[float, ...] | None:
    """The angles that the run on show was given, for as long as nobody wants random ones again."""
    given: tuple[float, ...] | None = st.session_state.get("initial_angles")
    if given is not None:
        st.caption("Every seed starts at a chosen point of a landscape.")
        st.button(
            "Random angles again", on_click=set_controls, args=({"initial_angles": None},), width="stretch"
        )
    return given
