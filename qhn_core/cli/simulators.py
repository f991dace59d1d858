"""`qhn simulators`."""

import argparse
from typing import Any

from qhn_core.circuits.simulators import available_simulators

TEXT = "List the simulators and say why one is missing."


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("simulators", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_simulators)


def run_simulators(arguments: argparse.Namespace) -> int:
    """`qhn simulators`: a line for each."""
    for simulator in available_simulators():
        print(f"{simulator.name:16} {'yes' if simulator.available else 'no':4} {simulator.why}")
    return 0
