"""The sidebar: every control that defines a run, each bound to the URL by the field's own name."""

from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from pages.components.pictures import dataset_pictures
from qhn_core.config import DatasetName, Objective, RunConfig, explain

DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
STRENGTHS = [0.0, *(float(f"{m}e{p}") for p in range(-3, 3) for m in DECADE), 1000.0]
BANDWIDTHS = [0.25 * k for k in range(1, 25)] + [7.0, 8.0, 10.0, 12.0, 14.0, 20.0]
PAGE_DEFAULTS = {"n_seeds": 8}
"""Where the page starts from something else than RunConfig: enough seeds for a band."""
NOT_FIELDS = {"run", "seed_shown", "embed", "embed_options"}
"""URL parameters that are no field of a run."""
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
        "The same run with the true gradient of the regulariser, and a λ at which it counts.",
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


def sidebar_controls() -> RunConfig | None:
    """Draw the sidebar; the config that it shows, or None where it is not valid (the reason is shown)."""
    if "link" not in st.session_state:
        st.session_state.link = {k: v for k, v in st.query_params.to_dict().items() if k not in NOT_FIELDS}
    with st.sidebar:
        chosen = _main_controls()
        with st.expander("Advanced"):
            chosen |= _advanced_controls()
        _presets()
        _report_link(chosen)
        try:
            return RunConfig(**{k: v for k, v in chosen.items() if k != "exact"})
        except ValidationError as error:
            st.error(explain(error))
            return None


def link_is_broken() -> bool:
    """Whether the address of this page asked for something that it could not give."""
    return bool(st.session_state.get("link_problems"))


def default(field: str) -> Any:
    """What a control shows at first."""
    return PAGE_DEFAULTS.get(field, RunConfig.model_fields[field].default)


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
        **_bound("dataset"),
    )
    chosen["objective"] = st.segmented_control(
        "Objective",
        get_args(Objective),
        default=default("objective"),
        required=True,
        format_func=str.upper,
        width="stretch",
        help="MLE only fits the data; the ELBO pays λ KL(q‖p) and the SELBO λ MMD²(q, p) besides.",
        **_bound("objective"),
    )
    plain = chosen["objective"] == "mle"
    chosen["regularization"] = st.select_slider(
        "Regularisation λ",
        _with_link_value(STRENGTHS, "regularization"),
        value=default("regularization"),
        format_func="{:g}".format,
        disabled=plain,
        help="The weight of the regulariser: larger keeps the bitstrings random for longer.",
        **_bound("regularization"),
    )
    quarter = _quarter(st.session_state.get("n_hidden", default("n_hidden")))
    bandwidth = st.select_slider(
        "Bandwidth h",
        _with_link_value(BANDWIDTHS, "bandwidth"),
        value=quarter,
        format_func=lambda h: f"{h:g} = n/4" if h == quarter else f"{h:g}",
        disabled=chosen["objective"] != "selbo",
        help="Width of k(x, y) = exp(−‖x−y‖²/h²): small sees fine correlations, large only single bits.",
        **_bound("bandwidth"),
    )
    chosen["bandwidth"] = None if bandwidth == quarter else bandwidth
    chosen["n_seeds"] = st.number_input(
        "Seeds",
        1,
        100,
        default("n_seeds"),
        help="Independent initial angles; the curves show their mean and standard deviation.",
        **_bound("n_seeds"),
    )
    return chosen


def _quarter(n_hidden: int) -> float:
    return RunConfig(n_hidden=n_hidden).n_qubits / 4


def _with_link_value(options: list[float], field: str) -> list[float]:
    """The slider's stops, and the value that the link asks for where it lies between them."""
    try:
        value = float(st.session_state.link.get(field, "nan"))
        RunConfig(**{field: value})
    except ValueError:
        return options
    return sorted({*options, value})


def _keep_at_quarter() -> None:
    """A bandwidth that stood at n/4 follows n."""
    before = _quarter(st.session_state.get("n_hidden_before", default("n_hidden")))
    if st.session_state.get("bandwidth", before) == before:
        st.session_state.bandwidth = _quarter(st.session_state.n_hidden)
    st.session_state.n_hidden_before = st.session_state.n_hidden


