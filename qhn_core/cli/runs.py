"""`qhn runs`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from qhn_core.cli.outputs import check_file
from qhn_core.jobs.limits import Limits
from qhn_core.storage.run_zip import export_zip, import_zip
from qhn_core.storage.runs import RunStore

TEXT = "List, show, export, import and delete stored runs."


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("runs", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_runs)
    parser.add_argument(
        "action", choices=["list", "show", "export", "import", "delete"], nargs="?", default="list"
    )
    parser.add_argument("run", nargs="?", help="id of the run; for import, the zip file")
    parser.add_argument("--out", type=Path, metavar="FILE", help="for export: the zip file to write")


def run_runs(arguments: argparse.Namespace) -> int:
    """`qhn runs`: 0 = done, 2 = there is no such run."""
    if arguments.action != "list" and not arguments.run:
        what = "a zip file" if arguments.action == "import" else "the id of a run; `qhn runs` lists the ids"
        raise ValueError(f"{arguments.action} needs {what}")
    with RunStore() as store:
        if arguments.action == "list":
            for run in store.runs(lambda problem: print(f"qhn runs: {problem}", file=sys.stderr)):
                bce = "" if run.test_bce is None else f"{run.test_bce:.3f}"
                when = run.created.astimezone().strftime("%Y-%m-%d %H:%M")
                print(f"{run.id}  {when}  {run.status:11}  {bce:>6}  {run.name or run.words}")
            return 0
        if arguments.action == "import":
            limits = Limits.from_environment()
            most = limits.max_run_mb * 10**6
            with Path(arguments.run).open("rb") as file:
                imported = import_zip(
                    file.read(most + 1), most, most
                )  # a byte more shows that it is too large
            limits.check_opening(imported.config)
            print(store.add(imported))
            return 0
        return _one_run(store, arguments)


def _one_run(store: RunStore, arguments: argparse.Namespace) -> int:
    run = store.load(arguments.run)
    if run is None:
        raise ValueError(f"run={arguments.run!r}: there is no such run; `qhn runs` lists the ids")
    if arguments.action == "delete":
        store.delete(arguments.run)
    elif run.state is None:
        raise ValueError(f"run={arguments.run!r} has not started; there is nothing to {arguments.action}")
    elif arguments.action == "show":
        print(f"{run.config.in_words()}\n{run.status} at epoch {run.state.epoch}, {run.created:%Y-%m-%d}\n")
        print(run.result().summary().map("{:.4f}".format).to_string())
    else:
        target = arguments.out or Path(f"{arguments.run}.zip")
        if target.exists():
            raise ValueError(f"out={str(target)!r}: the file exists; choose another")
        check_file("out", target)
        target.write_bytes(export_zip(run))
        print(target)
    return 0
