"""Train: choose an experiment, press Train, watch it learn."""

import streamlit as st

from pages.parts.browser_views import live_run
from pages.parts.session import address, attempt, pin, pinned, session_id, shown_job, start
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.url import report_link
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job
from qhn_core.jobs.service import default_service
from qhn_core.live.events import events_path
from qhn_core.live.messages import MOST_PINS


def toolbar(config: RunConfig | None, job: Job | None) -> None:
    """Train, Pause, Step, Reset, Pin, and a word when the controls no longer match the run on show."""
    service = default_service()
    moving = job is not None and job.status.is_moving
    over = job is None or job.status.is_final
    pause = resume = False
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with row:
        train = st.button("Train", type="primary", icon=":material/play_arrow:", disabled=config is None)
        if moving or over:
            pause = st.button("Pause", icon=":material/pause:", disabled=over, key="pause")
        else:
            resume = st.button("Resume", icon=":material/resume:", key="resume")
        step = st.button("Step", icon=":material/skip_next:", disabled=over or moving, help="One epoch")
        reset = st.button(
            "Reset",
            icon=":material/replay:",
            disabled=config is None,
            help="Back to epoch 0 with the controls as they stand; the same seed keeps its initial angles",
        )
        pin_buttons(job)
        if job is not None and config is not None and job.config != config:
            st.badge("controls changed, press Train", color="orange")
    done: Job | None = None  # what a press led to; a refusal is said below the row
    if (train or reset) and config is not None:
        done = start(config, paused=reset)
    elif pause:
        done = attempt(lambda: service.pause(job.id, session_id()))
    elif resume:
        done = attempt(lambda: service.resume(job.id, session=session_id(), address=address()))
    elif step:
        done = attempt(lambda: service.resume(job.id, n_epochs=1, session=session_id(), address=address()))
    if done is not None:
        st.rerun()


def pin_buttons(job: Job | None) -> None:
    """Keep this run's curves beside those of the next ones."""
    pins = pinned()
    full = len(pins) >= MOST_PINS or job is None or job.id in pins
    st.button(
        "Pin",
        icon=":material/keep:",
        disabled=full,
        help="Keep these curves beside those of the next runs",
        on_click=lambda: pin([*pins, job.id]),
    )
    if pins:
        st.button(
            "Unpin",
            icon=":material/keep_off:",
            help="Take all pinned curves away",
            on_click=lambda: pin([]),
        )


job = shown_job()
config = sidebar_controls()
broken_link = job is None and report_link()
if job is None and config is not None and "visited" not in st.session_state and not broken_link:
    job = start(config, reuse_finished=False)  # something real moves before the first click
st.session_state.visited = True

status = None if job is None else job.status
toolbar(config, job)
if default_service().store_problem:
    st.caption(f":material/warning: Runs are not saved: {default_service().store_problem}")
seed = None
if job is not None and job.config.n_seeds > 1:
    seed = st.sidebar.selectbox(
        "Seed on show",
        [None, *range(job.config.n_seeds)],
        format_func=lambda i: "best so far" if i is None else str(i),
        help="Whose decision boundary and bitstrings are drawn.",
    )
live_run(None if job is None else events_path(job, seed, pinned()), status, key="live")