def _advanced_controls() -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    chosen["n_layers"] = st.number_input(
        "Layers L",
        1,
        6,
        default("n_layers"),
        help="Blocks of RZ, RY and CX in eq. (8).",
        **_bound("n_layers"),
    )
    chosen["n_hidden"] = st.number_input(
        "Hidden neurons",
        1,
        5,
        default("n_hidden"),
        on_change=_keep_at_quarter,
        help="The network is 2-H-1 and needs 4H + 2 qubits.",
        **_bound("n_hidden"),
    )
    exact = st.toggle(
        "Exact expectations",
        help="Use the true probabilities instead of N_qc shots.",
        key="exact",
        bind="query-params",
    )
    shots = st.number_input(
        "Shots N_qc",
        1,
        10_000,
        default("shots"),
        disabled=exact,
        help="Bitstrings measured from each circuit: fewer make every estimate noisier.",
        **_bound("shots"),
    )
    chosen["shots"] = None if exact else shots
    chosen["exact"] = exact
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
    chosen["epochs"] = st.number_input(
        "Epochs", 1, 2000, default("epochs"), help="Steps of gradient ascent.", **_bound("epochs")
    )
    left, right = st.columns(2)
    chosen["learning_rate"] = left.number_input(
        "Rate η",
        value=default("learning_rate"),
        format="%g",
        help="First learning rate, in radians per unit of gradient.",
        **_bound("learning_rate"),
    )
    chosen["decay_factor"] = right.number_input(
        "Decay factor",
        value=default("decay_factor"),
        format="%g",
        help="η is multiplied by it when the objective stalls.",
        **_bound("decay_factor"),
    )
    chosen["patience"] = left.number_input(
        "Patience",
        1,
        1000,
        default("patience"),
        help="Stalled epochs before η decays.",
        **_bound("patience"),
    )
    chosen["min_delta"] = right.number_input(
        "Min δ",
        value=default("min_delta"),
        format="%g",
        help="The least gain that counts as an improvement.",
        **_bound("min_delta"),
    )
    chosen["seed"] = left.number_input(
        "Seed",
        0,
        2**31,
        default("seed"),
        help="Fixes the initial angles and the shots.",
        **_bound("seed"),
    )
    chosen["dataset_seed"] = right.number_input(
        "Data seed", 0, 2**31, default("dataset_seed"), help="Fixes the points.", **_bound("dataset_seed")
    )
    return chosen


def _apply_preset(values: dict[str, Any]) -> None:
    for field, value in values.items():
        st.session_state[field] = value


def _presets() -> None:
    for column, (name, (text, values)) in zip(st.columns(len(PRESETS)), PRESETS.items(), strict=True):
        column.button(name, help=text, on_click=_apply_preset, args=(values,), width="stretch")


def _report_link(chosen: dict[str, Any]) -> None:
    """On the first run, compare what the address asked for with what the controls took from it."""
    if "link_problems" not in st.session_state:
        problems = [_link_problem(k, v, chosen) for k, v in st.session_state.link.items()]
        st.session_state.link_problems = [p for p in problems if p]
    if st.session_state.link_problems:
        lines = "\n".join(f"- {p}" for p in st.session_state.link_problems)
        st.warning(
            f"This link asks for what can't be had:\n{lines}\n\nDefaults are used instead; nothing was run."
        )


def _link_problem(field: str, text: str, chosen: dict[str, Any]) -> str:
    if field not in chosen:
        return f"`{field}`: no such setting"
    taken = st.session_state[field]
    if str(taken).lower() == text.lower() or _same_number(taken, text):
        return ""
    try:
        RunConfig(**{field: text} if field != "exact" else {})
    except ValidationError as error:
        return explain(error)
    return f"`{field}={text}`: not among the values that this page offers"


def _same_number(taken: Any, text: str) -> bool:
    try:
        return float(taken) == float(text)
    except (TypeError, ValueError):
        return False
