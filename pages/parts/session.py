"""The run that this visitor looks at: kept in the session, and in the URL for a reload."""

import secrets
from collections.abc import Callable

import streamlit as st

from qhn_core.config import RunConfig
from qhn_core.jobs.job import Job
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.service import default_service
from qhn_core.live.messages import MOST_PINS


def session_id() -> str:
    """Who this visitor is to the job service."""
    if "session" not in st.session_state:
        st.session_state.session = secrets.token_hex(8)
    return str(st.session_state.session)


def address() -> str:
    """Where this visitor is, as far as Streamlit knows; empty on this machine."""
    return st.context.ip_address or ""


def shown_job() -> Job | None:
    """The run on show, or None. A run that the server does not know is forgotten, and noted as `lost`."""
    job_id = st.session_state.get("job") or st.query_params.get("run")
    job = default_service().get(job_id) if job_id else None
    if job is None:
        st.session_state.pop("job", None)
        if job_id:
            st.session_state.lost = job_id
        st.query_params.pop("run", None)
        return None
    show(job)
    return job


def show(job: Job) -> None:
    """Make `job` the run on show."""
    st.session_state.pop("lost", None)
    if st.session_state.get("job") != job.id:
        st.session_state.initial_angles = job.config.initial_angles
    st.session_state.job = job.id
    if st.query_params.get("run") != job.id:
        st.query_params["run"] = job.id


def attempt(action: Callable[[], Job]) -> Job | None:
    """Do something with a run and show that run, or say on the page why it can't be had."""
    try:
        job = action()
    except (ValueError, ServerFullError) as error:
        st.error(str(error))
        return None
    show(job)
    return job


def refusal(config: RunConfig) -> str:
    """Why this server can't train a config and what to change, or an empty string."""
    try:
        default_service().check(config)
    except ValueError as error:
        return str(error)
    return ""


def start(config: RunConfig, paused: bool = False, reuse_finished: bool = True) -> Job | None:
    """Submit a run and show it, or say on the page why it can't be had."""
    service = default_service()
    previous = st.session_state.get("job")
    job = attempt(lambda: service.submit(config, paused, session_id(), reuse_finished, address()))
    if job is not None and previous and previous != job.id:
        service.leave(previous, session_id())
    return job


def pinned() -> list[str]:
    """Ids of the runs that are drawn beside the one on show: kept in the URL."""
    return [pin for pin in st.query_params.get("pins", "").split(",") if pin][:MOST_PINS]


def pin(job_ids: list[str]) -> None:
    """Draw these runs beside the one on show, at most MOST_PINS."""
    if job_ids:
        st.query_params["pins"] = ",".join(job_ids[:MOST_PINS])
    else:
        st.query_params.pop("pins", None)
