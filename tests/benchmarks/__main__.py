"""All benchmarks, one after the other: `python -m tests.benchmarks [name ...]`."""

import sys
from importlib import import_module

from tests.benchmarks.measure import row

NAMES = ("import", "simulator", "training", "growth", "landscape", "peers")

print(row("measured", "here", "goal"))
for name in sys.argv[1:] or NAMES:
    for line in import_module(f"tests.benchmarks.bench_{name}").rows():
        print(line, flush=True)
