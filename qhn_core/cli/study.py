"""`qhn study`."""

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from qhn_core.cli.options import add_config_options, add_plane_options, given_grid, given_plane
from qhn_core.cli.outputs import check_file
from qhn_core.jobs.sweep import grid
from qhn_core.landscape.smoothness import measure_planes, paired_differences, short_table

TEXT = (
    "Does regularisation smooth the landscape? Measure and compare the roughness of MLE, ELBO and SELBO at "
    "several λ and h on the same planes, one through the theta* of each seed. Any run option takes several "
    "values, separated by commas."
)
RUN_DEFAULTS = {"n_seeds": "20"}
PLANE_DEFAULTS = {"plane": "random-ry"}


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("study", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_study)
    add_config_options(parser, several=True, **RUN_DEFAULTS)
    add_plane_options(parser, **PLANE_DEFAULTS)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all comparisons as a table")
    parser.add_argument(
        "--measured", type=Path, metavar="FILE", help="write the measurements on each plane as a table"
    )


def run_study(arguments: argparse.Namespace) -> int:
    """`qhn study`: print a short table of the comparisons, and write all of them."""
    fields = given_grid(arguments, **RUN_DEFAULTS)
    landscape_config = given_plane(arguments, **PLANE_DEFAULTS)
    check_file("csv", arguments.csv)
    check_file("measured", arguments.measured)
    measured, compared = [], []
    for config in tqdm(grid(fields), unit="run", disable=None):
        found = measure_planes(config, landscape_config)
        words = config.in_words()
        measured.append(found.assign(run=words))
        compared.append(paired_differences(found).assign(run=words))
    table = pd.concat(compared, ignore_index=True)
    plane = f"{landscape_config.plane}, ±{landscape_config.radius / math.pi:.3g}π"
    for words, rows in table.groupby("run", sort=False):
        print(f"{words}\nPlane: {plane}; MLE, and differences from it\n")
        print(short_table(rows).to_string(), end="\n\n")
    if arguments.csv is not None:
        table.to_csv(arguments.csv, index=False)
    if arguments.measured is not None:
        pd.concat(measured, ignore_index=True).to_csv(arguments.measured, index=False)
    return 0
