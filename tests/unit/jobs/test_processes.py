"""The pool of worker processes: tasks, errors, and the end of one process."""

import os
import signal
import time

import pytest

from qhn_core.jobs.processes import ProcessPool, WorkerLostError
from tests import SECONDS
from tests.small_runs import until


@pytest.fixture(scope="module")
def pool():
    with ProcessPool(2, int) as pool:
        yield pool


def test_an_error_comes_back_with_where_it_was(pool):
    future = pool.submit(int, "no number")
    error = future.exception(SECONDS)
    assert isinstance(error, ValueError)
    assert "_work" in error.__notes__[0]


@pytest.mark.parametrize("task", [(eval, "lambda: 0"), (lambda: 0,)], ids=["result", "function"])
def test_what_can_not_be_sent_is_an_error_and_the_worker_works_on(pool, task):
    before = sorted(pool.pids())
    assert pool.submit(*task).exception(SECONDS) is not None
    assert pool.submit(abs, -3).result(SECONDS) == 3
    assert set(before) <= set(pool.pids())


def test_a_task_that_is_interrupted_fails_and_the_others_do_not(pool):
    held, other = (pool.submit(time.sleep, SECONDS) for _ in range(2))
    until(lambda: held.running() and other.running())
    waiting = pool.submit(abs, -3)
    assert pool.interrupt(held)
    with pytest.raises(WorkerLostError):
        held.result(SECONDS)
    assert waiting.result(SECONDS) == 3  # by the process in place of the one that ended
    assert other.running()
    assert pool.interrupt(other)
    assert isinstance(other.exception(SECONDS), WorkerLostError)


def test_a_task_that_is_over_or_waits_can_not_be_interrupted(pool):
    done = pool.submit(abs, -3)
    done.result(SECONDS)
    until(lambda: not pool.interrupt(done))
    assert pool.submit(abs, -4).result(SECONDS) == 4


def test_a_process_that_dies_is_replaced(pool):
    with pytest.raises(WorkerLostError):
        pool.submit(os.kill, pool.submit(os.getpid).result(SECONDS), signal.SIGKILL).result(SECONDS)
    assert pool.submit(abs, -3).result(SECONDS) == 3


def test_where_no_process_can_be_started_no_task_waits_in_vain():
    pool = ProcessPool(1, os.abort)
    try:
        assert isinstance(pool.submit(abs, -3).exception(SECONDS), WorkerLostError)
    finally:
        pool.shutdown(cancel_futures=True)


def test_a_pool_that_is_shut_down_at_once_ends_what_is_under_way():
    pool = ProcessPool(1, int)
    under_way, waiting = (pool.submit(time.sleep, SECONDS) for _ in range(2))
    until(under_way.running)
    pool.shutdown(cancel_futures=True)
    assert isinstance(under_way.exception(0), WorkerLostError)
    assert waiting.cancelled()
    assert pool.pids() == []
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(abs, -3)
