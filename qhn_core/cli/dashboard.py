"""`qhn dashboard`."""

import argparse
import runpy
import sys
from typing import Any

from qhn_core.assets import DASHBOARD

TEXT = "Open the dashboard. Further options go on to streamlit, for example --server.port 8502."


def add_command(commands: Any) -> None:
    """Add the subcommand to a parser's."""
    parser: argparse.ArgumentParser = commands.add_parser("dashboard", help=TEXT, description=TEXT)
    parser.set_defaults(run_command=run_dashboard)


def run_dashboard(arguments: argparse.Namespace) -> int:
    """`qhn dashboard`: what `streamlit run app.py` does in a clone, from any folder and in this process."""
    sys.argv = ["streamlit", "run", str(DASHBOARD / "app.py"), *arguments.further]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    return 0
