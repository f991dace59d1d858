"""What the server answers beside Streamlit: Plotly's library and the event stream of a run."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from plotly.offline import get_plotlyjs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from qhn_core.jobs import Job
from qhn_core.live import MOST_PINS, message_text
from qhn_core.service import JobService, default_service

PLOTLY_PATH = "/qhn/plotly.min.js"
POLL_SECONDS = 0.03
HEARTBEAT_SECONDS = 15


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start the workers with the server, so that the first visitor does not wait, and end them with it."""
    service = default_service()
    yield
    await asyncio.to_thread(service.shutdown)
    if service.store is not None:
        service.store.close()


def plotly_library(request: Request) -> Response:
    """plotly.js as it ships with the Python package, so that no page needs the internet."""
    headers = {"cache-control": "public, max-age=86400"}
    return Response(get_plotlyjs(), media_type="text/javascript", headers=headers)


def events_path(job: Job, seed: int | None, pins: list[str]) -> str:
    """The path of a run's event stream, with pictures of one seed (or the best so far) and pinned runs."""
    query = [("seed", seed)] if seed is not None else []
    return f"/qhn/runs/{job.id}/events?" + urlencode([*query, *(("pin", pin) for pin in pins)])


async def run_events(request: Request) -> Response:
    """Server-sent events of one run: a snapshot, then deltas whose id is the epoch.

    A client that reconnects with Last-Event-ID gets only what it missed.
    """
    service = default_service()
    job = service.get(request.path_params["run_id"])
    if job is None:
        return JSONResponse({"error": "no such run on this server"}, status_code=404)
    try:
        seed_text = request.query_params.get("seed")
        seed = None if seed_text is None else int(seed_text)
        last_id = request.headers.get("last-event-id")
        since = None if last_id is None else int(last_id)
    except ValueError:
        return JSONResponse({"error": "seed and Last-Event-ID must be whole numbers"}, status_code=400)
    pinned = [service.get(pin) for pin in request.query_params.getlist("pin")[:MOST_PINS]]
    stream = _messages(service, job, seed, since, tuple(pin for pin in pinned if pin is not None))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _messages(
    service: JobService, job: Job, seed: int | None, since: int | None, pinned: tuple[Job, ...]
) -> AsyncIterator[str]:
    seen, spoke = -1, time.monotonic()
    service.view(job, +1)
    try:
        while True:
            version, final = job.version, job.final
            if version != seen:
                name = "snapshot" if since is None else "delta"
                since, text = await asyncio.to_thread(message_text, job, version, seed, since, pinned)
                yield f"event: {name}\nid: {since}\ndata: {text}\n\n"
                seen, spoke = version, time.monotonic()
            elif final:
                yield "event: end\ndata: {}\n\n"
                return
            elif time.monotonic() - spoke > HEARTBEAT_SECONDS:
                yield ": still here\n\n"
                spoke = time.monotonic()
            await asyncio.sleep(POLL_SECONDS)
    finally:
        service.view(job, -1)


routes = [
    Route(PLOTLY_PATH, plotly_library),
    Route("/qhn/runs/{run_id}/events", run_events),
]
