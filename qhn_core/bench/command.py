"""`qhn bench`."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qhn_core.bench.race import TOOLS, Line, installed, race, slope

TEXT = (
    "Time the same work here and by every installed peer, in one run; answers are compared before times. "
    "Compilation is not counted."
)
UNITS = {"sampled SELBO": "evaluation", "exact ELBO": "seed"}
GROWTH_LAYERS = (1, 2, 3, 4, 6)


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("bench", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_bench)
    parser.add_argument(
        "--tools",
        type=lambda text: text.split(","),
        default=list(TOOLS),
        metavar="A,B",
        help=f"only these (default: {','.join(TOOLS)})",
    )
    parser.add_argument(
        "--layers",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 2, 3],
        metavar="L,L",
        help="depths (default: 1,2,3)",
    )
    parser.add_argument(
        "--works",
        type=lambda text: text.split(","),
        default=list(UNITS),
        metavar="A,B",
        help=f"only these (default: {','.join(UNITS)})",
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="timings (default: 7)")
    parser.add_argument(
        "--growth",
        type=int,
        default=0,
        metavar="N",
        help="also time qhn against the number of qubits, up to N hidden neurons, and layers",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all timings here")


def run_bench(arguments: argparse.Namespace) -> int:
    """`qhn bench`: 0 = done, 2 = bad input."""
    if unknown := [work for work in arguments.works if work not in UNITS]:
        raise ValueError(f"works={unknown[0]!r}: allowed are {', '.join(map(repr, UNITS))}")
    for name, value in (("layers", min(arguments.layers)), ("repeats", arguments.repeats)):
        if value < 1:
            raise ValueError(f"{name}={value}: needed is a whole number, 1 or more")
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
    if arguments.growth:
        lines += _grow(arguments, installed(["qhn"])[0])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    return 0


def _show(found: Iterable[Line]) -> list[Line]:
    """Print the lines of one work; ratios are to this package's median."""
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


def _grow(arguments: argparse.Namespace, tools: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for work in arguments.works:
        sizes = [(h, 1) for h in range(1, arguments.growth + 1)]
        depths = [(3, n_layers) for n_layers in GROWTH_LAYERS]
        for name, grid in (("qubits", sizes), ("layers", depths)):
            found = [line for h, n_layers in grid for line in _show(race(work, h, n_layers, tools, 3))]
            if len(found) > 1:
                print(f"{work} against {name}: time ~ (n 2^n L)^{slope(found):.2f}")
            lines += found
    return lines
