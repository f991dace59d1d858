"""A run half of whose seeds diverge, and the same ones on every machine.

A rate at which angles really grow beyond all bounds makes chaos of them: which seeds do so, and when, hangs
on the last bit of a sine. So the bound is put where a tame run gets to.
"""

import pytest

from qhn_core.training import loop

HALF_DIVERGES = {
    "objective": "elbo",
    "shots": None,
    "learning_rate": 0.05,
    "n_hidden": 1,
    "n_seeds": 4,
    "epochs": 12,
    "seed": 18,
}
"""Seeds 0 and 1 diverge at epochs 3 and 4; seeds 2 and 3 do not."""
DIVERGES = {**HALF_DIVERGES, "n_seeds": 1}


def lower_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LARGEST_ANGLE", 9.5)
