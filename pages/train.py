"""Train: choose an experiment, press Train, watch it learn."""

import streamlit as st

from pages.parts.browser_views import live_run, take_presses
from pages.parts.session import address, attempt, pin, pinned, shown_job, start
from pages.parts.text import plain
from pages.parts.visitor import Press, visitor
from pages.sidebar.controls import sidebar_controls
from pages.sidebar.url import report_link
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job
from qhn_core.jobs.service import default_service
from qhn_core.live.events import events_path
from qhn_core.live.messages import MOST_PINS


def obey(press: Press, job: Job | None, config: RunConfig | None) -> None:
    """Do what a button of the live view asks for; a press that came too late does nothing."""
    service = default_service()
    if press.action == "train" and config is not None:
        started = start(config)
        if started is not None and started.status.is_final:
            visitor().replay = press.serial  # it was trained before: the view replays it
    elif press.action == "reset" and config is not None:
        start(config, paused=True)
    elif press.action == "unpin":
        pin([])
    elif job is None:
        return
    elif press.action == "pin":
        pin(list(dict.fromkeys([*pinned(), job.id])))
    elif press.action == "pause" and job.status.is_moving:
        attempt(lambda: service.pause(job.id, visitor().id))
    elif press.action in ("play", "step") and job.status.is_final:
        start(job.config)  # it failed or was cancelled
    elif press.action in ("play", "step") and not job.status.is_moving:
        epochs = 1 if press.action == "step" else None
        attempt(lambda: service.resume(job.id, epochs, visitor().id, address()))


def offers(job: Job | None, config: RunConfig | None) -> dict[str, bool]:
    """Return what may be asked for now, apart from what follows from the state of the run."""
    pins = pinned()
    return {
        "train": config is not None and (job is None or job.config != config),
        "reset": config is not None,
        "pin": job is not None and job.id not in pins and len(pins) < MOST_PINS,
        "unpin": bool(pins),
    }


job = shown_job()
config = sidebar_controls()
broken_link = job is None and report_link()
if job is None and config is not None and not visitor().came_before and not broken_link:
    job = start(config, reuse_finished=False)  # a first visitor sees a real run without a click
visitor().came_before = True

before = visitor().job
for press in take_presses():
    obey(press, job, config)
    job = shown_job()
if visitor().job != before:
    st.rerun()  # what is above was drawn for another run
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
live_run(None if job is None else events_path(job, seed, pinned()), offers(job, config))
