"""A pool of worker processes each of which can be ended alone, in the middle of its task.

`concurrent.futures.ProcessPoolExecutor` breaks as a whole when one of its processes ends.
"""

import multiprocessing
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from typing_extensions import override

P = ParamSpec("P")
T = TypeVar("T")
Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]
RESTART_SECONDS = 1.0
"""Where a process can't be started, the next one is tried so much later."""
_main_module = threading.Lock()


class WorkerLostError(BrokenExecutor):
    """A worker process ended in the middle of this task; the others work on."""


class ProcessPool(Executor):
    """`count` processes of one thread each, every one run by a thread of this process.

    prepare: what a process does before its first task. The first process does it alone, so that what it
    compiles and caches is there for the others. A process that ends is replaced.

    Processes, because qsim holds the interpreter's lock; `spawn`, because a fork after a threaded call
    hangs.

    >>> with ProcessPool(2, int) as pool:
    ...     pool.submit(abs, -3).result()
    3
    """

    def __init__(self, count: int, prepare: Callable[[], object]) -> None:
        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._closed = False
        self._workers = [_Worker(prepare) for _ in range(count)]
        first_is_ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, args=(worker, first_is_ready), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("this pool was shut down and takes no more tasks")
            self._tasks.append((future, fn, args, kwargs))
            self._changed.notify_all()
        return future

    def interrupt(self, future: Future[Any]) -> bool:
        """End the process that works on a task, whose future then raises WorkerLostError.

        Returns False where no process works on it.
        """
        with self._changed:
            for worker in self._workers:
                if worker.future is future:
                    worker.kill()
                    return True
        return False

    def pids(self) -> list[int]:
        """Return the process ids of the workers that are there now."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; cancel_futures: also end the processes, whatever they work on."""
        dropped: list[Task] = []
        with self._changed:
            self._closed = True
            if cancel_futures:
                dropped += self._tasks
                self._tasks.clear()
                for worker in self._workers:
                    worker.kill()
            self._changed.notify_all()
        for future, *_ in dropped:  # without the lock: this calls whoever waits for them
            future.cancel()
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self, worker: "_Worker", first_is_ready: threading.Event) -> None:
        """Keep a process and give it tasks, until the pool is shut down. Runs in a thread of its own."""
        if worker is not self._workers[0]:
            first_is_ready.wait()
        while not self._closed or self._tasks:
            started = worker.start()
            first_is_ready.set()
            if not started and not worker.killed:
                self._fail_a_task()
            while started and not worker.killed and (task := self._next_task(worker)) is not None:
                started = worker.work(*task)
                with self._changed:
                    worker.future = None
        worker.stop()

    def _fail_a_task(self) -> None:
        """Let no task wait in vain where processes can't be started."""
        with self._changed:
            task = self._tasks.popleft() if self._tasks else None
            if task is None and not self._closed:
                self._changed.wait(RESTART_SECONDS)
        if task is not None and task[0].set_running_or_notify_cancel():
            task[0].set_exception(WorkerLostError("no worker could be started"))

    def _next_task(self, worker: "_Worker") -> Task | None:
        """Wait for a task and note whose it is; None where the pool is shut down."""
        with self._changed:
            while True:
                while not self._tasks and not self._closed:
                    self._changed.wait()
                if not self._tasks:
                    return None
                task = self._tasks.popleft()
                if task[0].set_running_or_notify_cancel():
                    worker.future = task[0]
                    return task


class _Worker:
    """One process and the connection to it; all but `kill` is called by the thread that serves it."""

    def __init__(self, prepare: Callable[[], object]) -> None:
        self.future: Future[Any] | None = None
        """The task under way."""
        self.killed = False
        """Whether the process was ended on purpose."""
        self._prepare = prepare
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> bool:
        """Start a process in place of one that has ended, and wait until it is ready."""
        self.stop()
        context = spawn_context()
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._prepare), daemon=True)
        self.killed = False
        try:
            with without_main():
                process.start()
            theirs.close()
            self._process, self._connection = process, ours
            return bool(ours.recv())
        except (EOFError, OSError):
            return False

    def work(self, future: Future[Any], function: Callable[..., Any], args: Any, kwargs: Any) -> bool:
        """Have a task done; returns whether the process can do another."""
        assert self._connection is not None
        try:
            self._connection.send((function, args, kwargs))
            succeeded, result = self._connection.recv()
        except (EOFError, OSError):
            future.set_exception(WorkerLostError("a worker died"))
            return False
        except Exception as error:  # what can't be sent: the process has heard nothing of it
            future.set_exception(error)
            return True
        if succeeded:
            future.set_result(result)
        else:
            future.set_exception(result)
        return True

    def kill(self) -> None:
        """End the process, from any thread; the thread that serves it notices."""
        self.killed = True
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End the process where there is one, and wait for its end."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
            self._process = self._connection = None


def _work(connection: Connection, prepare: Callable[[], object]) -> None:
    """Do what comes over the connection. Runs in the worker process."""
    leave_with_parent()
    prepare()
    connection.send(True)
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            return
        try:
            answer = True, function(*args, **kwargs)
        except BaseException as error:
            error.add_note("".join(traceback.format_exception(error)))
            answer = False, error
        try:
            connection.send(answer)
        except Exception as error:  # a result, or an error, that can't be sent
            connection.send((False, RuntimeError(f"{answer[1]!r} can't be sent back: {error}")))


def spawn_context() -> SpawnContext:
    """Return the way to start processes of one thread each."""
    for library in ("OMP", "OPENBLAS", "MKL"):  # read by the processes when they start
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    return multiprocessing.get_context("spawn")


@contextmanager
def without_main() -> Iterator[None]:
    """Let spawned processes not run the file of the module `__main__`, as they do by themselves.

    Under Streamlit, that is the page that happens to be drawn.
    """
    with _main_module:
        main, nothing = sys.modules["__main__"], ModuleType("__main__")
        sys.modules["__main__"] = nothing
        try:
            yield
        finally:
            if sys.modules["__main__"] is nothing:  # another page may be drawn by now
                sys.modules["__main__"] = main


def leave_with_parent() -> None:
    """End this worker when the server has died, however it died."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
