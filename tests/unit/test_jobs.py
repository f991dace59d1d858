import queue
import string
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core import scheduler
from qhn_core import service as service_module
from qhn_core.execution import Workers, thread_workers
from qhn_core.jobs import Job, Limits, ServerFullError, Status
from qhn_core.service import JobService
from qhn_core.training import advance, initial_state
from tests import SECONDS
from tests.diverging import DIVERGES, lower_the_bound


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


@pytest.fixture
def serve():
    """serve(hand) -> a JobService whose chunks run by hand; serve() -> one on a thread."""
    services = []

    def make(hand=None, threads=1, **options):
        workers = thread_workers(threads) if hand is None else Workers(hand.again, 1)
        services.append(JobService(workers, **options))
        return services[-1]

    yield make
    for service in services:
        service.shutdown()


@pytest.fixture
def hand(monkeypatch):
    """Chunks of one epoch that are due at once, and run when the test says so."""
    monkeypatch.setattr(scheduler, "EPOCHS_PER_SECOND", 1e9)
    monkeypatch.setattr(scheduler, "CHUNK_SECONDS", 1e-9)
    return ByHand()


def assert_same_run(job, config):
    """The job's history and state are those of qhn.train, bit for bit."""
    expected = qhn.train(config)
    pd.testing.assert_frame_equal(job.result().history, expected.history, check_exact=True)
    np.testing.assert_array_equal(job.state.best_angles, expected.best_angles)
    np.testing.assert_array_equal(job.state.samples, expected.state.samples)


# --- a run from start to end -------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("options", [{}, {"shots": None, "objective": "elbo"}, {"n_layers": 2}])
def test_a_finished_job_has_the_numbers_of_train(serve, options, threads):
    service, config = serve(threads=threads), small(**options)
    job = service.wait(service.submit(config).id, SECONDS)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_a_new_job_waits_its_turn_and_then_runs(serve, hand):
    job = serve(hand).submit(small(epochs=2))
    assert (job.status, job.epoch, job.state) == (Status.QUEUED, 0, None)
    with pytest.raises(ValueError, match="not started"):
        job.result()
    hand.run_chunk()
    assert (job.status, job.epoch) == (Status.RUNNING, 1)
    hand.run_chunk()
    assert (job.status, job.epoch) == (Status.DONE, 2)
    assert hand.waiting.empty()


def test_every_change_of_a_job_has_a_new_version(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=3))
    versions = [job.version]
    for change in (hand.run_chunk, lambda: service.pause(job.id), lambda: service.resume(job.id)):
        change()
        versions.append(job.version)
    hand.run_all(job)
    assert [*versions, job.version] == sorted({*versions, job.version})


def test_a_chunk_is_one_change(serve, hand):
    """However many parts it has: each change is a message to every view."""
    service = serve(hand)
    job = service.submit(small(n_seeds=27, n_layers=3))
    assert len(job.parts) == 3
    before = job.version
    for _ in job.parts:
        assert job.version == before
        hand.run_chunk()
    assert (job.version, job.epoch) == (before + 1, 1)


def test_a_job_is_found_by_its_id_alone(serve, hand):
    service = serve(hand)
    job = service.submit(small())
    assert service.get(job.id) is job
    assert service.get("another") is None


def test_ids_can_not_be_guessed(serve, hand):
    service = serve(hand)
    ids = {service.submit(small(seed=i)).id for i in range(50)}
    assert len(ids) == 50
    assert {len(i) for i in ids} == {16}  # 96 bits
    assert set("".join(ids)) <= {*string.ascii_letters, *string.digits, "-", "_"}
    assert max(sum(i.startswith(c) for i in ids) for c in string.printable) < 10


# --- pause, step, resume, cancel ---------------------------------------------------------------------


