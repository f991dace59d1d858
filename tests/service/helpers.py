"""What these tests share: small runs, the result to hold them to, and workers that obey the test."""

import time
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from functools import lru_cache

import numpy as np

import qhn_core as qhn
from qhn_core.jobs.workers import Workers
from qhn_core.training.history import HISTORY_COLUMNS, join_rows
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS

MOST_TASKS = 2000
"""No test needs so many."""


def small(**options):
    """A run of 6 qubits, about half a millisecond an epoch."""
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 3, "epochs": 6, "seed": 11, "shots": 20, **options})


@lru_cache
def uninterrupted(config):
    """(states after 0, 1, 2, ... epochs, history rows) of a run in one piece, in this thread."""
    states, rows = [initial_state(config)], []
    while states[-1].epoch < config.epochs:
        state, new = advance(config, states[-1], 1)
        states.append(state)
        rows.append(new)
    return states, join_rows(rows)


def table(rows):
    """History rows as an array (columns, rows), by seed and epoch."""
    columns = np.array([np.asarray(rows[name], dtype=float) for name in HISTORY_COLUMNS])
    return columns[:, np.lexsort((rows["epoch"], rows["seed"]))]


def assert_on_course(job):
    """Bit for bit, the history and the state are those of the uninterrupted run at that epoch."""
    states, rows = uninterrupted(job.config)
    done = table(rows)
    done = done[:, done[HISTORY_COLUMNS.index("epoch")] <= job.epoch]
    np.testing.assert_array_equal(table(job.rows()), done)
    if job.state is not None:
        for f in fields(job.state):
            expected = getattr(states[job.epoch], f.name)
            np.testing.assert_array_equal(getattr(job.state, f.name), expected, err_msg=f.name)


def assert_whole(job):
    """The job is done, with the result of the uninterrupted run."""
    assert (str(job.status), job.epoch) == ("done", job.config.epochs), job.message
    assert_on_course(job)


def until(condition, seconds=SECONDS):
    """Wait until condition() is true; for what other processes do, which sends us no event."""
    give_up = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)
    return value


class Pool(Executor):
    """Worker processes that work when the test says so, and die when it says so."""

    def __init__(self):
        self.tasks = deque()
        self.broken = False

    def submit(self, function, *arguments):
        if self.broken:
            raise BrokenProcessPool("a worker died")
        future = Future()
        self.tasks.append((future, function, arguments))
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        for future, _, _ in self.tasks:
            future.cancel()


class Hand:
    """Workers(hand.make, n) whose tasks wait for `work`; `kill` breaks the pool as SIGKILL does."""

    def __init__(self):
        self.pools = []
        self.ran = []
        """The config of each task that was worked off, in order."""

    def make(self):
        self.pools.append(Pool())
        return self.pools[-1]

    def workers(self, count=1):
        return Workers(self.make, count)

    @property
    def in_flight(self):
        return len(self.pools[-1].tasks)

    def kill(self):
        pool = self.pools[-1]
        pool.broken = True
        while pool.tasks:
            pool.tasks.popleft()[0].set_exception(BrokenProcessPool("a worker died"))

    def work(self, service):
        """Run the next task; False where the service wants nothing done."""
        settle(service)
        if not self.in_flight:
            return False
        self.work_one()
        settle(service)
        return True

    def work_one(self):
        assert len(self.ran) < MOST_TASKS, "the work does not end"
        future, function, arguments = self.pools[-1].tasks.popleft()
        self.ran.append(arguments[0])
        future.set_result(function(*arguments))

    def work_off(self, service):
        """Run tasks until the service wants nothing done."""
        while self.work(service):
            pass


def settle(service):
    """Wait until the service has handed out all tasks that it can."""
    with service._changed:
        give_up = time.monotonic() + SECONDS
        while service._next_job(time.monotonic()) is not None:
            assert time.monotonic() < give_up, "the scheduler hands out no tasks any more"
            service._changed.wait(0.001)
