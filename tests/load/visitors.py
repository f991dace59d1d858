"""What visitors do: watch one run, or use the page as students of a class do."""

import asyncio
import contextlib
import random
import statistics
import time

from tests.service.browserless import Session, events

WATCH_SECONDS = 8
EPOCHS = 600
"""Epochs of a run that is only watched; they take 15 s."""
STRENGTHS = ["0.001", "0.1", "1", "10", "100", "1000"]
REFUSALS = ("under way on this server", "under way; pause or wait for")


class Figures:
    """Everything that was measured."""

    def __init__(self):
        self.health, self.memory, self.clicks, self.wrong = [], [], [], []
        self.updates = 0
        self.refused = 0


async def count_updates(server, path, seconds):
    """Count updates per second of one stream, for some seconds or until the run ends."""
    count, began, last = 0, 0.0, 0.0
    stream = events(server.port, path)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for event, _, _ in stream:
                if event == "delta":
                    last = time.perf_counter()
                    began = began or last
                    count += 1
    await stream.aclose()
    return (count - 1) / (last - began) if count > 1 else 0.0


async def watch(server, seed, streams, pages):
    """Measure (updates per second and viewer, server's share of a core) of one run with so many viewers.

    streams: viewers that only hold an event stream; pages: viewers that also have the page open.
    """
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        first = await enter(Session(server.port, f"seed={seed}&epochs={EPOCHS}"))
        for _ in range(pages - 1):
            await enter(Session(server.port, f"run={first.run_id}"))
        async for _, epoch, _ in events(server.port, first.events_path):
            if epoch:
                break  # it moves
        cpu, began = server.cpu_seconds(), time.perf_counter()
        counting = [count_updates(server, first.events_path, WATCH_SECONDS) for _ in range(streams + pages)]
        rates = await asyncio.gather(*counting)
        share = (server.cpu_seconds() - cpu) / (time.perf_counter() - began)
        await first.act("pause")
    return statistics.median(rates), share


async def stream_of(server, session, figures):
    """Hold the event stream of the run that the session shows, and change over when it shows another."""
    while True:
        path = session.events_path
        if path is None:
            await asyncio.sleep(0.2)
            continue
        stream = events(server.port, path)
        async for event, _, _ in stream:
            figures.updates += event == "delta"
            if session.events_path != path:
                break
        await stream.aclose()
        while session.events_path == path:
            await asyncio.sleep(0.2)  # the run is over


async def act(session, rng):
    """Do one thing that a student does, chosen at random."""
    what = rng.choice(["train", "train", "train", "pause", "resume", "step", "reset", "preset", "seed"])
    if what == "train":
        await session.choose("Regularisation λ", rng.choice(STRENGTHS))
        await session.click("Train")
    elif what == "seed":
        await session.set_number("Seed", rng.randrange(100))
        await session.click("Train")
    elif what == "preset":
        await session.click(rng.choice(["Recommended", "As printed", "Exact"]))
    else:
        await session.act("play" if what == "resume" else what)


async def student(server, number, until, figures):
    """Use the page until the time is over, with pauses to think; reload now and then."""
    rng = random.Random(number)
    query = f"n_seeds=2&seed={number % 10}"  # some ask for the same run
    await asyncio.sleep(rng.uniform(0, 3))
    while time.monotonic() < until:
        async with Session(server.port, query) as session:
            streaming = asyncio.create_task(stream_of(server, session, figures))
            try:
                for _ in range(rng.randrange(3, 12)):
                    await asyncio.sleep(min(rng.uniform(1, 4), max(0.0, until - time.monotonic())))
                    if time.monotonic() >= until:
                        break
                    started = time.perf_counter()
                    await act(session, rng)
                    figures.clicks.append((time.perf_counter() - started) * 1000)
            finally:
                streaming.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await streaming
            refused = [text for text in session.problems if any(r in text for r in REFUSALS)]
            figures.refused += len(refused)
            figures.wrong += [f"page: {text}" for text in session.problems if text not in refused]
            query = f"run={session.run_id}"


async def probe(server, figures, every):
    """Record the server's health and memory at regular intervals."""
    while True:
        figures.health.append(await server.health_ms())
        figures.memory.append(server.memory_mb())
        await asyncio.sleep(every)


async def use(server, sessions, seconds, figures):
    """Run all sessions at once. An error ends its own session only, and is recorded."""
    until = time.monotonic() + seconds
    probing = asyncio.create_task(probe(server, figures, 0.25))
    students = [student(server, number, until, figures) for number in range(sessions)]
    for error in await asyncio.gather(*students, return_exceptions=True):
        if isinstance(error, BaseException):
            figures.wrong.append(f"session: {type(error).__name__}: {error}")
    if probing.done():
        figures.wrong.append(f"health: {probing.exception()}")
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await probing
