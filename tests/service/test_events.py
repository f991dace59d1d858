"""The event stream of a run over HTTP: a real server on loopback, read as a browser reads it."""

import http.client
import json
import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette

from pages.server import routes
from qhn_core.jobs import scheduler
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.workers import thread_workers
from qhn_core.live import events as run_events
from qhn_core.live import messages, status
from qhn_core.storage.run_record import StoredRun
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import join_rows
from qhn_core.training.loop import initial_state
from tests import SECONDS
from tests.small_runs import assert_whole, small, until


@pytest.fixture(scope="module")
def port():
    """Port of a server with the app's own routes."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, ws="none", lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def service(serve, hand, monkeypatch):
    """The service behind the server, whose workers work when the test says so."""
    service = serve(hand)
    monkeypatch.setattr(run_events, "default_service", lambda: service)
    yield service
    for job in service.jobs():
        service.cancel(job.id)  # ends the streams that are still open
        until(lambda job=job: job.viewers == 0)


class Stream:
    """An open event stream."""

    def __init__(self, response):
        self.response = response

    def line(self):
        return self.response.readline().decode().rstrip("\n")

    def read(self):
        """(event, id or None, data) of the next event; comments are skipped."""
        found = {}
        while line := self.line():
            name, _, value = line.partition(":")
            if not name:
                assert self.line() == ""
                continue
            found[name] = value.strip()
        number = int(found["id"]) if "id" in found else None
        return found["event"], number, json.loads(found["data"])

    def read_all(self):
        """All events up to the end of the run."""
        events = []
        while not events or events[-1][0] != "end":
            events.append(self.read())
        assert self.response.read() == b""  # and the server hangs up
        return events


@pytest.fixture
def connect(port):
    """connect(job, query, headers) -> a Stream within `with`."""

    @contextmanager
    def connected(job, query="", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            connection.request("GET", f"/qhn/runs/{job.id}/events{query}", headers=headers)
            response = connection.getresponse()
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store"
            with response:
                yield Stream(response)
        finally:
            connection.close()

    return connected


def refusal(port, path, **headers):
    """(status, error) of a request that is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())["error"]
    finally:
        connection.close()


def new_epochs(data):
    """Epochs of the objective's curve in a snapshot or a delta."""
    if "figures" in data:
        return list(data["figures"]["objective"]["data"][-1]["x"])
    return list(data["extend"]["objective"]["x"][-1]) if "extend" in data else []


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("run_id", ["AAAAAAAAAAAAAAAA", "%00", "'"])
def test_an_unknown_run_is_not_found(port, service, run_id):
    status, error = refusal(port, f"/qhn/runs/{run_id}/events")
    assert status == 404
    assert "no such run" in error


@pytest.mark.parametrize(
    ("query", "headers"), [("?seed=two", {}), ("?seed=", {}), ("", {"Last-Event-ID": "NaN"})]
)
def test_a_seed_or_event_id_that_is_no_number_is_bad_input(port, service, query, headers):
    job = service.submit(small())
    status, error = refusal(port, f"/qhn/runs/{job.id}/events{query}", **headers)
    assert status == 400
    assert "whole numbers" in error
    assert job.viewers == 0


# --- a run from start to end -------------------------------------------------------------------------


def test_a_snapshot_comes_first_then_deltas_with_rising_ids_then_the_end(service, hand, connect):
    job = service.submit(small())
    hand.work()
    with connect(job) as stream:
        event, first_id, snapshot = stream.read()
        assert (event, first_id, snapshot["run"]) == ("snapshot", 1, job.id)
        deltas = []
        while not job.status.is_final:
            hand.work()
            deltas.append(stream.read())
            assert deltas[-1][:2] == ("delta", job.epoch)
        assert stream.read_all()[-1] == ("end", None, {})
    assert [number for _, number, _ in deltas] == [2, 3, 4, 5, 6]
    assert deltas[-1][2]["status"]["state"] == "done"
    seen = new_epochs(snapshot) + [epoch for _, _, delta in deltas for epoch in new_epochs(delta)]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_is_sent_whole_and_the_stream_ends(service, hand, connect):
    job = service.submit(small())
    hand.work_off()
    with connect(job) as stream:
        (event, number, snapshot), end = stream.read_all()
    assert (event, number, end) == ("snapshot", 6, ("end", None, {}))
    assert new_epochs(snapshot) == [1, 2, 3, 4, 5, 6]
    assert snapshot["status"]["state"] == "done"


