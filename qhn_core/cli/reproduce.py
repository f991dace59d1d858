"""`qhn reproduce`."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from qhn_core.cli import FAILED
from qhn_core.cli.options import add_worker_options, comma_list
from qhn_core.cli.outputs import check_folder, epoch_bar
from qhn_core.jobs.workers import choose_workers
from qhn_core.paper.conventions import BEYOND, DATASETS, GRADIENTS, LIKELIHOODS, paper_base
from qhn_core.paper.published import TABLES
from qhn_core.paper.report import TABLE_HEADS, cost_lines, report_html, table_lines
from qhn_core.paper.results import PaperResults, save_results
from qhn_core.paper.run import FailedRunsError, Study, run_study
from qhn_core.paper.tables import orderings, readings
from qhn_core.storage.runs import RunStore

TEXT = (
    "Run Section IV of the paper under every convention that it leaves open, and print our results beside "
    "the published numbers. Run it again to compute only what is missing."
)


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("reproduce", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_reproduce)
    base = paper_base()
    parser.add_argument("--seeds", metavar="N", help=f"number of initialisations (default: {base.n_seeds})")
    parser.add_argument("--epochs", metavar="N", help=f"number of epochs (default: {base.epochs})")
    parser.add_argument("--seed", metavar="N", help=f"seed of angles and samples (default: {base.seed})")
    for name, values in (("datasets", DATASETS), ("gradients", GRADIENTS), ("likelihoods", LIKELIHOODS)):
        text = f"{name} to run, separated by commas (default: {','.join(values)})"
        parser.add_argument(f"--{name}", type=comma_list, default=values, metavar="A,B", help=text)
    parser.add_argument(
        "--beyond",
        type=comma_list,
        default=(),
        metavar="A,B",
        help=f"also vary what the paper does not: {','.join(BEYOND)}, or all",
    )
    parser.add_argument(
        "--beyond-seeds",
        type=int,
        default=20,
        metavar="N",
        help="number of initialisations beyond the paper (default: 20); a quarter of it for runs that cost "
        "ten times as much: with 10,000 shots, and ELBO by algorithm-1 with 2 layers or more",
    )
    add_worker_options(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the results and report.html into this folder"
    )
    parser.add_argument(
        "--ship", type=Path, metavar="FOLDER", help="write the results alone into this folder"
    )


def run_reproduce(arguments: argparse.Namespace) -> int:
    """`qhn reproduce`: 0 = done, 1 = some runs failed, 2 = bad input."""
    given = {"n_seeds": arguments.seeds, "epochs": arguments.epochs, "seed": arguments.seed}
    study = Study(
        paper_base(**{name: value for name, value in given.items() if value is not None}),
        arguments.datasets,
        arguments.gradients,
        arguments.likelihoods,
        tuple(BEYOND) if arguments.beyond == ("all",) else arguments.beyond,
        arguments.beyond_seeds,
    )
    check_folder("out", arguments.out)
    check_folder("ship", arguments.ship)
    workers = choose_workers(arguments.scheduler, arguments.workers)
    with RunStore() as store, epoch_bar() as show:
        try:
            results = run_study(study, workers, store, _command(), show)
        except FailedRunsError as error:
            print(f"qhn reproduce: {error}", file=sys.stderr)
            return FAILED
    print(as_text(results))  # before it is written: a disk may be full
    for folder in (arguments.out, arguments.ship):
        if folder is not None:
            save_results(folder, results)
    if arguments.out is not None:
        (arguments.out / "report.html").write_text(report_html(results), encoding="utf-8")
    return 0


def _command() -> str:
    return shlex.join(["qhn", *sys.argv[1:]])


def as_text(results: PaperResults) -> str:
    """Write both tables under the three choices of `tables.readings`, every convention, and the cost."""
    parts = []
    for name, conventions in readings(results).items():
        for score, number in TABLES.items():
            parts.append(f"Table {number}, {score}: {name}\n")
            parts.append(_aligned([TABLE_HEADS, *table_lines(results, conventions, score)]) + "\n")
    parts.append("How much of the published ordering appears, by convention\n")
    parts.append(orderings(results).to_string(index=False, float_format="{:.3f}".format) + "\n")
    parts.append(
        _aligned([["", "ours", "published"], *cost_lines(results.provenance.cost, len(results.configs))])
    )
    return "\n".join(parts)


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
