"""The `qhn` command: the same functions as the dashboard and the notebook, and the same numbers."""

import argparse
import os
import sys

from qhn_core.cli import BAD_INPUT, FAILED, INTERRUPTED, landscape, runs, simulators, study, sweep, train
from qhn_core.cli.bench import add_command as add_bench
from qhn_core.cli.reproduce import add_command as add_reproduce
from qhn_core.config import explain
from qhn_core.storage.database import StoreError


def build_parser() -> argparse.ArgumentParser:
    """The parser of `qhn` and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="qhn", description="Train quantum hypernetworks and look at their loss landscapes."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (train, sweep, runs, landscape, study):
        command.add_command(commands)
    add_reproduce(commands)
    add_bench(commands)
    simulators.add_command(commands)
    return parser


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
