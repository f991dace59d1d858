"""The race: check each tool, time all in turn, and compare medians."""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qhn_core.bench.ours import Epochs, Ours
from qhn_core.bench.pennylane_tool import DefaultQubit, Lightning
from qhn_core.bench.plain import PlainCirq
from qhn_core.bench.qujax_tool import Qujax
from qhn_core.bench.work import Inputs, MissingToolError, Tool, expected_elbo, expected_selbo

TOOLS: dict[str, Callable[[], Tool]] = {
    "qhn": Ours,
    "qujax": Qujax,
    "default.qubit": DefaultQubit,
    "lightning": Lightning,
    "cirq": PlainCirq,
}
BATCHES = {"qhn": (8,), "qujax": (8, 56), "default.qubit": (8, 56), "lightning": (2,), "cirq": (2,)}
"""Circuits per call; if there are several numbers, the fastest counts."""
CHECK_STRENGTH = 1e4
"""λ for the check of sampled estimates, large so that a wrong MMD² shows beside the likelihood."""
CHECK_CALLS = 40
LEAST_SECONDS = 0.1
"""A timing repeats its call for at least this long."""


@dataclass(frozen=True)
class Line:
    """The result of one tool on one work, in milliseconds per evaluation or per seed."""

    work: str
    n_qubits: int
    n_layers: int
    tool: str
    batch: int
    check: str
    """The distance of its answers from the reference, in words."""
    median_ms: float
    least_ms: float
    most_ms: float


class WrongAnswerError(ArithmeticError):
    """A tool's answer differs from the reference, so it is not timed."""


def check_sampled(tool: Tool, inputs: Inputs) -> str:
    """Check the mean of repeated estimates against its exact expectation from Cirq's simulator.

    Returns the distance in words; raises WrongAnswerError beyond six standard errors.
    """
    strong = Inputs(inputs.n_hidden, inputs.n_layers, 8, CHECK_STRENGTH)
    run = tool.sampled(strong)
    found = np.array([run(seed) for seed in range(CHECK_CALLS)])
    error = found.std(axis=0, ddof=1) / np.sqrt(CHECK_CALLS)
    off = found.mean(axis=0) - expected_selbo(strong, tool.own_prior)
    worst = float(max(np.abs(off / error).max(), abs(off.sum()) / np.hypot.reduce(error)))
    if not worst < 6:  # by chance once in 100,000 checks
        raise WrongAnswerError(f"{tool.name}: sampled SELBO is {worst:.1f} standard errors off")
    return f"{worst:.1f} standard errors"


def check_exact(tool: Tool, inputs: Inputs) -> str:
    """Check the first circuit's value and gradient against those from Cirq's simulator.

    Returns the distance in words; raises WrongAnswerError from one part in a thousand on.
    """
    values, gradients = tool.exact(inputs)()
    wanted, slopes = expected_elbo(inputs)
    worst = max(
        abs(values[0] / wanted - 1), float(np.abs(gradients[0] - slopes).max() / np.abs(slopes).max())
    )
    if not worst < 1e-3:
        raise WrongAnswerError(f"{tool.name}: ELBO or its gradient is off by {worst:.1e} of the largest")
    return f"{worst:.0e} of the largest"


def _seconds(call: Callable[[], Any]) -> float:
    """Time one call, as the mean of as many calls as fill LEAST_SECONDS."""
    started, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < LEAST_SECONDS or not count:
        call()
        count += 1
    return spent / count


@dataclass(frozen=True)
class _Entry:
    """One tool on one batch, checked and warmed up: a call that is ready to be timed."""

    tool: str
    batch: int
    check: str
    call: Callable[[], Any]
    units: int
    """Evaluations, or seeds, that a call computes."""

    def line(self, work: str, inputs: Inputs, milliseconds: Sequence[float]) -> Line:
        """The result of this entry's timings, each per unit."""
        times = (statistics.median(milliseconds), min(milliseconds), max(milliseconds))
        return Line(work, inputs.n_qubits, inputs.n_layers, self.tool, self.batch, self.check, *times)


def _entry(name: str, tool: Tool, work: str, inputs: Inputs, check: str) -> _Entry:
    """Compile and warm up a tool for one work."""
    if work == "exact ELBO":
        run = tool.exact(inputs)
        run()
        return _Entry(name, inputs.batch, check, run, inputs.batch)
    if name == "qhn":
        epochs = Epochs(inputs)
        epochs.run()
        return _Entry(name, inputs.batch, check, epochs.run, epochs.evaluations)
    sampled = tool.sampled(inputs)
    sampled(0)
    return _Entry(name, inputs.batch, check, lambda: sampled(1), inputs.batch)


def race(work: str, n_hidden: int, n_layers: int, tools: dict[str, Tool], repeats: int) -> Iterator[Line]:
    """Check and time all tools on one work: "sampled SELBO" (per evaluation) or "exact ELBO" (per seed).

    Timings of the tools alternate, so that other load on the machine meets all of them. Of a tool's
    batches only the fastest gets a line. Raises WrongAnswerError for a tool whose answer is off.
    """
    sampled = work == "sampled SELBO"
    entries = []
    for name, tool in tools.items():
        with warnings.catch_warnings(action="ignore"):  # JAX warns of double precision that it does not use
            check = check_sampled if sampled else check_exact
            answer = check(tool, Inputs(n_hidden, n_layers, min(BATCHES[name])))
            for batch in BATCHES[name] if sampled else BATCHES[name][:1]:
                entries.append(_entry(name, tool, work, Inputs(n_hidden, n_layers, batch), answer))
    times: list[list[float]] = [[] for _ in entries]
    for _ in range(repeats):
        for entry, spent in zip(entries, times, strict=True):
            spent.append(1e3 * _seconds(entry.call) / entry.units)
    best: dict[str, Line] = {}
    for entry, spent in zip(entries, times, strict=True):
        line = entry.line(work, Inputs(n_hidden, n_layers, entry.batch), spent)
        if entry.tool not in best or line.median_ms < best[entry.tool].median_ms:
            best[entry.tool] = line
    yield from best.values()


def installed(names: Sequence[str]) -> tuple[dict[str, Tool], list[str]]:
    """Look up tools by name: (those that are installed, a line per missing one with how to install it).

    Raises ValueError for an unknown name.
    """
    tools: dict[str, Tool] = {}
    missing = []
    for name in names:
        if name not in TOOLS:
            raise ValueError(f"tools={name!r}: must be one of {', '.join(map(repr, TOOLS))}")
        try:
            tools[name] = TOOLS[name]()
        except MissingToolError as error:
            missing.append(
                f"{name} is not installed: {error}. For all peers: pip install 'qhn-explorer[bench]'"
            )
    return tools, missing
