"""The sidebar: every control that defines a run, each bound to the URL by the field's own name."""

from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from pages.components.pictures import dataset_pictures
from pages.components.session import refusal
from qhn_core.config import DatasetName, Objective, RunConfig, explain

DECADE = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)
STRENGTHS = [0.0, *(float(f"{m}e{p}") for p in range(-3, 3) for m in DECADE), 1000.0]
MOST_HIDDEN = 8
QUARTERS = {
    RunConfig(dataset=dataset, n_hidden=n).n_qubits / 4
    for dataset in get_args(DatasetName)
    for n in range(1, MOST_HIDDEN + 1)
}
"""n/4 of every network on offer."""
BANDWIDTHS = sorted({*(0.25 * k for k in range(1, 25)), 7.0, 8.0, 10.0, 12.0, 14.0, 20.0, *QUARTERS})
PAGE_DEFAULTS = {"n_seeds": 8}
"""Where the page starts from something else than RunConfig: enough seeds for a band."""
START_OF_IMAGES = {"n_hidden": 2, "n_seeds": 2, "epochs": 100, "learning_rate": 0.1, "patience": 5}
"""Where the page starts when digits are chosen: 134 qubits, whose angles only wander at η = 1.

Test accuracy of 2 seeds after 100 epochs, by (η, patience): (0.1, 5) 0.85, (0.03, 10) 0.82, (0.1, 10) 0.81.
"""
NOT_FIELDS = {
    *("run", "pins", "embed", "embed_options"),
    *("plane", "radius", "resolution", "plane_seed", "path", "arrows", "look"),
}
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
        for field in ("regularization", "bandwidth"):
            text = st.session_state.link.get(field)
            add_stop(field, text)
            if _is_stop(field, text) and f"{float(text):g}" != text:
                st.session_state[field] = float(text)  # Streamlit reads 25, not 25.0 or 2.5e1
    for field, value in st.session_state.pop("wanted", {}).items():
        st.session_state[field] = value
    with st.sidebar:
        chosen = _main_controls()
        with st.expander("Advanced"):
            chosen |= _advanced_controls()
        _presets()
        _check_link(chosen)
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


def add_stop(field: str, value: Any) -> None:
    """Let the slider of `field` stand at a value between its stops; a value out of range is left out."""
    stops = st.session_state.setdefault("stops", {"regularization": [], "bandwidth": []})
    try:
        RunConfig(**{field: float(value)})
    except (TypeError, ValueError):
        return
    stops[field].append(float(value))


def _is_stop(field: str, text: str | None) -> bool:
    """Whether add_stop took the value."""
    try:
        return text is not None and float(text) in st.session_state.get("stops", {}).get(field, [])
    except ValueError:
        return False


def want(values: dict[str, Any]) -> None:
    """Let the controls stand so when the sidebar is drawn next: a control that is drawn can't be set."""
    for field in ("regularization", "bandwidth"):
        add_stop(field, values.get(field))
    st.session_state.setdefault("wanted", {}).update(values)  # two callbacks may come before one run


def want_config(config: RunConfig) -> None:
    """Set every control to what it was for a run."""
    exact = config.shots is None
    shots = default("shots") if exact else config.shots
    drawn = config.model_dump(exclude={"dataset_noise", "dataset_scale", "simulator", "initial_angles"})
    given = {"initial_angles": config.initial_angles}
    want({**drawn, **given, "bandwidth": config.h, "exact": exact, "shots": shots})


def _stops(field: str, options: list[float]) -> list[float]:
    return sorted({*options, *st.session_state.get("stops", {}).get(field, [])})


