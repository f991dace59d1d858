"""What the server answers beside Streamlit: Plotly's library and the event stream of a run."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from plotly.offline import get_plotlyjs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from qhn_core.jobs import Job, default_service
from qhn_core.live import message_text

PLOTLY_PATH = "/qhn/plotly.min.js"
POLL_SECONDS = 0.03
HEARTBEAT_SECONDS = 15


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start the workers with the server, so that the first visitor does not wait, and end them with it."""
    service = default_service()
    yield
    await asyncio.to_thread(service.shutdown)


def plotly_library(request: Request) -> Response:
    """plotly.js as it ships with the Python package, so that no page needs the internet."""
    headers = {"cache-control": "public, max-age=86400"}
    return Response(get_plotlyjs(), media_type="text/javascript", headers=headers)


def events_path(job: Job, seed: int | None) -> str:
    """The path of a run's event stream, with pictures of one seed, or of the best so far."""
    return f"/qhn/runs/{job.id}/events" + ("" if seed is None else f"?seed={seed}")


async def run_events(request: Request) -> Response:
    """Server-sent events of one run: a snapshot, then deltas whose id is the epoch.

    A client that reconnects with Last-Event-ID gets only what it missed.
    """
    job = default_service().get(request.path_params["run_id"])
    if job is None:
        return JSONResponse({"error": "no such run on this server"}, status_code=404)
    try:
        seed_text = request.query_params.get("seed")
        seed = None if seed_text is None else int(seed_text)
        last_id = request.headers.get("last-event-id")
        since = None if last_id is None else int(last_id)
    except ValueError:
        return JSONResponse({"error": "seed and Last-Event-ID must be whole numbers"}, status_code=400)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_messages(job, seed, since), media_type="text/event-stream", headers=headers)


async def _messages(job: Job, seed: int | None, since: int | None) -> AsyncIterator[str]:
    seen, spoke = -1, time.monotonic()
    while True:
        version, final = job.version, job.final
        if version != seen:
            name = "snapshot" if since is None else "delta"
            since, text = await asyncio.to_thread(message_text, job, version, seed, since)
            yield f"event: {name}\nid: {since}\ndata: {text}\n\n"
            seen, spoke = version, time.monotonic()
        elif final:
            yield "event: end\ndata: {}\n\n"
            return
        elif time.monotonic() - spoke > HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(POLL_SECONDS)


routes = [
    Route(PLOTLY_PATH, plotly_library),
    Route("/qhn/runs/{run_id}/events", run_events),
]
