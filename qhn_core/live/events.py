"""The event stream of a run: a snapshot, then what changes, made once for all viewers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qhn_core.jobs.job import Job
from qhn_core.jobs.service import JobService, default_service
from qhn_core.live.messages import MOST_PINS, message_text
from qhn_core.live.status import opening

POLL_SECONDS = 0.03
HEARTBEAT_SECONDS = 15


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


class _Delta(NamedTuple):
    since: int
    epoch: int
    text: bytes
    version: int


class _Feed:
    """What is new in one run, made once and sent to all who watch it."""

    def __init__(self, job: Job, seed: int | None) -> None:
        self.viewers = 0
        self._job, self._seed = job, seed
        self._latest = _Delta(-1, -1, b"", -1)
        self._news = asyncio.Event()
        self._pump = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Look for news while anybody waits for them; without any, wake all now and then."""
        version, epoch, spoke = self._job.version, self._job.epoch, time.monotonic()
        try:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                if self._job.version != version:
                    since, version = epoch, self._job.version
                    arguments = (self._job, version, self._seed, since)
                    epoch, text = await asyncio.to_thread(message_text, *arguments)
                    self._latest = _Delta(since, epoch, text, version)
                elif time.monotonic() - spoke < HEARTBEAT_SECONDS:
                    continue
                spoke, news, self._news = time.monotonic(), self._news, asyncio.Event()
                news.set()
        finally:
            self._news.set()  # whoever waits sees that this has ended

    async def news(self, version: int, epoch: int) -> _Delta | None:
        """What is new for a viewer who has seen `version` and `epoch`; None if nothing is for a while."""
        if self._latest.version <= version:
            await self._news.wait()
        if self._pump.done():
            self._pump.result()  # raises what went wrong
        if self._latest.version <= version:
            return None
        if self._latest.since == epoch:
            return self._latest
        version = self._job.version  # this viewer has missed one, or has just come
        epoch_now, text = await asyncio.to_thread(message_text, self._job, version, self._seed, epoch)
        return _Delta(epoch, epoch_now, text, version)

    def close(self) -> None:
        self._pump.cancel()


_feeds: dict[tuple[Job, int | None], _Feed] = {}


@asynccontextmanager
async def _feed_of(service: JobService, job: Job, seed: int | None) -> AsyncIterator[_Feed]:
    """The feed of a run, there for as long as it has viewers."""
    key = (job, seed)
    if key not in _feeds:
        _feeds[key] = _Feed(job, seed)
    feed = _feeds[key]
    feed.viewers += 1
    service.view(job, +1)
    try:
        yield feed
    finally:
        service.view(job, -1)
        feed.viewers -= 1
        if not feed.viewers:
            feed.close()
            del _feeds[key]


async def _messages(
    service: JobService, job: Job, seed: int | None, since: int | None, pinned: tuple[Job, ...]
) -> AsyncIterator[bytes]:
    async with _feed_of(service, job, seed) as feed:
        version = job.version
        name = b"snapshot" if since is None else b"delta"
        if since is None and (words := opening(job.config)):
            yield b"event: opening\ndata: %b\n\n" % orjson.dumps({"text": words})
        epoch, text = await asyncio.to_thread(message_text, job, version, seed, since, pinned)
        yield _event(name, epoch, text)
        while True:
            if job.final and await asyncio.to_thread(service.over, job, version):
                yield b"event: end\ndata: {}\n\n"
                return
            delta = await feed.news(version, epoch)
            if delta is None:
                yield b": still here\n\n"
            else:
                _, epoch, text, version = delta
                yield _event(b"delta", epoch, text)


def _event(name: bytes, epoch: int, text: bytes) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name, epoch, text)
