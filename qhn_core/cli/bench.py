"""`qhn bench`."""

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qhn_core.bench import growth, growth_report
from qhn_core.bench.race import TOOLS, Line, installed, race
from qhn_core.cli.options import comma_list
from qhn_core.cli.outputs import check_file
from qhn_core.versions import __version__

TEXT = (
    "Time the same work by this package and by every installed peer, in one run. Answers are compared "
    "before times; compilation does not count."
)
UNITS = {"sampled SELBO": "evaluation", "exact ELBO": "seed"}


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("bench", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_bench)
    parser.add_argument(
        "--tools",
        type=comma_list,
        default=tuple(TOOLS),
        metavar="A,B",
        help=f"tools to time (default: {','.join(TOOLS)})",
    )
    parser.add_argument(
        "--layers",
        type=lambda text: [int(part) for part in comma_list(text)],
        default=[1, 2, 3],
        metavar="L,L",
        help="numbers of layers (default: 1,2,3)",
    )
    parser.add_argument(
        "--works",
        type=comma_list,
        default=tuple(UNITS),
        metavar="A,B",
        help=f"works to time (default: {','.join(UNITS)})",
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="timings per tool (default: 7)")
    parser.add_argument(
        "--growth",
        type=Path,
        metavar="FILE.html",
        help="instead, time this package alone against qubits and layers, which takes 2 to 4 minutes, and "
        "draw the times into this file; of the other options only --json has an effect",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all timings into this file")


def run_bench(arguments: argparse.Namespace) -> int:
    """`qhn bench`: 0 = done, 2 = bad input."""
    check_file("growth", arguments.growth)
    check_file("json", arguments.json)
    if arguments.growth is not None:
        return _grow(arguments.growth, arguments.json)
    if unknown := [work for work in arguments.works if work not in UNITS]:
        raise ValueError(f"works={unknown[0]!r}: must be one of {', '.join(map(repr, UNITS))}")
    for name, value in (("layers", min(arguments.layers)), ("repeats", arguments.repeats)):
        if value < 1:
            raise ValueError(f"{name}={value}: must be a whole number, 1 or more")
    tools, missing = installed(arguments.tools)
    for tool in tools.values():
        print(f"{tool.name}: {tool.settings}")
    print("\n".join(missing))
    heads = f"{'work':16} {'n':>3} {'L':>2} {'tool':14} {'median ms per':20} {'range':>17} {'ratio':>8}"
    print(f"\n{heads}  off by")
    lines: list[Line] = []
    for work in arguments.works:
        for n_layers in arguments.layers:
            lines += _show(race(work, 3, n_layers, tools, arguments.repeats))
    if arguments.json is not None:
        _write_json(arguments.json, lines)
    return 0


def _show(found: Iterable[Line]) -> list[Line]:
    """Print the lines of one work, with ratios to this package's median, and return them."""
    lines = list(found)
    ours = next((line.median_ms for line in lines if line.tool == "qhn"), None)
    for line in lines:
        ratio = "" if ours is None else f"{line.median_ms / ours:,.1f} x"
        spread = f"{line.least_ms:.3g} to {line.most_ms:.3g}"
        print(
            f"{line.work:16} {line.n_qubits:3} {line.n_layers:2} {line.tool:14} {line.median_ms:8.4g} "
            f"{UNITS[line.work]:11} {spread:>17} {ratio:>8}  {line.check}",
            flush=True,
        )
    return lines


def _write_json(file: Path, rows: Sequence[Line | growth.Point]) -> None:
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _grow(html: Path, json_file: Path | None) -> int:
    """`qhn bench --growth`: print a line as each point is measured, then the exponents."""
    machine = f"qhn_core {__version__}, {os.cpu_count()} cores"
    print(machine, *growth.TEXT, "", sep="\n", flush=True)
    points = []
    for point in growth.measure():
        points.append(point)
        print(point.in_words(), flush=True)
    print("", *growth_report.slopes(points), sep="\n")
    html.write_text(growth_report.page(points, machine), encoding="utf-8")
    if json_file is not None:
        _write_json(json_file, points)
    return 0