def test_a_change_of_status_alone_is_sent(service, hand, connect):
    job = service.submit(small())
    hand.work()
    with connect(job) as stream:
        stream.read()
        service.pause(job.id)
        assert stream.read()[2]["status"]["state"] == "pausing"
        hand.work()
        event, epoch, data = stream.read()
        assert (event, epoch, data["status"]["state"]) == ("delta", 2, "paused")


def test_the_last_epochs_are_sent_before_the_end_however_slow_the_store_is(
    serve, hand, connect, monkeypatch, tmp_path
):
    """While the last checkpoint is written the run is final already, but no viewer has its last epoch."""
    writing, written, polls = threading.Event(), threading.Event(), []

    class SlowStore(RunStore):
        def checkpoint(self, run_id, config, status, *arguments, **options):
            if status == Status.DONE:
                writing.set()
                assert written.wait(SECONDS)
            super().checkpoint(run_id, config, status, *arguments, **options)

    async def counted(seconds, sleep=run_events.asyncio.sleep):
        polls.append(writing.is_set())
        if sum(polls) == 3:  # the stream has looked at the run in that state
            written.set()
        await sleep(seconds)

    service = serve(hand, SlowStore(tmp_path))
    monkeypatch.setattr(run_events, "default_service", lambda: service)
    monkeypatch.setattr(run_events.asyncio, "sleep", counted)
    job = service.submit(small(epochs=2))
    hand.work()
    with connect(job) as stream:
        assert new_epochs(stream.read()[2]) == [1]
        last = threading.Thread(target=hand.work)
        last.start()
        event, _, data = stream.read()
        written.set()
        last.join()
    assert event == "delta"
    assert new_epochs(data) == [2]
    assert data["status"]["state"] == "done"


def test_no_stream_ends_between_the_last_epoch_and_the_word_of_it(service, hand, connect, monkeypatch):
    """The run is final already, and its viewers are about to be told, when one of them looks."""
    monkeypatch.setattr(run_events, "HEARTBEAT_SECONDS", 0)  # viewers look all the time
    final, told, looks = threading.Event(), threading.Event(), []

    def slow_become(job, status, become=Job.become):
        become(job, status)
        if job.status == Status.DONE:
            final.set()
            assert told.wait(SECONDS)

    async def counted(seconds, sleep=run_events.asyncio.sleep):
        looks.append(final.is_set())
        if sum(looks) == 10:
            told.set()
        await sleep(seconds)

    monkeypatch.setattr(Job, "become", slow_become)
    monkeypatch.setattr(run_events.asyncio, "sleep", counted)
    job = service.submit(small(epochs=2))
    hand.work()
    with connect(job) as stream:
        assert new_epochs(stream.read()[2]) == [1]
        last = threading.Thread(target=hand.work)
        last.start()
        events = [stream.read()]
        while events[-1][0] != "end":
            events.append(stream.read())
        told.set()
        last.join()
    assert [new_epochs(data) for *_, data in events[:-1]] == [[2]]


def test_a_visitor_who_opens_a_large_run_is_told_why_the_first_picture_takes_time(
    service, connect, monkeypatch
):
    monkeypatch.setattr(status, "SLOW_TABLE_BITS", 6)
    job = service.submit(small())
    with connect(job) as stream:
        event, number, data = stream.read()
        assert (event, number) == ("opening", None)
        assert data["text"].startswith(job.config.in_words())
        assert "64 networks" in data["text"]
        assert stream.read()[0] == "snapshot"
    with connect(job, **{"Last-Event-ID": "0"}) as stream:
        assert stream.read()[0] == "delta"


