"""The routes that the server has beside Streamlit's: Plotly's library, and the event stream of a run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from plotly.offline import get_plotlyjs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qhn_core.config import RunConfig
from qhn_core.jobs.service import default_service
from qhn_core.live.events import run_events
from qhn_core.model.scores import score_table

PLOTLY_PATH = "/qhn/plotly.min.js"


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start the workers with the server, and end them with it.

    They are ready, and the tables of the first page are made, before the first visitor comes.
    """
    service = default_service()
    await asyncio.to_thread(score_table, RunConfig())
    yield
    await asyncio.to_thread(service.shutdown)
    if service.store is not None:
        service.store.database.close()


def plotly_library(request: Request) -> Response:
    """Answer with plotly.js as it ships with the Python package, so that no page needs the internet."""
    headers = {"cache-control": "public, max-age=86400"}
    return Response(get_plotlyjs(), media_type="text/javascript", headers=headers)


def routes_below(base: str) -> list[Route]:
    """Return the routes below a base path such as "teach/qhn"; an empty one is the root."""
    start = f"/{base.strip('/')}" if base.strip("/") else ""
    return [
        Route(start + PLOTLY_PATH, plotly_library),
        Route(start + "/qhn/runs/{run_id}/events", run_events),
    ]


routes = routes_below(st.get_option("server.baseUrlPath"))
