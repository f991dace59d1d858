"""The `qhn` command: the same functions as the dashboard and the notebook, and the same numbers."""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from tqdm import tqdm

from qhn_core.config import RunConfig, explain
from qhn_core.simulators import available_simulators, get_simulator
from qhn_core.store import save_run
from qhn_core.training import Rows, RunResult, TrainingState, train

BAD_INPUT = 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qhn` and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="qhn", description="Train quantum hypernetworks and look at their loss landscapes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    training = commands.add_parser(
        "train",
        help="train all seeds of one configuration",
        description="Train all seeds of one configuration and print a summary table.",
    )
    for name, field in RunConfig.model_fields.items():
        training.add_argument(
            "--" + name.replace("_", "-"), metavar=_metavar(field), help=_help(name, field)
        )
    training.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write config, history and angles here"
    )
    training.add_argument(
        "--json", action="store_true", help="print one JSON object, alone, on standard output"
    )
    training.set_defaults(run=run_train)
    listing = commands.add_parser("simulators", help="list the simulators and say why one is missing")
    listing.set_defaults(run=run_simulators)
    return parser


def _metavar(field: FieldInfo) -> str:
    if choices := get_args(field.annotation):
        names = [str(c) for c in choices if isinstance(c, str)]
        if names:
            return "{" + ",".join(names) + "}"
    return "N" if field.annotation in (int, int | None) else "X"


def _help(name: str, field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if name == "shots":
        return f"{text}: a whole number, or 'exact' (default: {field.default})"
    return text if field.default is None else f"{text} (default: {field.default})"


def read_config(arguments: argparse.Namespace) -> RunConfig:
    """The RunConfig that the command line asks for; raises ValueError (pydantic's) where it is bad."""
    given = {name: getattr(arguments, name) for name in RunConfig.model_fields}
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen.get("shots") == "exact":
        chosen["shots"] = None
    return RunConfig(**chosen)


def run_train(arguments: argparse.Namespace) -> int:
    """`qhn train`: 0 = done, 1 = all seeds diverged, 2 = bad input."""
    try:
        config = read_config(arguments)
        if arguments.out is not None and (arguments.out / "config.json").exists():
            raise ValueError(f"--out={arguments.out}: already holds a run; choose another folder")
        started = time.perf_counter()
        result = _train_with_progress(config)
        wall_seconds = time.perf_counter() - started
    except ValueError as error:
        print(f"qhn train: {explain(error)}", file=sys.stderr)
        return BAD_INPUT
    if arguments.out is not None:
        save_run(arguments.out, result)
    _report(arguments, result, wall_seconds)
    return 1 if result.state.diverged_at.all() else 0


def _train_with_progress(config: RunConfig) -> RunResult:
    with tqdm(total=config.epochs, unit="epoch", disable=None) as bar:

        def show(state: TrainingState, rows: Rows) -> None:
            if len(rows["objective"]):
                last = rows["objective"][rows["epoch"] == rows["epoch"][-1]]
                bar.set_postfix_str(f"{config.objective.upper()} {last.mean():.4g}", refresh=False)
            bar.update(state.epoch - bar.n)

        return train(config, progress=show)


def _report(arguments: argparse.Namespace, result: RunResult, wall_seconds: float) -> None:
    summary = result.summary()
    if warning := result.state.divergence():
        print(f"qhn train: {warning}", file=sys.stderr)
    if not arguments.json:
        print(f"{result.config.in_words()}  ({wall_seconds:.2f} s)\n")
        print(summary.map("{:.4f}".format).to_string())
        return
    report: dict[str, Any] = {
        "config": result.config.model_dump(),
        "hash": result.config.hash,
        "summary": summary.to_dict(orient="index"),
        "wall_seconds": wall_seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "simulator": get_simulator(result.config.simulator, result.config.n_qubits).name,
        "warning": warning,
    }
    print(json.dumps(report, allow_nan=False))


def run_simulators(arguments: argparse.Namespace) -> int:
    """`qhn simulators`: a line each."""
    for simulator in available_simulators():
        print(f"{simulator.name:16} {'yes' if simulator.available else 'no':4} {simulator.why}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nqhn: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
