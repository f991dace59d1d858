"""What a server does not take on, and what it says then."""

import os

import pytest

from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits, ServerFullError
from tests.small_runs import assert_whole, small

# --- runs that are too large -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "config", "words"),
    [
        (Limits(max_seeds=2), small(n_seeds=3), ["n_seeds=3", "at most 2"]),
        (Limits(max_epochs=5), small(epochs=6), ["epochs=6", "at most 5"]),
        (Limits(max_memory_gb=0), small(), ["n_hidden=1", "GB of memory", "allows 0 GB"]),
        (
            Limits(max_qubits=9),
            small(n_hidden=2),
            ["n_hidden=2", "10 qubits", "at most 9", "may be 1 to 1"],
        ),
    ],
)
def test_a_run_that_is_too_large_is_refused_with_value_and_limit(serve, hand, limits, config, words):
    service = serve(hand, limits=limits)
    with pytest.raises(ValueError, match=words[0]) as refused:
        service.submit(config)
    assert [word for word in words if word not in str(refused.value)] == []
    assert not hand.work()


def test_a_run_as_large_as_the_limits_is_taken(serve, hand):
    limits = Limits(max_seeds=3, max_epochs=6, max_qubits=6, max_jobs=1, max_jobs_per_session=1)
    service = serve(hand, limits=limits)
    job = service.submit(small(), session="a")
    hand.work_off()
    assert_whole(job)


@pytest.mark.parametrize(
    "limits", [Limits(), Limits(max_qubits=1000, max_memory_gb=10**30, max_hours=10**30)]
)
def test_the_memory_is_checked_even_where_no_limit_is_set(serve, hand, limits):
    service = serve(hand, limits=limits)
    with pytest.raises(ValueError, match=r"n_hidden=20 makes 82 qubits.*n_hidden may be 1 to"):
        service.submit(small(n_hidden=20, shots=None))
    job = service.submit(small())
    assert hand.next_task().config is job.config


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
    assert hand.next_task().config is job.config


# --- too many runs -----------------------------------------------------------------------------------


def test_a_full_server_says_so_and_has_room_again_when_a_run_ends(serve, hand):
    service = serve(hand, limits=Limits(max_jobs=2))
    for seed in (1, 2):
        service.submit(small(seed=seed))
    with pytest.raises(ServerFullError, match="2 runs are under way on this server"):
        service.submit(small(seed=3))
    service.submit(small(seed=1), session="joins without taking room")
    hand.work_off()
    service.submit(small(seed=3))


def test_by_default_a_server_takes_64_runs(serve, hand):
    service = serve(hand)
    for seed in range(64):
        service.submit(small(seed=seed))
    with pytest.raises(ServerFullError, match="64 runs are under way"):
        service.submit(small(seed=64))


def test_a_session_has_a_share_of_its_own(serve, hand):
    service = serve(hand, limits=Limits(max_jobs_per_session=1))
    service.submit(small(seed=1), session="a")
    with pytest.raises(
        ServerFullError, match="1 run is under way in this tab; pause one, or wait; try again in about 60 s"
    ):
        service.submit(small(seed=2), session="a")
    service.submit(small(seed=2), session="b")


def test_an_address_has_a_share_of_its_own_however_many_tabs_it_opens(serve, hand):
    service = serve(hand, limits=Limits(max_jobs=3, max_jobs_per_address=2))
    for seed in (1, 2):
        service.submit(small(seed=seed), session=f"tab {seed}", address="10.0.0.1")
    with pytest.raises(ServerFullError, match="2 runs are under way from your network address"):
        service.submit(small(seed=3), session="tab 3", address="10.0.0.1")
    service.submit(small(seed=1), session="tab 4", address="10.0.0.1")  # joins without taking room
    service.submit(small(seed=3), session="somebody else", address="10.0.0.2")


def test_the_share_of_an_address_is_not_passed_by_with_paused_runs(serve, hand):
    service = serve(hand, limits=Limits(max_jobs_per_address=1))
    jobs = []
    for seed in (1, 2):
        jobs.append(service.submit(small(seed=seed), paused=True, session="a", address="10.0.0.1"))
        hand.work_off()
    service.resume(jobs[0].id, session="a", address="10.0.0.1")
    with pytest.raises(ServerFullError, match="1 run is under way from your network address"):
        service.resume(jobs[1].id, session="b", address="10.0.0.1")


def test_by_default_no_address_can_hold_the_whole_server():
    assert Limits().max_jobs_per_session < Limits().max_jobs_per_address < Limits().max_jobs


def test_a_visitor_who_is_refused_is_told_when_to_try_again(serve, hand):
    """The first of the runs that are in the way ends: 98 epochs at 40 a second."""
    service = serve(hand, pace=True, limits=Limits(max_jobs=1))
    service.submit(small(n_seeds=1, epochs=100))
    for _ in range(2):
        hand.work_off()
        hand.clock.advance(1 / 40)
    with pytest.raises(ServerFullError, match="try again in about 2 s"):
        service.submit(small(seed=2))


def test_paused_runs_do_not_fill_the_server(serve, hand):
    service = serve(hand, limits=Limits(max_jobs=2))
    for seed in range(3):
        service.pause(service.submit(small(seed=seed)).id)
    assert service.submit(small(seed=3)).status == Status.QUEUED


def test_resuming_many_paused_runs_is_no_way_round_the_limits(serve, hand):
    service = serve(hand, limits=Limits(max_jobs=2))
    jobs = []
    for seed in range(4):
        jobs.append(service.submit(small(seed=seed), paused=True, session="a"))
        hand.work_off()
    for job in jobs[:2]:
        service.resume(job.id, session="a")
    with pytest.raises(ServerFullError, match="2 runs are under way"):
        service.resume(jobs[2].id, session="a")
    assert sum(job.status.is_moving for job in jobs) == 2


# --- limits from the environment ---------------------------------------------------------------------


def test_limits_come_from_the_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("QHN_MAX", "QHN_GRACE")):
            monkeypatch.delenv(name)
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("QHN_MAX_JOBS", "3")
    monkeypatch.setenv("QHN_GRACE_SECONDS", "0")
    assert Limits.from_environment() == Limits(max_jobs=3, grace_seconds=0)


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1e3", " "])
def test_a_limit_that_is_no_whole_number_is_named(monkeypatch, text):
    monkeypatch.setenv("QHN_MAX_SEEDS", text)
    message = f"QHN_MAX_SEEDS='{text}': it must be a whole number, 0 or more"
    with pytest.raises(ValueError, match=message):
        Limits.from_environment()


def test_a_limit_that_is_empty_is_the_default(monkeypatch):
    monkeypatch.setenv("QHN_MAX_SEEDS", "")
    assert Limits.from_environment().max_seeds == Limits().max_seeds
