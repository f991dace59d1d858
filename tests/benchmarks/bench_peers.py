"""The race of `qhn bench`, one layer: this package against every peer that is installed."""

from qhn_core.bench.race import TOOLS, installed, race
from tests.benchmarks.measure import row

GOALS = {"sampled SELBO": "qujax 250 x", "exact ELBO": "qujax 100 x"}


def rows() -> list[str]:
    """Milliseconds per evaluation or per seed, and how many times longer each peer takes."""
    tools, missing = installed(list(TOOLS))
    out = list(missing)
    for work, goal in GOALS.items():
        ours, *peers = race(work, 3, 1, tools, repeats=5)
        beside = ", ".join(f"{line.tool} {line.median_ms / ours.median_ms:,.0f} x" for line in peers)
        out.append(row(f"{work}, 14 qubits, L=1", f"{ours.median_ms:.4f} ms", goal, beside))
    return out
