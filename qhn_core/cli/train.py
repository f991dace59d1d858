"""`qhn train`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from qhn_core.circuits.simulators import get_simulator
from qhn_core.cli import FAILED
from qhn_core.cli.options import add_config_options, add_json_option, given_config
from qhn_core.cli.outputs import check_folder
from qhn_core.config import RunConfig
from qhn_core.paper.cost import peak_memory_mb
from qhn_core.storage.run_zip import save_run
from qhn_core.training.history import Rows
from qhn_core.training.loop import RunResult, train
from qhn_core.training.state import TrainingState

TEXT = "Train all seeds of one configuration."


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("train", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_train)
    add_config_options(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write config, history and angles into this folder"
    )
    add_json_option(parser)


def run_train(arguments: argparse.Namespace) -> int:
    """`qhn train`: 0 = done, 1 = all seeds diverged, 2 = bad input."""
    config = given_config(arguments)
    if arguments.out is not None and (arguments.out / "config.json").exists():
        raise ValueError(f"out={str(arguments.out)!r}: already holds a run; choose another folder")
    check_folder("out", arguments.out)
    started = time.perf_counter()
    result = train_with_progress(config)
    wall_seconds = time.perf_counter() - started
    _report(arguments, result, wall_seconds)  # before it is written: a disk may be full
    if arguments.out is not None:
        save_run(arguments.out, result)
    return FAILED if result.state.diverged_at.all() else 0


def train_with_progress(config: RunConfig) -> RunResult:
    """Train with a progress bar on standard error."""
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
        "peak_memory_mb": peak_memory_mb(),
        "simulator": _where_circuits_ran(result.config),
        "warning": warning,
    }
    print(json.dumps(report, allow_nan=False))


def _where_circuits_ran(config: RunConfig) -> str:
    if config.has_closed_form:
        return "none: one or two layers have a closed form"
    return get_simulator(config.simulator, config.n_qubits, config.entangler).name
