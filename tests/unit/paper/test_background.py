"""The study in the background: a real process of its own, which is stopped, continued and killed."""

import os
import signal
import time

import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import ServerFullError
from qhn_core.jobs.workers import thread_workers
from qhn_core.paper import Study, load_results, paper_base, run_study
from qhn_core.paper import background as module
from qhn_core.paper.background import Background, computed_here, results_folder, seconds_to_compute
from qhn_core.storage.runs import RunStore

BASE = qhn.RunConfig(n_hidden=1, n_seeds=2, epochs=400, shots=20)
STUDY = Study(BASE, ("moons",), ("chain-rule",), ("sum",))
PATIENCE = 60


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def background(home):
    background = Background()
    yield background
    background.stop()
    background.wait(PATIENCE)


def first_count(background):
    """Progress once something was counted."""
    until = time.monotonic() + PATIENCE
    while background.progress.status == Status.RUNNING and not background.progress.done:
        assert time.monotonic() < until
        time.sleep(0.01)
    return background.progress


def test_it_is_stopped_goes_on_and_finds_what_an_uninterrupted_study_finds(background, home, tmp_path):
    background.start(STUDY, "first")
    with pytest.raises(ServerFullError, match="one at a time"):
        background.start(STUDY, "second")
    first_count(background)
    assert os.getpriority(os.PRIO_PROCESS, background._process.pid) == 19
    background.stop()
    stopped = background.wait(PATIENCE)
    assert stopped.status == Status.INTERRUPTED
    assert computed_here() == {}
    with RunStore(home) as store:
        saved = [(info.status, info.epoch) for info in store.runs()]
    assert len(saved) == 6
    assert {status for status, _ in saved} == {"interrupted"}
    trained = sum(epoch for _, epoch in saved)
    assert 0 < trained < 6 * 400

    background.start(STUDY, "third")
    assert first_count(background).done >= trained, "it goes on where it was"
    done = background.wait(PATIENCE)
    assert (done.status, done.done, done.total) == (Status.DONE, 6 * 400, 6 * 400)
    assert list(computed_here()) == [2]
    found = load_results(results_folder(2))
    assert found.provenance.command == "third"
    assert found.provenance.epochs_computed == 6 * 400 - trained
    with RunStore(tmp_path / "whole") as store:
        whole = run_study(STUDY, thread_workers(2), store, "whole")
    pd.testing.assert_frame_equal(found.scores, whole.scores, check_dtype=False, rtol=1e-6)


def test_a_process_that_is_killed_is_reported(background):
    background.start(STUDY, "")
    os.kill(background._process.pid, signal.SIGKILL)
    killed = background.wait(PATIENCE)
    assert killed.status == Status.FAILED
    assert "exit code -9" in killed.message


def test_a_store_that_can_not_be_used_is_reported(background, home):
    home.write_text("", encoding="utf-8")
    background.start(STUDY, "")
    failed = background.wait(PATIENCE)
    assert failed.status == Status.FAILED
    assert str(home) in failed.message


def test_the_estimate_adds_up_every_run(monkeypatch):
    seconds = {("mle", "chain-rule"): 1, ("elbo", "algorithm-1"): 2, ("elbo", "chain-rule"): 4}
    seconds |= {("selbo", "algorithm-1"): 8, ("selbo", "chain-rule"): 16}
    monkeypatch.setattr(module, "_epoch_seconds", lambda base, *kind: seconds[kind])
    study = Study(paper_base(n_seeds=7, epochs=11))
    monkeypatch.setattr(module, "SECONDS_TO_SCORE", 1000)
    trained = 7 * 11 * 3 * 2 * (1 + 2 + 4 + 4 * 8 + 4 * 16)
    assert seconds_to_compute(study) == 66 * 1000 + trained


def test_what_is_computed_here_is_found_by_its_seeds(home):
    assert computed_here() == {}
    for name in ("20", "5", "draft"):
        (home / "paper" / name).mkdir(parents=True)
        (home / "paper" / name / "about.json").write_text("{}", encoding="utf-8")
    (home / "paper" / "50").mkdir()  # under way: about.json comes last
    assert list(computed_here()) == [5, 20]
