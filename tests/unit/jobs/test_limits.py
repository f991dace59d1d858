import pytest

from qhn_core.jobs import registry
from qhn_core.jobs.job import Job, Status
from qhn_core.jobs.limits import Limits, ServerFullError
from tests.unit.by_hand import ByHand, finish, small

# --- what is refused ---------------------------------------------------------------------------------


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


# --- what is forgotten -------------------------------------------------------------------------------


def test_the_oldest_finished_runs_are_forgotten_and_no_others(serve, hand, monkeypatch):
    monkeypatch.setattr(registry, "JOBS_KEPT", 2)
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
