"""What a command costs: wall and CPU seconds, memory, and energy where the machine reports it.

CPU time and memory of this process and all its descendants are read twice a second. Workers of a
cluster are no descendants, so they do not count.
"""

import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

PERIOD = 0.5
CPU_INFO, POWERCAP = Path("/proc/cpuinfo"), Path("/sys/class/powercap")
"""Linux only; elsewhere they are missing, and so is what they would tell."""


class Cost(BaseModel):
    """The cost of one command. None stands for what this machine does not report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_seconds: float
    cpu_seconds: float | None
    peak_memory_mb: float | None
    """The largest sum over all processes, MB. On Linux, pages that processes share count once."""
    energy_joules: float | None
    energy_source: str = ""
    machine: str = ""


class Meter:
    """Measure what happens inside a `with` block, in this process and its descendants together.

    >>> with Meter() as meter:
    ...     total = sum(range(1000))
    >>> meter.cost().wall_seconds < 60
    True
    """

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._cpu: dict[int, float] = {}
        self._peak = 0.0
        self._sample()
        self._before = dict(self._cpu)
        self._peak = 0.0
        self._counters = _energy_counters()
        self._gpu_joules = 0.0
        self._gpu = _gpu_watts() is not None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._sample()
        self._wall = time.perf_counter() - self._started
        self._joules = _joules_since(self._counters)

    def _watch(self) -> None:
        last = time.perf_counter()
        while not self._over.wait(PERIOD):
            self._sample()
            now = time.perf_counter()
            if self._gpu:
                self._gpu_joules += (_gpu_watts() or 0.0) * (now - last)
            last = now

    def _sample(self) -> None:
        family = _family()
        found = {process.pid: _cpu_seconds(process) for process in family}
        # A process that has ended keeps its last reading.
        self._cpu.update({pid: seconds for pid, seconds in found.items() if seconds is not None})
        self._peak = max(self._peak, sum(_memory_mb(process) for process in family))

    def cost(self) -> Cost:
        """Return what was measured; call this after the block."""
        spent = sum(seconds - self._before.get(pid, 0.0) for pid, seconds in self._cpu.items())
        sources = ["RAPL"] * (self._joules is not None) + ["nvidia-smi"] * self._gpu
        joules = (self._joules or 0.0) + self._gpu_joules
        return Cost(
            wall_seconds=self._wall,
            cpu_seconds=spent if self._cpu else None,
            peak_memory_mb=self._peak or None,
            energy_joules=joules if sources else None,
            energy_source=" + ".join(sources),
            machine=f"{_processor()}, {os.cpu_count()} cores",
        )


def peak_memory_mb() -> float:
    """Return the most memory that this process ever had resident, MB."""
    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):  # Windows
        return memory.peak_wset / 2**20
    import resource  # Unix has it, Windows does not

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KB


def _family() -> list[psutil.Process]:
    """This process and all its descendants; empty where the system does not tell."""
    try:
        own = psutil.Process()
        return [own, *own.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_seconds(process: psutil.Process) -> float | None:
    """User and system time of one process so far; None once it has ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system


def _memory_mb(process: psutil.Process) -> float:
    """Memory of one process: its proportional share on Linux, elsewhere what it has for itself alone."""
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return getattr(memory, "pss", getattr(memory, "uss", memory.rss)) / 2**20


@dataclass(frozen=True)
class _Counter:
    """The energy counter of a processor package, joules."""

    now: float
    top: float
    """The counter starts again from 0 here."""

    def since(self, before: "_Counter") -> float:
        """Return the energy that was used since an earlier reading."""
        return (self.now - before.now) % self.top


def _energy_counters() -> dict[Path, _Counter]:
    """Read the counter of each processor package that allows it."""
    found = {}
    for package in POWERCAP.glob("*-rapl:?"):
        try:
            now, top = (
                int((package / name).read_text(encoding="utf-8")) / 1e6
                for name in ("energy_uj", "max_energy_range_uj")
            )
        except (OSError, ValueError):  # most machines let only root read it
            continue
        found[package] = _Counter(now, top)
    return found


def _joules_since(before: dict[Path, _Counter]) -> float | None:
    """Sum the energy that all packages used since an earlier reading; None without a counter."""
    after = _energy_counters()
    both = before.keys() & after.keys()
    return sum(after[p].since(before[p]) for p in both) if both else None


def _gpu_watts() -> float | None:
    """Ask for the power of all NVIDIA GPUs of this machine; None without a GPU."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, encoding="utf-8", timeout=10, check=True)
        return sum(float(line) for line in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _processor() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
