"""Train: choose an experiment, press Train, watch it learn."""

import streamlit as st

from pages.parts.browser_views import live_run
from pages.parts.session import attempt, pin, pinned, shown_job, start
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.url import report_link
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job
from qhn_core.jobs.service import default_service
from qhn_core.live.events import events_path
from qhn_core.live.messages import MOST_PINS


def toolbar(config: RunConfig | None, job: Job | None) -> None:
    """Draw the buttons, and a badge where the controls no longer match the run on show; act on a press."""
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
            help="Start at epoch 0 with the current settings; the same seed has the same initial angles",
        )
        pin_buttons(job)
        if job is not None and config is not None and job.config != config:
            st.badge("settings changed, press Train", color="orange")
    done: Job | None = None  # the run that a press led to; a refusal is shown below the row
    if (train or reset) and config is not None:
        done = start(config, paused=reset)
    elif pause:
        done = attempt(lambda: service.pause(job.id, visitor().id))
    elif resume:
        done = attempt(lambda: service.resume(job.id, session=visitor().id))
    elif step:
        done = attempt(lambda: service.resume(job.id, n_epochs=1, session=visitor().id))
    if done is not None:
        st.rerun()


def pin_buttons(job: Job | None) -> None:
    """Draw Pin, which keeps this run's curves beside those of later runs, and Unpin."""
    pins = pinned()
    full = len(pins) >= MOST_PINS or job is None or job.id in pins
    st.button(
        "Pin",
        icon=":material/keep:",
        disabled=full,
        help="Keep these curves beside those of later runs",
        on_click=lambda: pin([*pins, job.id]),
    )
    if pins:
        st.button(
            "Unpin",
            icon=":material/keep_off:",
            help="Remove all pinned curves",
            on_click=lambda: pin([]),
        )


job = shown_job()
config = sidebar_controls()
broken_link = job is None and report_link()
if job is None and config is not None and not visitor().came_before and not broken_link:
    job = start(config, reuse_finished=False)  # a first visitor sees a real run without a click
visitor().came_before = True

status = None if job is None else job.status
toolbar(config, job)
if default_service().store_problem:
    st.caption(f":material/warning: Runs are not saved: {plain(default_service().store_problem)}")
seed = None
if job is not None and job.config.n_seeds > 1:
    seed = st.sidebar.selectbox(
        "Seed on show",
        [None, *range(job.config.n_seeds)],
        format_func=lambda i: "best so far" if i is None else str(i),
        help="The seed whose decision boundary and bitstrings are drawn.",
    )
live_run(None if job is None else events_path(job, seed, pinned()), status, key="live")
