"""A class on one server, measured: `python -m tests.load [--sessions 30] [--seconds 60]`.

Starts the real app on a free port of loopback, with a store of its own. Sessions speak Streamlit's
protocol over a web socket and hold the event stream of the run that they show, as a browser does, but
they draw nothing. First one viewer of one run, then many viewers of one run, then everybody trains, changes
controls, pauses, steps, reloads. Prints a table of figures and goals; exits with 1 if something is
wrong (errors, runs without an end, processes left behind), not where something is slow.
"""

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from qhn_core.jobs.job import Status
from qhn_core.storage.runs import RunStore
from tests.load.visitors import Figures, use, watch
from tests.service.browserless import AppServer, child_processes, is_running

GRACE_SECONDS = 5
END_SECONDS = 60
"""All runs must rest at most so long after the last session."""
WRONG_IN_LOG = re.compile(r"Traceback|Error|Exception|CRITICAL|Task was destroyed", re.IGNORECASE)


class Server(AppServer):
    """The app, with the load of its process."""

    def cpu_seconds(self):
        """CPU time of the server alone, without its workers."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def memory_mb(self):
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    async def health_ms(self):
        """Time that the health endpoint takes to answer."""
        started = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /_stcore/health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        if b" 200 " not in answer.split(b"\r\n")[0]:
            raise RuntimeError(f"health: {answer[:100]!r}")
        return (time.perf_counter() - started) * 1000


async def wait_until_all_rest(home):
    """Wait until no run moves: (seconds that it took, runs that still move, number of runs by status)."""
    began = time.monotonic()
    while True:
        with RunStore(home) as store:
            statuses = [run.status for run in store.runs()]
        moving = [status for status in statuses if Status(status).is_moving]
        if not moving or time.monotonic() - began > END_SECONDS:
            counts = {status: statuses.count(status) for status in sorted(set(statuses))}
            return time.monotonic() - began, len(moving), counts
        await asyncio.sleep(0.5)


def row(what, value, goal="", ok=None):
    """Print one line of the table."""
    verdict = "" if ok is None else "ok" if ok else "MISSED"
    print(f"{what:52} {value:>22}  {goal:18} {verdict}", flush=True)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def measure(server, home, sessions, seconds):
    """Run all phases and print the table; return True if nothing is wrong."""
    figures = Figures()
    row(
        f"{os.cpu_count()} cores, load average {psutil.getloadavg()[0]:.1f} at the start",
        "measured",
        "goal",
    )
    rate, share = await watch(server, 100, streams=0, pages=1)
    row("updates a second, one viewer", f"{rate:.1f}", ">= 15", rate >= 15)
    row("  server's share of a core", f"{share:.0%}")
    rate, share = await watch(server, 101, streams=29, pages=1)
    row("30 viewers of one run, streams: share of a core", f"{share:.0%}", "< 15 %", share < 0.15)
    row("  updates a second and viewer", f"{rate:.1f}")
    rate, share = await watch(server, 102, streams=0, pages=30)
    row("30 viewers of one run, with pages: share of a core", f"{share:.0%}", "< 15 %", share < 0.15)
    row("  updates a second and viewer", f"{rate:.1f}")

    cpu, own, began = server.cpu_seconds(), time.process_time(), time.monotonic()
    await use(server, sessions, seconds, figures)
    took = time.monotonic() - began
    share, own_share = (server.cpu_seconds() - cpu) / took, (time.process_time() - own) / took
    print(f"\n{sessions} sessions that train and change controls for {seconds} s")
    row("clicks", f"{len(figures.clicks)}")
    row("  click to page, median and 95 %", both(figures.clicks))
    row("updates sent, a second", f"{figures.updates / took:.0f}")
    row("server's share of a core, and this command's", f"{share:.0%} and {own_share:.0%}")
    median = statistics.median(figures.health)
    row("health endpoint, median and 95 %", both(figures.health), "median < 50 ms", median < 50)
    tell_memory(figures.memory)
    row("refused for a limit", f"{figures.refused}")

    took, moving, counts = await wait_until_all_rest(home)
    row("runs", ", ".join(f"{count} {status}" for status, count in counts.items()))
    row(f"  all at rest after the last session ({took:.0f} s)", f"{moving} moving", "0", moving == 0)
    log = server.log.read_text(encoding="utf-8").splitlines()
    figures.wrong += [f"log: {line}" for line in log if WRONG_IN_LOG.search(line)]
    row("errors, on pages and in the log", f"{len(figures.wrong)}", "0", not figures.wrong)
    for line in figures.wrong[:20]:
        print(f"    {line[:200]}")
    return not figures.wrong and not moving


def both(values):
    return f"{percentile(values, 0.5):.0f} and {percentile(values, 0.95):.0f} ms"


def tell_memory(memory):
    """Print the memory. It is flat if the last quarter of the time has at most 5 % more than the third."""
    quarters = [memory[len(memory) * i // 4 : len(memory) * (i + 1) // 4] for i in range(4)]
    sizes = [statistics.median(quarter) for quarter in quarters]
    text = " ".join(f"{size:.0f}" for size in sizes)
    row("memory of the server, MB, in each quarter", text, "flat, second half", sizes[3] <= sizes[2] * 1.05)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qhn-load-") as home:
        environment = {"QHN_GRACE_SECONDS": str(GRACE_SECONDS)}
        server = Server(home, **environment)
        try:
            good = asyncio.run(measure(server, Path(home), arguments.sessions, arguments.seconds))
        finally:
            workers = child_processes(server.process.pid)
            server.stop()
        give_up = time.monotonic() + 10
        while (left := sum(map(is_running, workers))) and time.monotonic() < give_up:
            time.sleep(0.1)
        row("processes left behind", f"{left}", "0", left == 0)
    return 0 if good and not left else 1


if __name__ == "__main__":
    sys.exit(main())
