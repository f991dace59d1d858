"""Runs whose chunks are computed when the test says so."""

import queue
from concurrent.futures import BrokenExecutor, Executor, Future

import numpy as np
import pandas as pd

import qhn_core as qhn
from tests import SECONDS


def small(**options):
    return qhn.RunConfig(**{"n_hidden": 1, "n_seeds": 3, "epochs": 9, "seed": 11, "shots": 20, **options})


class ByHand(Executor):
    """Runs a chunk when the test says so, in the test's own thread."""

    def __init__(self):
        self.waiting = queue.Queue()

    def submit(self, function, *arguments):
        future = Future()
        self.waiting.put((future, function, arguments))
        return future

    def again(self):
        """The executor that takes the place of a broken one: the same hands."""
        other = ByHand()
        other.waiting = self.waiting
        return other

    def next_chunk(self):
        """Wait for the next chunk; it is in flight until `finish` or `lose`."""
        return self.waiting.get(timeout=SECONDS)

    def run_chunk(self):
        """Run the next chunk and return its (config, state, n_epochs)."""
        chunk = self.next_chunk()
        finish(chunk)
        return chunk[2]

    def run_all(self, job):
        while not job.final:
            self.run_chunk()

    def shutdown(self, wait=True, *, cancel_futures=False):
        while cancel_futures and not self.waiting.empty():
            self.waiting.get()[0].cancel()


def finish(chunk):
    future, function, arguments = chunk
    future.set_result(function(*arguments))


def lose(chunk):
    """The worker dies in the middle of the chunk."""
    chunk[0].set_exception(BrokenExecutor("a worker died"))


def assert_same_run(job, config):
    """The job's history and state are those of qhn.train, bit for bit."""
    expected = qhn.train(config)
    pd.testing.assert_frame_equal(job.result().history, expected.history, check_exact=True)
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)
    np.testing.assert_array_equal(job.state.samples, expected.state.samples)
