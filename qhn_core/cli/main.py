"""The `qhn` command. It calls the functions that the dashboard and notebooks call, for the same numbers."""

import argparse
import io
import os
import sys

from qhn_core.cli import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    bench,
    dashboard,
    landscape,
    reproduce,
    runs,
    simulators,
    study,
    sweep,
    train,
)
from qhn_core.config import explain
from qhn_core.storage.database import StoreError


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `qhn` and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="qhn", description="Train quantum hypernetworks and look at their loss landscapes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (dashboard, train, sweep, runs, landscape, study, reproduce, bench, simulators):
        command.add_command(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command line, by default this process's own, and return the exit code."""
    _replace_what_can_not_be_shown()
    parser = build_parser()
    arguments, further = parser.parse_known_args(argv)
    if further and arguments.command != "dashboard":
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    arguments.further = further
    try:
        return arguments.run_command(arguments)
    except (ValueError, OSError, StoreError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of standard output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        text = explain(error) if isinstance(error, ValueError) else str(error)
        print(f"qhn {arguments.command}: {text}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, ValueError) else FAILED
    except KeyboardInterrupt:
        print("\nqhn: stopped", file=sys.stderr)
        return INTERRUPTED


def _replace_what_can_not_be_shown() -> None:
    """Show a question mark where a terminal's encoding has no λ, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
