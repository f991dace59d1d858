"""The event stream of a run. Each message is made once for all viewers who need it."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
END = b"event: end\ndata: {}\n\n"
"""After it a view asks for no more."""
_Question = tuple[int | None, int | None, tuple[Job, ...]]
"""What a viewer asks for: the seed on show, the last epoch that it has (None: a snapshot), pinned runs."""


def events_path(job: Job, seed: int | None, pins: list[str]) -> str:
    """Return the path of a run's event stream.

    seed: whose pictures it has; None: those of the best seed so far. pins: ids of runs drawn beside it.
    """
    query = [("seed", seed)] if seed is not None else []
    return f"/qhn/runs/{job.id}/events?" + urlencode([*query, *(("pin", pin) for pin in pins)])


async def run_events(request: Request) -> Response:
    """Answer with the server-sent events of one run: a snapshot, then deltas whose id is the epoch.

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


class _Feed:
    """The messages of one run, made in a thread of its own: a slow one holds up no other run's."""

    def __init__(self, job: Job) -> None:
        self.viewers = 0
        self.version = job.version
        """The version of the job that its viewers were last woken for."""
        self._job = job
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"qhn-feed-{job.id}")
        self._made: dict[tuple[int, _Question], asyncio.Future[tuple[int, bytes]]] = {}
        self._news = asyncio.Event()
        self._pump = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Wake the viewers for each new version of the job, and now and then without one."""
        spoke = time.monotonic()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._job.version != self.version or time.monotonic() - spoke >= HEARTBEAT_SECONDS:
                self.version, spoke = self._job.version, time.monotonic()
                news, self._news = self._news, asyncio.Event()
                news.set()

    async def wait(self, version: int) -> None:
        """Wait for another version than this one, or until a heartbeat is due."""
        if self.version == version:
            await self._news.wait()

    async def message(self, question: _Question) -> tuple[int, bytes]:
        """Return (epoch, JSON) of a message that includes all changes up to `version`."""
        key = self.version, question
        if key not in self._made:
            self._made = {k: made for k, made in self._made.items() if k[0] == self.version}
            loop = asyncio.get_running_loop()
            self._made[key] = loop.run_in_executor(self._thread, message_text, self._job, *question)
        return await asyncio.shield(self._made[key])  # others need it where this viewer hangs up

    def close(self) -> None:
        self._pump.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)


_feeds: dict[Job, _Feed] = {}


@asynccontextmanager
async def _feed_of(service: JobService, job: Job) -> AsyncIterator[_Feed]:
    """Return the feed of a run, which exists for as long as it has viewers."""
    if job not in _feeds:
        _feeds[job] = _Feed(job)
    feed = _feeds[job]
    feed.viewers += 1
    service.view(job, +1)
    try:
        yield feed
    finally:
        service.view(job, -1)
        feed.viewers -= 1
        if not feed.viewers:
            feed.close()
            del _feeds[job]


async def _messages(
    service: JobService, job: Job, seed: int | None, since: int | None, pinned: tuple[Job, ...]
) -> AsyncIterator[bytes]:
    async with _feed_of(service, job) as feed:
        version = feed.version
        name = b"snapshot" if since is None else b"delta"
        if since is None and (words := opening(job.config)):
            yield _placeholder(words)
        try:
            epoch, text = await feed.message((seed, since, pinned))
        except (ValueError, OSError, ImportError) as error:  # an imported run may need what is not here
            yield _placeholder(f"This run cannot be shown on this machine: {error}")
            yield END
            return
        yield _event(name, epoch, text)
        while True:
            if job.status.is_final and await asyncio.to_thread(service.over, job, version):
                yield END
                return
            await feed.wait(version)
            if feed.version == version:
                yield b": still here\n\n"
            else:
                version = feed.version
                epoch, text = await feed.message((seed, epoch, ()))
                yield _event(b"delta", epoch, text)


def _placeholder(text: str) -> bytes:
    """What a view shows until its first snapshot comes."""
    return b"event: opening\ndata: %b\n\n" % orjson.dumps({"text": text})


def _event(name: bytes, epoch: int, text: bytes) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name, epoch, text)
