"""Section IV of the paper: run it, and set our results beside the published numbers.

`load_results()` reads the files that `qhn reproduce` wrote; tables and figures are pure functions of them.
"""

from qhn_core.paper.beyond import beyond, beyond_contrasts, beyond_sentence, parts_run
from qhn_core.paper.conventions import METHODS, Conventions, all_conventions, paper_base
from qhn_core.paper.figures import (
    beyond_figure,
    contrast_figure,
    figure_2,
    figure_3,
    figure_4,
    figure_5,
    figure_6,
)
from qhn_core.paper.published import published
from qhn_core.paper.results import PaperResults, load_results, save_results
from qhn_core.paper.run import Study, run_study
from qhn_core.paper.tables import (
    contrasts,
    orderings,
    readings,
    regularizer_effect,
    scale_effect,
    table,
)

__all__ = [
    "METHODS",
    "Conventions",
    "PaperResults",
    "Study",
    "all_conventions",
    "beyond",
    "beyond_contrasts",
    "beyond_figure",
    "beyond_sentence",
    "contrast_figure",
    "contrasts",
    "figure_2",
    "figure_3",
    "figure_4",
    "figure_5",
    "figure_6",
    "load_results",
    "orderings",
    "paper_base",
    "parts_run",
    "published",
    "readings",
    "regularizer_effect",
    "run_study",
    "save_results",
    "scale_effect",
    "table",
]
