"""`qhn landscape`."""

import argparse
import json
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from qhn_core.bits import Float
from qhn_core.cli.options import (
    add_config_options,
    add_json_option,
    add_plane_options,
    given_config,
    given_plane,
)
from qhn_core.cli.outputs import check_file
from qhn_core.cli.train import train_with_progress
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.figures.landscape_page import caption, landscape_html, view_data
from qhn_core.landscape.scan import LandscapeScan, scan_table
from qhn_core.landscape.scanner import roughness_table, scan_in_stages
from qhn_core.objectives.terms import Objective
from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore
from qhn_core.storage.scan_file import save_scan
from qhn_core.storage.scans import scan_with_store

TEXT = "Train, scan a plane through theta* of the best seed, and measure how rough each surface is."


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("landscape", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_landscape)
    add_config_options(parser)
    add_plane_options(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that works offline")
    parser.add_argument("--npz", type=Path, metavar="FILE", help="write the grid as numpy arrays")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the grid as a table")
    add_json_option(parser)


def run_landscape(arguments: argparse.Namespace) -> int:
    """`qhn landscape`: the same scan, and the same page, as the dashboard's."""
    config = given_config(arguments)
    landscape_config = given_plane(arguments)
    for option in ("html", "npz", "csv"):
        check_file(option, getattr(arguments, option))
    result = train_with_progress(config)
    best = int(result.state.best_objective.argmax())
    scan = _scan_with_progress(config, landscape_config, result.best_angles[best], best)
    _report(arguments, scan, best)  # before it is written: a disk may be full
    if arguments.html is not None:
        data = view_data(scan, Objective.of(config), caption(scan, best))
        arguments.html.write_text(landscape_html(data), encoding="utf-8")
    if arguments.npz is not None:
        save_scan(arguments.npz, scan)
    if arguments.csv is not None:
        scan_table(scan).to_csv(arguments.csv, index=False)
    return 0


def _report(arguments: argparse.Namespace, scan: LandscapeScan, seed: int) -> None:
    table = roughness_table(scan)
    if arguments.json:
        report = {
            "config": scan.config.model_dump(),
            "landscape_config": scan.landscape_config.model_dump(),
            "seed": seed,
            "directions": list(scan.plane.labels),
            "roughness": table.to_dict(),
        }
        print(json.dumps(report, allow_nan=False))
    else:
        first, second = scan.plane.labels
        print(f"{caption(scan, seed)}\n{first}; {second}\n\n{table.to_string()}")


def _scan_with_progress(
    config: RunConfig, landscape_config: LandscapeConfig, angles: Float, seed_row: int
) -> LandscapeScan:
    """Scan what the store does not have yet; a scan that is stopped goes on from there the next time."""

    def report(problem: str) -> None:
        print(f"qhn landscape: {problem}", file=sys.stderr)

    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit="point", disable=None))
        try:
            store = stack.enter_context(RunStore())
            scans = scan_with_store(store.scans, config, landscape_config, angles, seed_row, report)
        except StoreError as error:
            report(str(error))
            scans = scan_in_stages(config, landscape_config, angles, seed_row)
        for scan in stack.enter_context(closing(scans)):
            bar.total = scan.done.size
            bar.update(int(scan.done.sum()) - bar.n)
    return scan