def test_a_run_that_needs_what_is_not_here_says_so_once(serve, hand, connect, monkeypatch, tmp_path):
    """As one that came in a zip from a machine with a graphics card. Its view asks for no more."""
    config = small(simulator="qsim-cuda", shots=None)
    state = initial_state(small(shots=None))
    with RunStore(tmp_path) as store:
        run_id = store.add(StoredRun(config, "interrupted", state, join_rows([]), imported=True))
        service = serve(hand, store)
        monkeypatch.setattr(run_events, "default_service", lambda: service)
        with connect(service.get(run_id)) as stream:
            (event, _, data), end = stream.read_all()
    assert event == "opening"
    assert "cannot be shown on this machine: simulator='qsim-cuda' is not available" in data["text"]
    assert end == ("end", None, {})


# --- viewers who come and go -------------------------------------------------------------------------


def test_a_visitor_who_reconnects_gets_only_what_was_missed(service, hand, connect):
    job = service.submit(small())
    for _ in range(2):
        hand.work()
    with connect(job) as stream:
        last_id = stream.read()[1]
    assert last_id == 2
    for _ in range(2):
        hand.work()
    with connect(job, **{"Last-Event-ID": str(last_id)}) as stream:
        event, number, missed = stream.read()
        assert (event, number) == ("delta", 4)
        assert new_epochs(missed) == [3, 4]
        hand.work_off()
        events = stream.read_all()
    assert [epoch for *_, data in events[:-1] for epoch in new_epochs(data)] == [5, 6]


def test_a_visitor_who_reconnects_after_the_end_gets_the_end(service, hand, connect):
    job = service.submit(small())
    hand.work_off()
    with connect(job, **{"Last-Event-ID": "6"}) as stream:
        (event, number, data), end = stream.read_all()
    assert (event, number, end[0]) == ("delta", 6, "end")
    assert new_epochs(data) == []
    assert data["status"]["state"] == "done"


def test_a_viewer_who_hangs_up_is_counted_no_more(service, hand, connect):
    job = service.submit(small())
    with connect(job) as one:
        one.read()
        with connect(job) as two:
            two.read()
            assert job.viewers == 2
        until(lambda: job.viewers == 1)
        hand.work()
        assert one.read()[:2] == ("delta", 1)
    until(lambda: job.viewers == 0)
    hand.work_off()
    assert_whole(job)


def test_every_viewer_of_a_run_gets_the_same_events(service, hand, connect):
    job = service.submit(small())
    hand.work()
    with connect(job) as one, connect(job) as two:
        seen = {one: [one.read()], two: [two.read()]}
        hand.work_off()
        for stream, events in seen.items():
            events.extend(stream.read_all())
    for events in seen.values():
        assert [epoch for *_, data in events for epoch in new_epochs(data)] == [1, 2, 3, 4, 5, 6]
        assert events[-2][2]["status"] == seen[one][-2][2]["status"]


def test_viewers_who_ask_at_the_same_moment_cost_one_message(service, hand, connect, monkeypatch):
    """The second asks while the first's is being made: it waits for that one, and makes none itself."""
    made, first_is_in, second_is_in = [], threading.Event(), threading.Event()

    def slow_delta(job, seed, since, delta=messages.delta):
        made.append(since)
        first_is_in.set()
        if len(made) > 1:
            second_is_in.set()
        second_is_in.wait(0.3)  # ends at once where a second comes; nothing else could tell that none does
        return delta(job, seed, since)

    job = service.submit(small())
    hand.work()
    with connect(job) as one, connect(job) as two:
        for stream in (one, two):
            assert stream.read()[:2] == ("snapshot", 1)
        monkeypatch.setattr(messages, "delta", slow_delta)
        hand.work()
        assert first_is_in.wait(SECONDS)
        for stream in (one, two):
            assert stream.read()[:2] == ("delta", 2)
    assert made == [1]


