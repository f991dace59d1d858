"""`qhn sweep`."""

import argparse
import json
import sys
from typing import Any

from qhn_core.cli import FAILED
from qhn_core.cli.options import add_config_options, add_json_option, add_worker_options, given_grid
from qhn_core.cli.outputs import epoch_bar
from qhn_core.jobs.job import Status
from qhn_core.jobs.sweep import grid, run_sweep, sweep_table
from qhn_core.jobs.workers import choose_workers
from qhn_core.storage.runs import RunStore

TEXT = (
    "Train a grid: any option takes several values, separated by commas. Run it again to compute only "
    "what is missing."
)


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("sweep", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_sweep_command)
    add_config_options(parser, several=True)
    add_worker_options(parser)
    add_json_option(parser)


def run_sweep_command(arguments: argparse.Namespace) -> int:
    """`qhn sweep`: 0 = all runs finished, 1 = some failed, 2 = bad input."""
    configs = grid(given_grid(arguments))
    workers = choose_workers(arguments.scheduler, arguments.workers)
    with RunStore() as store, epoch_bar() as show:
        jobs = run_sweep(configs, workers, store, show)
    for message in sorted({job.message for job in jobs} - {""}):
        print(f"qhn sweep: {message}", file=sys.stderr)
    table = sweep_table(jobs)
    if arguments.json:
        rows = table.assign(run=[job.id for job in jobs]).astype(object)
        rows = rows.where(rows.notna(), None).to_dict(orient="records")
        print(json.dumps({"runs": rows}, allow_nan=False))
    else:
        print(table.to_string(index=False, float_format="{:.4f}".format))
    return 0 if all(job.status == Status.DONE for job in jobs) else FAILED
