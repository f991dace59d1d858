"""The run on show, which the address keeps for a reload, and the runs pinned beside it."""

from collections.abc import Callable

import streamlit as st

from pages.parts.text import plain
from pages.parts.visitor import visitor
from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.service import default_service
from qhn_core.live.messages import MOST_PINS


def address() -> str:
    """Return this visitor's address, as far as Streamlit knows it; empty on this machine."""
    return st.context.ip_address or ""


def shown_job() -> Job | None:
    """Return the run on show, or None; a run that the server does not know is noted as `lost`."""
    job_id = visitor().job or st.query_params.get("run")
    job = default_service().get(job_id) if job_id else None
    if job is None:
        visitor().job = None
        if job_id:
            visitor().lost = job_id
        st.query_params.pop("run", None)
        return None
    show(job)
    return job


def show(job: Job) -> None:
    """Make `job` the run on show."""
    visitor().lost = None
    if visitor().job != job.id:
        visitor().initial_angles = job.config.initial_angles
    visitor().job = job.id
    if st.query_params.get("run") != job.id:
        st.query_params["run"] = job.id


def attempt(action: Callable[[], Job]) -> Job | None:
    """Do something that returns a run and show that run, or say on the page why it can't be done."""
    try:
        job = action()
    except (ValueError, ServerFullError) as error:
        st.error(plain(error))
        return None
    show(job)
    return job


def refusal(config: RunConfig) -> str:
    """Return why this server can't train a config and what to change, or an empty string."""
    try:
        default_service().check(config)
    except ValueError as error:
        return str(error)
    return ""


def start(config: RunConfig, paused: bool = False, reuse_finished: bool = True) -> Job | None:
    """Submit a run and show it, or say on the page why it can't be trained."""
    service = default_service()
    previous = visitor().job
    job = attempt(lambda: service.submit(config, paused, visitor().id, reuse_finished, address()))
    if job is not None and previous and previous != job.id:
        service.leave(previous, visitor().id)
    return job


def pinned() -> list[str]:
    """Return the ids of the runs that are drawn beside the one on show: the address keeps them."""
    return [pin for pin in st.query_params.get("pins", "").split(",") if pin][:MOST_PINS]


def pin(job_ids: list[str]) -> None:
    """Draw these runs beside the one on show: at most MOST_PINS."""
    if job_ids:
        st.query_params["pins"] = ",".join(job_ids[:MOST_PINS])
    else:
        st.query_params.pop("pins", None)


def follow() -> None:
    """Switch to the page that a callback chose, with the run on show: a callback itself can't."""
    if page := visitor().leave_for:
        visitor().leave_for = None
        st.switch_page(page, query_params={"run": visitor().job})