def test_slow_snapshots_of_other_runs_delay_no_message(service, hand, connect, monkeypatch):
    """They are more than one pool for all runs would have threads, and none ends before the test does."""
    go_on, snapshot = threading.Event(), messages.snapshot
    watched = service.submit(small())
    slow = [service.submit(small(seed=seed)) for seed in range(100, 140)]

    def slow_snapshot(job, *arguments):
        if job is not watched:
            assert go_on.wait(SECONDS)
        return snapshot(job, *arguments)

    monkeypatch.setattr(messages, "snapshot", slow_snapshot)
    hand.work()
    with ExitStack() as stack:
        stack.callback(go_on.set)
        for job in slow:
            stack.enter_context(connect(job))
        until(lambda: all(job.viewers for job in slow))
        stream = stack.enter_context(connect(watched))
        assert stream.read()[:2] == ("snapshot", 1)
        while watched.epoch < 2:
            hand.work()
        assert stream.read()[:2] == ("delta", 2)
        assert not go_on.is_set()


def test_viewers_who_come_at_the_same_moment_cost_one_snapshot(service, hand, connect, monkeypatch):
    made, go_on, snapshot = [], threading.Event(), messages.snapshot

    def slow_snapshot(*arguments):
        made.append(arguments)
        assert go_on.wait(SECONDS)
        return snapshot(*arguments)

    monkeypatch.setattr(messages, "snapshot", slow_snapshot)
    job = service.submit(small())
    hand.work()
    with connect(job) as one, connect(job) as two, connect(job, "?seed=1") as another:
        until(lambda: job.viewers == 3)
        go_on.set()
        first = one.read()
        assert two.read() == first
        assert another.read()[2]["status"]["guidance"]["boundary"].startswith("Seed 1:")
    assert len(made) == 2


def test_a_silent_stream_is_kept_alive(service, hand, connect, monkeypatch):
    monkeypatch.setattr(run_events, "HEARTBEAT_SECONDS", 0)
    job = service.submit(small(), paused=True)
    hand.work_off()
    with connect(job) as stream:
        stream.read()
        assert stream.line() == ": still here"
        assert stream.line() == ""
        assert stream.line().startswith(":")


# --- what is drawn -----------------------------------------------------------------------------------


def test_pinned_runs_are_drawn_in_the_snapshot_and_unknown_pins_are_left_out(service, hand, connect):
    job, pin = service.submit(small()), service.submit(small(seed=12))
    hand.work_off()
    with connect(job) as stream:
        plain = stream.read()[2]["figures"]["objective"]["data"]
    with connect(job, f"?pin={pin.id}&pin=unknown") as stream:
        traces = stream.read()[2]["figures"]["objective"]["data"]
    assert len(traces) == len(plain) + 1
    assert traces[: len(plain)] == plain
    drawn = [(name, values) for name, values in traces[-1].items() if name in ("x", "y")]
    assert [len(values) for _, values in drawn] == [6, 6]
    means = pin.result().history.groupby("epoch")["objective"].mean()
    assert traces[-1]["y"] == pytest.approx(means.to_list())


def test_the_seed_of_the_query_is_the_one_on_show(service, hand, connect):
    job = service.submit(small())
    hand.work_off()
    with connect(job, "?seed=2") as stream:
        guidance = stream.read()[2]["status"]["guidance"]
    assert guidance["boundary"].startswith("Seed 2:")


def test_a_viewer_of_a_live_run_gets_every_epoch_once_and_could_have_fifteen_updates_a_second(
    serve, connect, monkeypatch
):
    """Epochs come 40 a second, in chunks of two at most; how many come in one event is the machine's."""
    service = serve(thread_workers(), pace=True)
    monkeypatch.setattr(run_events, "default_service", lambda: service)
    per_event = scheduler.EPOCHS_PER_SECOND * scheduler.CHUNK_SECONDS
    assert scheduler.EPOCHS_PER_SECOND / per_event >= 15
    assert run_events.POLL_SECONDS <= 1 / 15
    job = service.submit(small(epochs=20))
    with connect(job) as stream:
        events = stream.read_all()[:-1]
    assert [epoch for *_, data in events for epoch in new_epochs(data)] == list(range(1, 21))
