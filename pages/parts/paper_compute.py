"""The choice of results on the Paper page, and their computation on this server."""

import streamlit as st

from pages.parts.session import refusal
from pages.parts.text import plain
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import ServerFullError, duration_in_words
from qhn_core.paper import Study, paper_base
from qhn_core.paper.background import background, computed_here, seconds_to_compute

SHIPPED = "shipped"
SEEDS = (5, 10, 20, 50, 100)


def chosen_results() -> tuple[int | None, float]:
    """Return the results to show: the number of seeds computed here (None: those that ship), and when.

    Draws the switch and the button that computes.
    """
    here = {f"{n} seeds, computed here": (n, when) for n, when in computed_here().items()}
    name = SHIPPED
    if here:
        name = st.segmented_control(
            "Results",
            [SHIPPED, *here],
            default=SHIPPED,
            required=True,
            key="results",
            bind="query-params",
            help="The results that come with this repository, or results of this server.",
        )
    help_text = "Run Section IV again on this server."
    if st.button("Compute it here", key="compute", help=help_text, disabled=is_running()):
        ask()
    return here.get(name, (None, 0.0))


def is_running() -> bool:
    """Return whether a computation is under way on this server."""
    progress = background().progress
    return progress is not None and progress.status == Status.RUNNING


def show_progress() -> None:
    """Show how far the computation is, and keep it up to date."""
    running = is_running()
    st.fragment(progress_line, run_every=1.0 if running else None)(running)


@st.dialog("Compute it here")
def ask() -> None:
    """Ask for the number of seeds, say what the computation takes, and start it."""
    st.write(
        "Trains all runs of Section IV on this server, in one process of the lowest priority: live "
        "training goes first. It continues when you leave. Runs are stored, so a stopped one can continue."
    )
    allowed = [n for n in SEEDS if not refusal(paper_base(n_seeds=n))]
    if not allowed:
        st.error(plain(refusal(paper_base(n_seeds=SEEDS[0]))))
        return
    seeds = st.segmented_control("Seeds", allowed, default=allowed[0], required=True, key="compute_seeds")
    study = Study(paper_base(n_seeds=seeds))
    with st.spinner("Measuring this machine"):
        needed = seconds_to_compute(study)
    st.caption(
        f"{len(study.paper())} runs of {seeds} seeds: {duration_in_words(needed)} if nothing else runs, "
        "less for each run that is stored already."
    )
    if st.button("Start", type="primary", key="compute_start"):
        try:
            background().start(study, f"qhn reproduce --seeds {seeds} --workers 1")
        except (ServerFullError, OSError) as error:
            st.error(plain(error))
        else:
            st.rerun()


def progress_line(running: bool) -> None:
    """Show how far the computation is. running: whether it was under way when the page was drawn."""
    progress = background().progress
    if progress is None:
        return
    seeds, share = progress.study.base.n_seeds, progress.done / progress.total if progress.total else 0.0
    if progress.status != Status.RUNNING:
        if running:
            st.rerun()
        if progress.status == Status.INTERRUPTED:
            st.caption(
                f"Stopped at {share:.0%} of {seeds} seeds. What was trained is stored; “Compute it here” "
                "continues from there."
            )
        elif progress.status == Status.FAILED:
            st.warning(f"{seeds} seeds were not computed. {plain(progress.message)}")
        return
    if not progress.total:
        text = "starting"
    elif progress.done == progress.total:
        text = "trained; the tables and figures are being made"
    else:
        left = progress.seconds_left
        text = f"{share:.0%}" + ("" if left is None else f", {duration_in_words(left)} left")
    bar, button = st.columns([5, 1], vertical_alignment="center")
    bar.progress(share, f"Computing {seeds} seeds here, live training first: {text}")
    button.button("Stop", key="compute_stop", on_click=background().stop, width="stretch")
