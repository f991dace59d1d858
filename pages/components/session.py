"""The run that this visitor looks at: kept in the session, and in the URL for a reload."""

import streamlit as st

from qhn_core.config import RunConfig
from qhn_core.jobs import Job, ServerFullError, default_service


def shown_job() -> Job | None:
    """The run on show, or None. A run id in the URL that the server does not know is forgotten."""
    job_id = st.session_state.get("job") or st.query_params.get("run")
    job = default_service().get(job_id) if job_id else None
    if job is None:
        st.session_state.pop("job", None)
        st.query_params.pop("run", None)
        return None
    show(job)
    return job


def show(job: Job) -> None:
    """Make `job` the run on show."""
    st.session_state.job = job.id
    if st.query_params.get("run") != job.id:
        st.query_params["run"] = job.id


def start(config: RunConfig, paused: bool = False) -> Job | None:
    """Submit a run and show it, or say on the page why it can't be had."""
    try:
        job = default_service().submit(config, paused)
    except (ValueError, ServerFullError) as error:
        st.error(str(error))
        return None
    previous = shown_job()
    if previous is not None:
        default_service().cancel(previous.id)
    show(job)
    return job
