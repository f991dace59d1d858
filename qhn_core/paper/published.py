"""What the paper printed: Tables I to III, what Figures 2 to 6 say in text, and the cost. Not ours."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from qhn_core.assets import asset_text

EXHAUSTIVE = "MLE E.S."
"""The paper's name for the best network on the training set of all 2**n."""
TABLES = {"test_bce": "II", "test_accuracy": "III"}


@dataclass(frozen=True)
class Published:
    """The numbers in `assets/published.json`, as printed."""

    source: str
    tables: dict[str, dict[str, dict[str, tuple[float, float | None]]]]
    """score -> dataset -> method -> (mean, standard deviation over initialisations, or None)."""
    initialisations: int
    training: dict[str, Any]
    """Table I and Section IV, by the names of RunConfig."""
    figures: dict[str, str]
    """Number of the figure -> what its caption and the text say."""
    cost: dict[str, Any]


@lru_cache(maxsize=1)
def published() -> Published:
    """The published numbers.

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
