import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from qhn_core.paper import cost
from qhn_core.paper.cost import Meter, peak_memory_mb
from tests import SECONDS

BURN = """
import sys, time
until = time.process_time() + 0.6
while time.process_time() < until: pass
print(time.process_time(), flush=True)
sys.stdin.read()
"""
"""Uses the processor, prints how much, and stays until it has been measured."""


def until(condition):
    """Wait until the thread of a meter has seen something."""
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


def test_the_time_of_descendants_counts(monkeypatch):
    monkeypatch.setattr(cost, "PERIOD", 0.01)
    own = -time.process_time()
    command = [sys.executable, "-c", BURN]
    with (
        Meter() as meter,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as child,
    ):
        used = float(child.stdout.readline())
        until(lambda: meter._cpu.get(child.pid, 0) > used - 0.05)
        child.communicate()
    own += time.process_time()
    assert meter.cost().cpu_seconds == pytest.approx(used + own, abs=0.2)


def test_time_before_the_block_does_not_count():
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    own = -time.process_time()
    with Meter() as meter:
        pass
    own += time.process_time()
    assert meter.cost().cpu_seconds == pytest.approx(own, abs=0.1)


def test_memory_that_is_held_counts_at_its_peak(monkeypatch):
    monkeypatch.setattr(cost, "PERIOD", 0.01)
    with Meter() as before:
        pass
    with Meter() as meter:
        held = np.ones(150 * 2**17)  # 150 MB
        until(lambda: meter._peak > before._peak + 125)
        del held
    assert meter.cost().peak_memory_mb - before.cost().peak_memory_mb == pytest.approx(150, abs=25)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A processor package with an energy counter: package(microjoules)."""
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    (folder / "max_energy_range_uj").write_text("10000000\n", encoding="utf-8")
    monkeypatch.setattr(cost, "POWERCAP", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return lambda value: (folder / "energy_uj").write_text(f"{value}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after", "joules"), [(1_000_000, 4_000_000, 3), (9_000_000, 500_000, 1.5)]
)
def test_energy_of_the_processor_also_where_its_counter_starts_again(package, before, after, joules):
    package(before)
    with Meter() as meter:
        package(after)
    found = meter.cost()
    assert (found.energy_joules, found.energy_source) == (pytest.approx(joules), "RAPL")


def test_energy_is_left_out_where_no_counter_can_be_read(package, tmp_path):
    with Meter() as meter:  # there is a package, but without its counter
        pass
    assert (meter.cost().energy_joules, meter.cost().energy_source) == (None, "")


def test_power_of_a_gpu_is_added_up(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 60.0\necho 40.0\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setattr(cost, "POWERCAP", tmp_path)
    monkeypatch.setattr(cost, "PERIOD", 0.05)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Meter() as meter:
        until(lambda: meter._gpu_joules > 20)
    found = meter.cost()
    assert found.energy_source == "nvidia-smi"
    assert 20 < found.energy_joules <= 100 * found.wall_seconds


def test_where_the_system_tells_nothing_only_the_clock_is_read(monkeypatch):
    def denied(*_, **__):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "children", denied)
    with Meter() as meter:
        pass
    found = meter.cost()
    assert found.wall_seconds > 0
    assert (found.cpu_seconds, found.peak_memory_mb) == (None, None)


def test_the_peak_of_a_process_stays_after_its_memory_is_given_back():
    before = peak_memory_mb()
    held = np.ones(int(before + 100) * 2**17)  # 100 MB more than all that was ever held
    during = peak_memory_mb()
    del held
    assert during > before + 90
    assert peak_memory_mb() >= during


def test_the_peak_is_windows_own_where_windows_tells_it(monkeypatch):
    memory = SimpleNamespace(rss=1, peak_wset=3 * 2**20)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: memory)
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory_mb() == 3
