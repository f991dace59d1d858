"""The `qhn` command: the same functions as the dashboard and the notebook, and the same numbers."""

import argparse
import json
import math
import os
import resource
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic.fields import FieldInfo
from tqdm import tqdm

from qhn_core.bench.command import add_command as add_bench
from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig, explain
from qhn_core.exchange import export_zip, import_zip, save_run
from qhn_core.execution import choose_workers
from qhn_core.history import Rows
from qhn_core.jobs import Status
from qhn_core.landscape import LandscapeScan, roughness_table, save_scan, scan_in_stages, scan_table
from qhn_core.offline import caption, landscape_html, view_data
from qhn_core.paper.command import add_command as add_reproduce
from qhn_core.simulators import available_simulators, get_simulator
from qhn_core.store import RunStore
from qhn_core.store_file import StoreError
from qhn_core.stored_scans import scan_with_store
from qhn_core.study import measure_planes, paired_differences, short_table
from qhn_core.sweep import grid, run_sweep, sweep_table
from qhn_core.training import RunResult, train
from qhn_core.training_state import TrainingState

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qhn` and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="qhn", description="Train quantum hypernetworks and look at their loss landscapes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    training = _command(commands, "train", run_train, "Train all seeds of one configuration.")
    _add_config_options(training)
    training.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write config, history and angles here"
    )
    _add_json_option(training)

    sweep = _command(
        commands,
        "sweep",
        run_sweep_command,
        "Train a grid: any option takes several values, separated by commas. Run it again and only what "
        "is missing is computed.",
    )
    _add_config_options(sweep, several=True)
    sweep.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, tcp://host:8786")
    sweep.add_argument("--workers", type=int, metavar="N", help="local processes (default: cores - 1)")
    _add_json_option(sweep)

    runs = _command(commands, "runs", run_runs, "List, show, export, import and delete stored runs.")
    runs.add_argument(
        "action", choices=["list", "show", "export", "import", "delete"], nargs="?", default="list"
    )
    runs.add_argument("run", nargs="?", help="id of the run; for import, the zip file")
    runs.add_argument("--out", type=Path, metavar="FILE", help="for export: the zip file to write")

    landscape = _command(
        commands,
        "landscape",
        run_landscape,
        "Train, scan a plane through the best seed's theta*, and say how rough each surface is.",
    )
    _add_config_options(landscape)
    _add_plane_options(landscape)
    landscape.add_argument("--html", type=Path, metavar="FILE", help="write a page that works offline")
    landscape.add_argument("--npz", type=Path, metavar="FILE", help="write the grid as numpy arrays")
    landscape.add_argument("--csv", type=Path, metavar="FILE", help="write the grid as a table")
    _add_json_option(landscape)

    study = _command(
        commands,
        "study",
        run_study,
        "Does regularisation smooth the landscape? Measure the roughness of MLE, ELBO and SELBO at several "
        "λ and h on the same planes, one through the theta* of each seed (default: 20 seeds, random RY "
        "planes), and compare. Any run option takes several values, separated by commas.",
    )
    _add_config_options(study, several=True)
    _add_plane_options(study)
    study.add_argument("--csv", type=Path, metavar="FILE", help="write all comparisons as a table")
    study.add_argument(
        "--measured", type=Path, metavar="FILE", help="write what was measured on each plane"
    )

    add_reproduce(commands)
    add_bench(commands)
    _command(commands, "simulators", run_simulators, "List the simulators and say why one is missing.")
    return parser


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run_command=run)
    return parser


def _add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, alone, on standard output"
    )


def _add_config_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    for name, field in RunConfig.model_fields.items():
        metavar = _metavar(field) + (",..." if several else "")
        parser.add_argument("--" + name.replace("_", "-"), metavar=metavar, help=_help(name, field))


def _add_plane_options(parser: argparse.ArgumentParser) -> None:
    for name, field in LandscapeConfig.model_fields.items():
        if name != "gates":
            option = "--plane-seed" if name == "seed" else "--" + name
            text = field.description or ""
            parser.add_argument(option, dest=f"plane_{name}", metavar=_metavar(field), help=text)


def _given_plane(arguments: argparse.Namespace, **defaults: str) -> LandscapeConfig:
    given = {name: getattr(arguments, f"plane_{name}", None) for name in LandscapeConfig.model_fields}
    return LandscapeConfig(
        **{**defaults, **{name: text for name, text in given.items() if text is not None}}
    )


def _metavar(field: FieldInfo) -> str:
    names = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str)]
    if names:
        return "{" + ",".join(names) + "}"
    return "N" if field.annotation in (int, int | None) else "X"


def _help(name: str, field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    if name == "shots":
        return f"{text}: a whole number, or 'exact' (default: {field.default})"
    return text if field.default is None else f"{text} (default: {field.default})"


def _given(arguments: argparse.Namespace) -> dict[str, str]:
    """The config options that were used, as text."""
    texts = {name: getattr(arguments, name) for name in RunConfig.model_fields}
    return {name: text for name, text in texts.items() if text is not None}


def _value(name: str, text: str) -> str | None:
    return None if (name, text) == ("shots", "exact") else text


def run_train(arguments: argparse.Namespace) -> int:
    """`qhn train`: 0 = done, 1 = all seeds diverged, 2 = bad input."""
    config = RunConfig(**{name: _value(name, text) for name, text in _given(arguments).items()})
    if arguments.out is not None:
        _check_folder(arguments.out)
    started = time.perf_counter()
    result = _train_with_progress(config)
    wall_seconds = time.perf_counter() - started
    if arguments.out is not None:
        save_run(arguments.out, result)
    _report(arguments, result, wall_seconds)
    return FAILED if result.state.diverged_at.all() else 0


def _check_folder(folder: Path) -> None:
    """Know before the training, not after it, whether a run can be written."""
    if (folder / "config.json").exists():
        raise ValueError(f"--out={folder}: already holds a run; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out={folder}: the folder can't be made ({error.strerror})") from error


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
        "simulator": _where_circuits_ran(result.config),
        "warning": warning,
    }
    print(json.dumps(report, allow_nan=False))


def _where_circuits_ran(config: RunConfig) -> str:
    if config.is_shallow:
        return "none: one or two layers have a closed form"
    return get_simulator(config.simulator, config.n_qubits).name


def run_sweep_command(arguments: argparse.Namespace) -> int:
    """`qhn sweep`: 0 = all runs finished, 1 = some failed, 2 = bad input."""
    fields = {
        name: [_value(name, part) for part in text.split(",")] for name, text in _given(arguments).items()
    }
    configs = grid(fields)
    workers = choose_workers(arguments.scheduler, arguments.workers)
    with RunStore() as store, tqdm(unit="epoch", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        jobs = run_sweep(configs, workers, store, show)
    for message in sorted({job.message for job in jobs} - {""}):
        print(f"qhn sweep: {message}", file=sys.stderr)
    table = sweep_table(jobs)
    if arguments.json:
        ids = [job.id for job in jobs]
        rows = json.loads(table.assign(run=ids).to_json(orient="records"))
        print(json.dumps({"runs": rows}, allow_nan=False))
    else:
        print(table.to_string(index=False, float_format="{:.4f}".format))
    return 0 if all(job.status == Status.DONE for job in jobs) else FAILED


def run_landscape(arguments: argparse.Namespace) -> int:
    """`qhn landscape`: the same scan, and the same page, as the dashboard's."""
    config = RunConfig(**{name: _value(name, text) for name, text in _given(arguments).items()})
    plane = _given_plane(arguments)
    result = _train_with_progress(config)
    best = int(result.state.best_objective.argmax())
    scan = _scan_with_progress(config, plane, result.best_angles[best], best)
    if arguments.html is not None:
        data = view_data(scan, scan.config.regularization, scan.config.h, caption(scan, best))
        arguments.html.write_text(landscape_html(data))
    if arguments.npz is not None:
        save_scan(arguments.npz, scan)
    if arguments.csv is not None:
        scan_table(scan).to_csv(arguments.csv, index=False)
    table = roughness_table(scan)
    if arguments.json:
        report = {
            "config": config.model_dump(),
            "landscape_config": plane.model_dump(),
            "seed": best,
            "directions": list(scan.plane.labels),
            "roughness": table.to_dict(),
        }
        print(json.dumps(report, allow_nan=False))
    else:
        print(
            f"{caption(scan, best)}\n{scan.plane.labels[0]}; {scan.plane.labels[1]}\n\n{table.to_string()}"
        )
    return 0


def _scan_with_progress(
    config: RunConfig, plane: LandscapeConfig, angles: Float, seed_row: int
) -> LandscapeScan:
    """The scan, from the store as far as it is there; stopped, it goes on there the next time."""

    def report(problem: str) -> None:
        print(f"qhn landscape: {problem}", file=sys.stderr)

    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit="point", disable=None))
        try:
            store = stack.enter_context(RunStore())
            scans = scan_with_store(store, config, plane, angles, seed_row, report)
        except StoreError as error:
            report(str(error))
            scans = scan_in_stages(config, plane, angles, seed_row)
        for scan in stack.enter_context(closing(scans)):
            bar.total = scan.done.size
            bar.update(int(scan.done.sum()) - bar.n)
    return scan


def run_study(arguments: argparse.Namespace) -> int:
    """`qhn study`: the comparisons, and a short table of those that say most."""
    fields = {
        name: [_value(name, part) for part in text.split(",")]
        for name, text in ({"n_seeds": "20"} | _given(arguments)).items()
    }
    plane = _given_plane(arguments, plane="random-ry")
    measured, compared = [], []
    for config in tqdm(grid(fields), unit="run", disable=None):
        found = measure_planes(config, plane)
        words = config.in_words()
        measured.append(found.assign(run=words))
        compared.append(paired_differences(found).assign(run=words))
    table = pd.concat(compared, ignore_index=True)
    if arguments.csv is not None:
        table.to_csv(arguments.csv, index=False)
    if arguments.measured is not None:
        pd.concat(measured, ignore_index=True).to_csv(arguments.measured, index=False)
    for words, rows in table.groupby("run", sort=False):
        print(
            f"{words}\nPlane: {plane.plane}, ±{plane.radius / math.pi:.3g}π; MLE, and differences from it\n"
        )
        print(short_table(rows).to_string(), end="\n\n")
    return 0


def run_runs(arguments: argparse.Namespace) -> int:
    """`qhn runs`: what the store holds, in and out."""
    if arguments.action != "list" and not arguments.run:
        raise ValueError(f"qhn runs {arguments.action} needs the id of a run; `qhn runs` lists them")
    with RunStore() as store:
        if arguments.action == "list":
            for run in store.runs():
                bce = "" if run.test_bce is None else f"{run.test_bce:.3f}"
                when = run.created.astimezone().strftime("%Y-%m-%d %H:%M")
                print(f"{run.id}  {when}  {run.status:11}  {bce:>6}  {run.name or run.words}")
            return 0
        if arguments.action == "import":
            print(store.add(import_zip(Path(arguments.run).read_bytes())))
            return 0
        return _one_run(store, arguments)


def _one_run(store: RunStore, arguments: argparse.Namespace) -> int:
    run = store.load(arguments.run)
    if run is None:
        raise ValueError(f"run={arguments.run!r}: there is no such run; `qhn runs` lists them")
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
            raise ValueError(f"--out={target}: the file exists; choose another")
        about = (run.name, run.versions, run.created, run.updated, run.seconds)
        target.write_bytes(export_zip(run.config, run.rows, run.state, *about))
        print(target)
    return 0


def run_simulators(arguments: argparse.Namespace) -> int:
    """`qhn simulators`: a line each."""
    for simulator in available_simulators():
        print(f"{simulator.name:16} {'yes' if simulator.available else 'no':4} {simulator.why}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run_command(arguments)
    except (ValueError, OSError, StoreError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        text = explain(error) if isinstance(error, ValueError) else str(error)
        print(f"qhn {arguments.command}: {text}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ValueError) else FAILED
    except KeyboardInterrupt:
        print("\nqhn: stopped", file=sys.stderr)
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
