"""Importing the package, in a process of its own, against importing cirq alone."""

import subprocess
import sys

from tests.benchmarks.measure import median_seconds, row


def rows() -> list[str]:
    """Time of `import qhn_core`."""

    def import_seconds(module: str) -> float:
        return median_seconds(
            lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True), 3
        )

    ours, cirq = import_seconds("qhn_core"), import_seconds("cirq")
    return [row("import qhn_core", f"{ours:.2f} s", "<= 3 s", f"cirq alone {cirq:.2f} s")]