def _show_beside_controls(error: ValidationError) -> None:
    """Each complaint under the control that it is about, and all of them where they are seen."""
    st.error(explain(error))
    for item in error.errors():
        field = item["loc"][0] if item["loc"] else "shots"
        slot = st.session_state.slots.get(field)
        if slot is not None:
            slot.caption(f":red[{item['msg'].removeprefix('Value error, ')}]")


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
        on_change=_choose_dataset,
        **_bound("dataset"),
    )
    st.session_state.drawn_dataset = chosen["dataset"]
    chosen["objective"] = st.segmented_control(
        "Objective",
        get_args(Objective),
        default=default("objective"),
        required=True,
        width="stretch",
        help="MLE only fits the data; the ELBO pays λ KL(q‖p) and the SELBO λ MMD²(q, p) besides.",
        **_bound("objective"),
    )
    plain = chosen["objective"] == "mle"
    chosen["regularization"] = st.select_slider(
        "Regularisation λ",
        _stops("regularization", STRENGTHS),
        value=default("regularization"),
        format_func="{:g}".format,
        disabled=plain,
        help="The weight of the regulariser: larger keeps the bitstrings random for longer.",
        **_bound("regularization"),
    )
    quarter = _quarter(chosen["dataset"], st.session_state.get("n_hidden", _hidden_in_link()))
    st.session_state.quarter = quarter
    bandwidth = st.select_slider(
        "Bandwidth h",
        _stops("bandwidth", BANDWIDTHS),
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


def _quarter(dataset: str, n_hidden: int) -> float:
    return RunConfig(dataset=dataset, n_hidden=n_hidden).n_qubits / 4


def _hidden_in_link() -> int:
    """Hidden neurons that the link asks for: their control, drawn further down, does not know yet."""
    text = st.session_state.link.get("n_hidden", "")
    offered = [str(n) for n in range(1, MOST_HIDDEN + 1)]
    return int(text) if text in offered else int(default("n_hidden"))


def _choose_dataset() -> None:
    """Controls that stood where the former data start go where the new ones do."""

    def start(dataset: str, field: str) -> Any:
        return START_OF_IMAGES[field] if dataset == "digits" else default(field)

    before, now = st.session_state.drawn_dataset, st.session_state.dataset
    for field in START_OF_IMAGES:
        if st.session_state[field] == start(before, field):
            st.session_state[field] = start(now, field)
    _keep_at_quarter()


def _keep_at_quarter() -> None:
    """A bandwidth that stood at n/4 follows n."""
    before = st.session_state.quarter
    if st.session_state.get("bandwidth", before) == before:
        st.session_state.bandwidth = _quarter(st.session_state.dataset, st.session_state.n_hidden)
        add_stop("bandwidth", st.session_state.bandwidth)


def _advanced_controls() -> dict[str, Any]:
    st.session_state.slots = {}
    chosen: dict[str, Any] = {}
    chosen["n_layers"] = _number("Layers L", "n_layers", "Blocks of RZ, RY and CX in eq. (8).", 1, 6)
    chosen["n_hidden"] = _number(
        "Hidden neurons",
        "n_hidden",
        "The network is 2-H-1 and needs 4H + 2 qubits; for digits 64-H-1, 66H + 2 qubits.",
        1,
        max(MOST_HIDDEN, st.session_state.get("n_hidden", 1)),  # a stored run may have more
        on_change=_keep_at_quarter,
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
    return value


def _presets() -> None:
    st.markdown(":small[Presets]")
    with st.container(horizontal=True, gap="small", key="presets"):
        for name, (text, values) in PRESETS.items():
            st.button(name, help=text, on_click=want, args=(values,), width="stretch")


def _initial_angles() -> tuple[float, ...] | None:
    """The angles that the run on show was given, for as long as nobody wants random ones again."""
    given: tuple[float, ...] | None = st.session_state.get("initial_angles")
    if given is not None:
        st.caption("Every seed starts at a chosen point of a landscape.")
        st.button("Random angles again", on_click=want, args=({"initial_angles": None},), width="stretch")
    return given


def report_link() -> bool:
    """Say what the address of this page asked for that it could not give; whether there was anything."""
    problems = st.session_state.get("link_problems", [])
    lost = st.session_state.get("lost")
    if lost:
        st.warning(
            f"This server does not have the run {lost}. Train makes a run of the controls as they stand."
        )
    if problems:
        lines = "\n".join(f"- {p}" for p in problems)
        st.warning(f"This link asks for what is not on offer:\n{lines}\n\nDefaults are used in its place.")
    return bool(problems or lost)


def _check_link(chosen: dict[str, Any]) -> None:
    """On the first run, compare what the address asked for with what the controls took from it."""
    if "link_problems" not in st.session_state:
        problems = [_link_problem(k, v, chosen) for k, v in st.session_state.link.items()]
        st.session_state.link_problems = [p for p in problems if p]


def _link_problem(field: str, text: str, chosen: dict[str, Any]) -> str:
    if field not in chosen:
        return f"{field}: no such setting"
    taken = st.session_state[field]
    if str(taken).lower() == text.lower() or _same_number(taken, text):
        return ""
    try:
        RunConfig(**{field: text} if field != "exact" else {})
    except ValidationError as error:
        return explain(error)
    return f"{field}={text!r}: this page does not offer it"


def _same_number(taken: Any, text: str) -> bool:
    try:
        return float(taken) == float(text)
    except (TypeError, ValueError):
        return False
