"""What a command costs: wall and CPU seconds, memory, and energy where the machine reports it.

CPU time and memory are read from /proc for this process and all its descendants, twice a second;
where there is no /proc they are left out. Workers of a cluster are not descendants.
"""

import os
import platform
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

PERIOD = 0.5
PROC, POWERCAP = Path("/proc"), Path("/sys/class/powercap")


class Cost(BaseModel):
    """Of one command; None is what this machine does not tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_seconds: float
    cpu_seconds: float | None
    peak_memory_mb: float | None
    """The largest sum of proportional set sizes of all processes (shared pages count once), MB."""
    energy_joules: float | None
    energy_source: str = ""
    machine: str = ""


class Meter:
    """Measures what happens inside a `with` block, this process and its descendants together.

    >>> with Meter() as meter:
    ...     total = sum(range(1000))
    >>> meter.cost().wall_seconds < 60
    True
    """

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._cpu = {pid: -seconds for pid, seconds in _cpu_seconds().items()}
        self._before = dict(self._cpu)
        self._peak = 0.0
        self._counters = _rapl_joules()
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
        self._joules = _rapl_difference(self._counters, _rapl_joules())

    def _watch(self) -> None:
        last = time.perf_counter()
        while not self._over.wait(PERIOD):
            self._sample()
            now = time.perf_counter()
            if self._gpu:
                self._gpu_joules += (_gpu_watts() or 0.0) * (now - last)
            last = now

    def _sample(self) -> None:
        seconds = _cpu_seconds()
        self._cpu.update(seconds)  # of a process that has ended, the last reading stays
        self._peak = max(self._peak, sum(_memory_mb(pid) for pid in seconds))

    def cost(self) -> Cost:
        """What was measured; call it after the block."""
        spent = sum(self._cpu[pid] + self._before.get(pid, 0.0) for pid in self._cpu)
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


def _cpu_seconds() -> dict[int, float]:
    """User and system time so far of this process and each of its descendants, by process id."""
    parents, seconds = {}, {}
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {os.getpid()} & set(parents)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: seconds[pid] for pid in family}


def _memory_mb(pid: int) -> float:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _rapl_joules() -> dict[Path, tuple[float, float]]:
    """(energy so far, where the counter starts again) of each processor package, joules."""
    found = {}
    for package in POWERCAP.glob("*-rapl:?"):
        try:
            now, top = (
                int((package / name).read_text()) / 1e6 for name in ("energy_uj", "max_energy_range_uj")
            )
        except (OSError, ValueError):  # most machines let only root read it
            continue
        found[package] = (now, top)
    return found


def _rapl_difference(
    before: dict[Path, tuple[float, float]], after: dict[Path, tuple[float, float]]
) -> float | None:
    both = before.keys() & after.keys()
    if not both:
        return None
    return sum((after[p][0] - before[p][0]) % after[p][1] for p in both)


def _gpu_watts() -> float | None:
    """Power of all NVIDIA GPUs of this machine, or None where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return sum(float(line) for line in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _processor() -> str:
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
