"""Train: choose an experiment, press Train, watch it learn."""

import streamlit as st

from pages.parts.browser_views import live_run
from pages.parts.session import address, attempt, pin, pinned, shown_job, start
from pages.parts.text import plain
from pages.parts.visitor import visitor
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.url import report_link
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.service import default_service
from qhn_core.live.events import events_path
from qhn_core.live.messages import MOST_PINS


def toolbar(config: RunConfig | None, job: Job | None) -> None:
    """Draw Train and Pin, and a word when the controls no longer match the run on show."""
    changed = config is not None and (job is None or job.config != config)
    given_up = job is not None and job.status in (Status.CANCELLED, Status.FAILED)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Train",
            type="primary",
            icon=":material/model_training:",
            disabled=config is None or not (changed or given_up),
            help="Train the settings as they stand; a run that was trained before is played again",
        )
        pin_buttons(job)
        if changed and job is not None:
            st.badge("settings changed, press Train", color="orange")
    if pressed and config is not None:
        started = start(config)
        if started is not None:
            visitor().replays += started.status.is_final
            st.rerun()


def note_action() -> None:
    """Note which button of the live view was pressed; the page then acts on it."""
    visitor().action = st.session_state.live["action"]


def take_action(config: RunConfig | None, job: Job | None) -> None:
    """Do what the pressed button of the live view asks for, and show the run that it leads to."""
    action, visitor().action = visitor().action, None
    service, done = default_service(), None
    if action == "reset" and config is not None:
        done = start(config, paused=True)
    elif action == "pause" and job is not None:
        done = attempt(lambda: service.pause(job.id, visitor().id))
    elif action in ("play", "step") and job is not None:
        n_epochs = 1 if action == "step" else None
        done = attempt(lambda: service.resume(job.id, n_epochs, visitor().id, address()))
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

toolbar(config, job)
take_action(config, job)
if default_service().store_problem:
    st.caption(f":material/warning: {plain(default_service().store_problem)}")
seed = None
if job is not None and job.config.n_seeds > 1:
    seed = st.sidebar.selectbox(
        "Seed on show",
        [None, *range(job.config.n_seeds)],
        format_func=lambda i: "best so far" if i is None else str(i),
        help="The seed whose decision boundary and bitstrings are drawn.",
    )
live_run(
    None if job is None else events_path(job, seed, pinned()),
    key="live",
    can_reset=config is not None,
    replay=visitor().replays,
    on_action=note_action,
)
