"""How the benchmarks time: medians of several runs, after one that warms up."""

import statistics
import time
from collections.abc import Callable


def median_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of `work`, which runs once more before, unmeasured."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def row(what: str, ours: str, goal: str, peer: str = "") -> str:
    """One line of the table."""
    return f"{what:46} {ours:>14} {goal:>12}   {peer}"