def test_pause_stops_and_resume_goes_on_to_the_same_result(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    in_flight = hand.next_chunk()
    service.pause(job.id)
    finish(in_flight)
    assert (job.status, job.epoch) == (Status.PAUSED, 2)
    assert service.wait(job.id, SECONDS).status == Status.PAUSED
    other = service.submit(small(epochs=1))
    assert hand.run_chunk()[0] is other.config  # had the paused job gone on, its chunk would come first
    assert job.epoch == 2
    service.resume(job.id)
    hand.run_all(job)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_pause_and_resume_during_a_chunk_repeat_nothing(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    in_flight = hand.next_chunk()
    service.pause(job.id)
    service.resume(job.id)
    finish(in_flight)
    hand.run_all(job)
    assert_same_run(job, config)


def test_a_step_is_one_epoch(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config, paused=True)
    hand.run_chunk()
    for epoch in (1, 2):
        service.resume(job.id, n_epochs=1)
        assert hand.run_chunk()[2] == 1
        assert (job.status, job.epoch) == (Status.PAUSED, epoch)
    service.resume(job.id)
    hand.run_all(job)
    assert_same_run(job, config)


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_step_while_the_chunk_before_it_is_under_way_is_one_epoch_more(serve, hand, epochs):
    service, config = serve(hand), small()
    job = service.submit(config, paused=not epochs)
    before = hand.next_chunk()
    assert before[2][2] == epochs
    service.pause(job.id)
    service.resume(job.id, n_epochs=1)
    finish(before)
    assert (job.status, job.epoch) == (Status.RUNNING, epochs)
    assert hand.run_chunk()[2] == 1
    assert (job.status, job.epoch) == (Status.PAUSED, epochs + 1)
    service.resume(job.id)
    hand.run_all(job)
    assert_same_run(job, config)


def test_a_step_is_one_epoch_at_full_speed(serve):
    service = serve()
    job = service.wait(service.submit(small(), paused=True).id, SECONDS)
    for epoch in (1, 2, 3):
        service.resume(job.id, n_epochs=1)
        assert (service.wait(job.id, SECONDS).status, job.epoch) == (Status.PAUSED, epoch)
    assert job.rows()["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_last_step_ends_the_run(serve, hand):
    service, config = serve(hand), small(epochs=1)
    job = service.submit(config, paused=True)
    hand.run_chunk()
    service.resume(job.id, n_epochs=1)
    hand.run_chunk()
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_a_paused_start_has_the_initial_angles_and_no_history(serve):
    service, config = serve(), small()
    job = service.wait(service.submit(config, paused=True).id, SECONDS)
    assert (job.status, job.epoch) == (Status.PAUSED, 0)
    np.testing.assert_array_equal(job.state.angles, initial_state(config).angles)
    assert len(job.result().history) == 0


def test_the_initial_angles_do_not_depend_on_the_strength(serve):
    """So Reset after a change of λ is a fair comparison."""
    service = serve()
    weak, strong = (
        service.wait(service.submit(small(regularization=r), paused=True).id, SECONDS).state.angles
        for r in (0.1, 100)
    )
    np.testing.assert_array_equal(weak, strong)


def test_cancel_stops_for_good_and_keeps_the_history(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    in_flight = hand.next_chunk()
    service.cancel(job.id)
    finish(in_flight)
    assert job.status == Status.CANCELLED
    service.resume(job.id)
    service.pause(job.id)
    other = service.submit(small(epochs=1))
    assert hand.run_chunk()[0] is other.config
    assert (job.status, job.epoch) == (Status.CANCELLED, 2)
    _, rows = advance(config, initial_state(config), 2)
    for name, values in job.rows().items():
        np.testing.assert_array_equal(values, rows[name], err_msg=name)


def test_a_chunk_that_ends_after_the_last_epoch_is_not_restarted(serve, hand):
    service = serve(hand)
    job = service.submit(small(epochs=1))
    hand.run_chunk()
    for change in (service.pause, service.resume, service.cancel):
        change(job.id)
    assert job.status == Status.DONE


# --- shared runs -------------------------------------------------------------------------------------


def test_two_visitors_who_ask_for_the_same_run_watch_one_job(serve, hand):
    service = serve(hand)
    one = service.submit(small(), session="a")
    assert service.submit(small(), session="b") is one
    assert service.submit(small(seed=12), session="b") is not one
    hand.run_all(one)
    assert service.submit(small(), session="c") is one
    assert service.submit(small(), session="c", reuse_finished=False) is not one


def test_a_reset_is_nobody_elses_run(serve, hand):
    service = serve(hand)
    one = service.submit(small(), paused=True, session="a")
    assert service.submit(small(), paused=True, session="b") is not one
    assert service.submit(small(), session="c") is not one


def test_who_pauses_a_run_that_others_watch_gets_a_copy_that_ends_the_same(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config, session="a")
    service.submit(config, session="b")
    for _ in range(2):
        service.view(job, +1)
    hand.run_chunk()
    copy = service.pause(job.id, session="a")
    assert copy is not job
    assert (copy.status, copy.epoch, job.status) == (Status.PAUSED, 1, Status.RUNNING)
    hand.run_all(job)
    assert copy.epoch == 1
    service.resume(copy.id, session="a")
    hand.run_all(copy)
    for each in (job, copy):
        assert_same_run(each, config)


# --- what goes wrong ---------------------------------------------------------------------------------


def test_a_chunk_that_fails_three_times_fails_its_job_alone(serve, hand):
    service = serve(hand)
    bad, good = service.submit(small()), service.submit(small(seed=5))
    tries = 0
    while not (bad.final and good.final):
        chunk = hand.next_chunk()
        if chunk[2][0] is bad.config:
            tries += 1
            chunk[0].set_exception(RuntimeError("the disc is full"))
        else:
            finish(chunk)
    assert (bad.status, tries) == (Status.FAILED, 3)
    assert "Epoch 1" in bad.message
    assert "the disc is full" in bad.message
    assert good.status == Status.DONE
    assert_same_run(good, good.config)


def test_a_chunk_that_fails_once_is_repeated(serve, hand):
    service, config = serve(hand), small(epochs=3)
    job = service.submit(config)
    hand.run_chunk()
    hand.next_chunk()[0].set_exception(MemoryError())
    hand.run_all(job)
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_an_error_inside_a_worker_reaches_the_visitor(serve):
    service = serve()
    job = service.wait(service.submit(small(simulator="qsim-cuda")).id, SECONDS)
    assert job.status == Status.FAILED
    assert "CUDA" in job.message
    assert service.wait(service.submit(small(epochs=2)).id, SECONDS).status == Status.DONE


def test_a_lost_worker_costs_one_chunk(serve, hand):
    service, config = serve(hand), small()
    job = service.submit(config)
    hand.run_chunk()
    for _ in range(2):
        lose(hand.next_chunk())
        assert (job.status, job.epoch) == (Status.RUNNING, 1)
        assert "going on from epoch 1" in job.message
    hand.run_chunk()
    assert job.message == ""
    epochs = [1, 2]
    while not job.final:
        hand.run_chunk()
        epochs.append(job.epoch)
    assert epochs == list(range(1, 10))
    assert_same_run(job, config)


def test_a_chunk_that_kills_its_worker_each_time_is_given_up(serve, hand):
    service = serve(hand)
    deadly, other = service.submit(small()), service.submit(small(seed=5))
    deaths = 0
    while not (deadly.final and other.final):
        chunk = hand.next_chunk()
        if chunk[2][0] is deadly.config:
            lose(chunk)
            deaths += 1
        else:
            finish(chunk)
    assert deadly.status == Status.FAILED
    assert deaths == 1 + 3  # the first may be another's fault: after it the job is tried alone
    assert "its worker died" in deadly.message
    assert other.status == Status.DONE
    assert other.message == ""
    assert_same_run(other, other.config)


def test_two_deaths_at_each_of_many_chunks_end_no_run(serve, hand):
    service, config = serve(hand), small(epochs=3)
    job = service.submit(config)
    while not job.final:
        lose(hand.next_chunk())
        lose(hand.next_chunk())
        hand.run_chunk()
    assert job.status == Status.DONE
    assert_same_run(job, config)


def test_a_pool_that_broke_while_idle_is_rebuilt():
    class Broken(ByHand):
        def submit(self, function, *arguments):
            raise BrokenExecutor("a worker died")

    pools = [Broken(), ThreadPoolExecutor(1)]
    service = JobService(Workers(lambda: pools.pop(0), 1))
    config = small(epochs=2)
    job = service.wait(service.submit(config).id, SECONDS)
    service.shutdown()
    assert job.status == Status.DONE
    assert_same_run(job, config)


@pytest.mark.parametrize("options", [{}, {"epochs": 200}])
def test_a_diverging_run_says_so_and_keeps_its_history(serve, monkeypatch, options):
    lower_the_bound(monkeypatch)
    service = serve()
    config = small(**{**DIVERGES, **options})
    job = service.wait(service.submit(config).id, SECONDS)
    assert job.status == Status.DIVERGED
    assert "diverged" in job.message
    assert f"epoch {job.state.diverged_at[0]}" in job.message
    assert "Lower the learning rate" in job.message
    assert job.rows()["epoch"].tolist() == list(range(1, job.state.diverged_at[0]))
    assert job.state.diverged_at[0] > 1
    assert_same_run(job, config)


def test_a_run_that_does_not_fit_the_memory_is_refused(serve, hand):
    service = serve(hand)
    with pytest.raises(ValueError, match=r"n_hidden=20 makes 82 qubits.*n_hidden"):
        service.submit(small(n_hidden=20, shots=None))
    job = service.submit(small())
    assert hand.next_chunk()[2][0] is job.config


def test_the_memory_is_checked_even_where_no_limit_is_set(serve, hand):
    service = serve(hand, limits=Limits(max_qubits=1000, max_memory_gb=10**30))
    with pytest.raises(ValueError, match=r"n_hidden=20 makes 82 qubits.*GB.*n_hidden may be 1 to"):
        service.submit(small(n_hidden=20, shots=None))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": "digits", "shots": None}, ["68 qubits", "no network on digits", "by shots"]),
        ({"dataset": "digits", "n_layers": 3}, ["68 qubits", "n_layers=3 by 1 or 2"]),
        ({"n_hidden": 9, "shots": None}, ["38 qubits", "n_hidden may be 1 to 5", "by shots"]),
        ({"n_hidden": 9, "simulator": "cirq"}, ["38 qubits", "'cirq' by 'auto'"]),
        ({"dataset": "digits", "n_hidden": 16}, ["1058 qubits", "at most 1000", "may be 1 to 15"]),
        ({"n_hidden": 10**5}, ["400002 qubits", "at most 1000", "n_hidden may be 1 to 249"]),
        ({"n_hidden": 10**5, "shots": None}, ["400002 qubits", "at most 22"]),
    ],
)
def test_a_large_network_is_refused_with_what_to_change(options, words):
    with pytest.raises(ValueError, match="n_hidden=") as refused:
        Limits().check(small(**options))
    assert [word for word in words if word not in str(refused.value)] == []


def test_no_number_of_qubits_overflows_the_memory_rule():
    limits = Limits(max_qubits=10**7)
    with pytest.raises(ValueError, match=r"n_hidden=1000 needs 10\^\d+ GB of memory"):
        limits.check(small(n_hidden=1000, shots=None))


@pytest.mark.parametrize("options", [{"dataset": "digits", "n_hidden": 2}, {"n_hidden": 8}])
def test_a_large_network_that_is_sampled_is_taken(options, serve, hand):
    service = serve(hand)
    job = service.submit(small(**options))
    assert hand.next_chunk()[2][0] is job.config


def test_a_full_server_refuses_and_takes_again_later(serve, hand):
    most = Limits().max_jobs
    service = serve(hand)
    taken = [service.submit(small(seed=i, epochs=1)) for i in range(most)]
    with pytest.raises(ServerFullError, match=f"{most} runs are under way"):
        service.submit(small(seed=most))
    hand.run_all(taken[0])
    assert service.submit(small(seed=most)).status == Status.QUEUED


def test_paused_runs_do_not_fill_the_server(serve, hand):
    service = serve(hand)
    for i in range(Limits().max_jobs + 1):
        service.pause(service.submit(small(seed=i)).id)


def test_the_oldest_finished_runs_are_forgotten_and_no_others(serve, hand, monkeypatch):
    monkeypatch.setattr(service_module, "JOBS_KEPT", 2)
    service = serve(hand)
    paused = service.submit(small(seed=99))
    service.pause(paused.id)
    ended = [service.submit(small(seed=i)) for i in range(4)]
    for job in ended:
        service.cancel(job.id)
    service.submit(small())
    kept = [service.get(job.id) is not None for job in [paused, *ended]]
    assert kept == [True, False, False, True, True]


# --- fairness and speed ------------------------------------------------------------------------------


def test_chunks_of_different_jobs_alternate(serve, hand):
    service = serve(hand)
    first, second = (service.submit(small(seed=i)) for i in (1, 2))
    order = [hand.run_chunk()[0].seed for _ in range(8)]
    assert order == [1, 2] * 4
    third = service.submit(small(seed=3))
    assert sorted(hand.run_chunk()[0].seed for _ in range(3)) == [1, 2, 3]
    assert (first.epoch, second.epoch, third.epoch) == (5, 5, 1)


def test_a_long_run_does_not_hold_up_a_short_one(serve, hand):
    service = serve(hand)
    long = service.submit(small(epochs=1000))
    for _ in range(5):
        hand.run_chunk()
    short = service.submit(small(epochs=2))
    hand.run_all(short)
    assert long.epoch <= 5 + 2 + 1


def test_a_run_of_many_seeds_lets_others_in_between_its_parts(serve, hand):
    service = serve(hand)
    many = service.submit(small(n_seeds=27, n_layers=3))
    first = hand.next_chunk()
    assert len(many.parts) == 3
    single = service.submit(small(n_seeds=1))
    finish(first)
    order = [hand.run_chunk()[0] for _ in range(5)]
    assert order == [many.config, single.config, many.config, single.config, many.config]


def test_chunks_of_a_live_run_are_short(serve):
    """Two epochs: 50 ms at 40 epochs a second; one where an epoch's cost is not known, or is more."""
    service, job = serve(ByHand()), Job(small(), [])
    sizes = []
    for job.epoch_seconds in (None, 1e-4, 0.025, 0.026, 10):
        sizes.append(service._chunk_epochs(job))
    assert sizes == [1, 2, 2, 1, 1]
