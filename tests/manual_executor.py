"""Workers that work, die and see time pass when the test says so: nothing in these tests is timed."""

import threading
from collections import deque
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool

from qhn_core.jobs.clock import Clock
from qhn_core.jobs.processes import WorkerLostError
from qhn_core.jobs.workers import Workers
from tests import SECONDS

MOST_TASKS = 2000
"""No test needs so many."""


class ManualClock(Clock):
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.time = 0.0
        self.asked = self.answered = 0
        self.changed = None
        self.started = threading.Event()

    def now(self):
        return self.time

    def wait(self, changed, seconds):
        """Note that the scheduler has nothing to do at this time, and wake the test that waits for that."""
        self.changed, self.answered = changed, self.asked
        self.started.set()
        changed.notify_all()
        changed.wait()

    def advance(self, seconds):
        """Let so much time pass, and wait until the scheduler has done all that is then due."""
        self.settle()
        self.time += seconds
        self.settle()

    def settle(self):
        """Wait until the scheduler has done all that is due."""
        assert self.started.wait(SECONDS), "the scheduler never comes to rest"
        with self.changed:
            self.asked += 1
            asked = self.asked
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.answered >= asked, SECONDS), "it rests no more"


class Task:
    """A task that a worker has: it is in flight until it is finished or lost."""

    def __init__(self, function, arguments, clock):
        self.future = Future()
        self.future.set_running_or_notify_cancel()
        self.clock, self.started = clock, clock.now()
        self.function, self.arguments = function, arguments
        self.config = arguments[0]

    @property
    def n_epochs(self):
        return self.arguments[2]

    def finish(self):
        state, rows, _ = self.function(*self.arguments)
        self.future.set_result((state, rows, self.clock.now() - self.started))

    def fail(self, error):
        self.future.set_exception(error)

    def lose(self):
        """The worker dies in the middle of the task."""
        self.fail(BrokenProcessPool("a worker died"))


class Pool(Executor):
    """What a service takes for its worker processes."""

    def __init__(self, clock):
        self.clock = clock
        self.tasks = deque()
        self.broken = False

    def submit(self, function, *arguments):
        if self.broken:
            raise BrokenProcessPool("a worker died")
        self.tasks.append(Task(function, arguments, self.clock))
        return self.tasks[-1].future

    def shutdown(self, wait=True, *, cancel_futures=False):
        for task in self.tasks:
            task.future.cancel()


class ManualExecutor:
    """Workers of one service, and its clock."""

    def __init__(self):
        self.clock = ManualClock()
        self.pools = []
        self.ran = []
        """The config of each task that was worked off, in order."""
        self.interrupted = deque()
        """Tasks whose workers are being ended; the service does not know yet that they are."""

    def make(self):
        self.pools.append(Pool(self.clock))
        return self.pools[-1]

    def workers(self, count=1):
        return Workers(self.make, count, interrupt=self.interrupt)

    def interrupt(self, pool, future):
        """End the worker that has a task; its end is noticed with the next work."""
        task = next((task for task in pool.tasks if task.future is future), None)
        if task is not None:
            pool.tasks.remove(task)
            self.interrupted.append(task)
        return task is not None

    @property
    def tasks(self):
        """The tasks that were handed out and are not done."""
        return self.pools[-1].tasks

    def next_task(self):
        """The next task that the service hands out."""
        self.clock.settle()
        assert self.tasks, "the service wants nothing done"
        return self.tasks.popleft()

    def work(self):
        """Run the next task; False where the service wants nothing done."""
        self.clock.settle()
        self.end_interrupted()
        if not self.tasks:
            return False
        self.work_one()
        self.clock.settle()
        return True

    def end_interrupted(self):
        """The ends of the interrupted workers are noticed."""
        while self.interrupted:
            self.interrupted.popleft().fail(WorkerLostError("a worker died"))
            self.clock.settle()

    def work_one(self):
        """Run the next task that was handed out already."""
        assert len(self.ran) < MOST_TASKS, "the work does not end"
        task = self.tasks.popleft()
        self.ran.append(task.config)
        task.finish()

    def work_off(self):
        """Run tasks until the service wants nothing done."""
        while self.work():
            pass

    def kill(self):
        """All tasks in flight are lost, as by SIGKILL, and the pool takes no more."""
        pool = self.pools[-1]
        pool.broken = True
        while pool.tasks:
            pool.tasks.popleft().lose()
