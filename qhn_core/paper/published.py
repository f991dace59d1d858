"""The published numbers: Tables I to III, the text about Figures 2 to 6, and the cost. None is ours."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qhn_core.assets import asset_text

EXHAUSTIVE = "MLE E.S."
"""The paper's name for the network, of all 2**n, that is best on the training set."""
TABLES = {"test_bce": "II", "test_accuracy": "III"}


@dataclass(frozen=True)
class Published:
    """The numbers in `assets/published.json`, as printed."""

    source: str
    tables: dict[str, dict[str, dict[str, tuple[float, float | None]]]]
    """score -> dataset -> method -> (mean, standard deviation over initialisations, or None)."""
    initialisations: int
    training: dict[str, Any]
    """Table I and Section IV, by field of RunConfig."""
    figures: dict[str, str]
    """Number of the figure -> what the caption and the text say about it."""
    cost: dict[str, Any]


@lru_cache(maxsize=1)
def published() -> Published:
    """Read the published numbers.

    >>> published().tables["test_bce"]["gaussian"]["SELBO λ=0.01"]
    (0.129, 0.071)
    """
    found = json.loads(asset_text("published.json"))
    tables = {
        score: {
            dataset: {method: (mean, std) for method, (mean, std) in row.items()}
            for dataset, row in table["rows"].items()
        }
        for score, table in found["tables"].items()
    }
    return Published(
        found["source"],
        tables,
        found["initialisations"],
        found["training"],
        found["figures"],
        found["cost"],
    )
