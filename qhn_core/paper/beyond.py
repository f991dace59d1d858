"""Variations that the paper leaves out: the runs of each part of `conventions.BEYOND`, seed by seed."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from qhn_core.comparisons import holm
from qhn_core.config import RunConfig
from qhn_core.paper.conventions import BEYOND, GRADIENTS, check_choice, method_of
from qhn_core.paper.results import PaperResults
from qhn_core.paper.tables import check_score, compare

REFERENCE: dict[str, dict[str, Any]] = {
    "strength": {"regularization": 0.0},
    "annealing": {"annealing": "constant"},
    "layers": {"n_layers": 1},
    "shots": {"shots": None},
}
"""Each run of a part is compared with the run that differs from it in these fields only."""
REFERENCE_WORDS = {
    "strength": "λ = 0",
    "annealing": "the same λ held constant",
    "layers": "L = 1",
    "shots": "exact expectations",
}
SCORE_WORDS = {"test_bce": "test BCE", "test_accuracy": "test accuracy"}
LEVEL = 0.05
"""Holm-adjusted p values below this count as a difference."""


def beyond(results: PaperResults, part: str, network: str, score: str = "test_bce") -> pd.DataFrame:
    """Tabulate a score of each run of a part of `BEYOND`, with the runs of Section IV among them.

    network: how a trained circuit predicts, one of `NETWORKS`. Columns: dataset, gradient, objective, the
    fields that the part varies, mean, std (ddof = 1), n. Raises ValueError for an unknown part.
    """
    rows = []
    for place, named in _runs(results, part):
        values = results.seed_scores(place, network, score)
        rows.append({**named, "mean": values.mean(), "std": values.std(ddof=1), "n": len(values)})
    return _sorted(rows, part)


def beyond_contrasts(
    results: PaperResults, part: str, network: str, score: str = "test_bce"
) -> pd.DataFrame:
    """Compare each run of a part with its partner at `REFERENCE`, seed by seed: run minus partner.

    Returns one row per run that has a partner: the columns that name it in `beyond`, method (its name
    with λ), those of `comparisons.Paired`, and p_holm, the t test adjusted for all rows. The table is
    empty if the part was not run. Raises ValueError for an unknown part or score.
    """
    check_score(score)
    rows = []
    for place, reference, named in _pairs(results, part):
        if found := compare(results, place, reference, network, score):
            rows.append({**named, "method": method_of(results.configs[place]), **asdict(found)})
    out = _sorted(rows, part)
    return out.assign(p_holm=holm(out.p_t.tolist())) if rows else out


def parts_run(results: PaperResults) -> list[str]:
    """List the parts of `BEYOND` that were run: the results hold runs of them beyond Section IV."""
    return [part for part in BEYOND if any(_pairs(results, part))]


def beyond_sentence(results: PaperResults, part: str, network: str, score: str = "test_bce") -> str:
    """Say in one sentence what a part found over all datasets; "" if the part was not run."""
    found = beyond_contrasts(results, part, network, score)
    if not len(found):
        return ""
    sign = -1 if score == "test_bce" else 1
    gain = sign * found.difference
    sure = found.p_holm < LEVEL
    counts = [
        f"by {rule}, {(sure & (gain > 0))[own].sum()} of {own.sum()} runs are better and "
        f"{(sure & (gain < 0))[own].sum()} worse"
        for rule in GRADIENTS
        if (own := found.gradient == rule).any()
    ]
    few, many = found.n.min(), found.n.max()
    best, worst = (_in_words(found.loc[i], part) for i in (gain.idxmax(), gain.idxmin()))
    return (
        f"Compared with {REFERENCE_WORDS[part]} seed by seed ({SCORE_WORDS[score]}, {network}, "
        f"{few if few == many else f'{few} to {many}'} seeds, Holm-adjusted p < {LEVEL:g}), "
        f"{'; '.join(counts)}. The best change is {best}, the worst {worst}."
    )


def _in_words(row: "pd.Series[Any]", part: str) -> str:
    settings = {
        "annealing": lambda: f" {row.annealing}",
        "layers": lambda: f" L={row.n_layers}",
        "shots": lambda: f" {row.shots:g} shots",
    }
    setting = settings[part]() if part in settings else ""
    change = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}], p = {row.p_holm:.2g}"
    return f"{change} ({row.dataset}, {row.method}{setting}, {row.gradient})"


def _pairs(results: PaperResults, part: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the runs that have a partner at `REFERENCE`: (place, partner's place, fields of `_runs`)."""
    runs = list(_runs(results, part))
    places = {tuple(named.values()): place for place, named in runs}
    for place, named in runs:
        reference = places.get(tuple((named | REFERENCE[part]).values()))
        if reference is not None and reference != place:
            yield place, reference, named


def _runs(results: PaperResults, part: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the runs of a part, Section IV's included: (place in configs, the fields that identify it)."""
    check_choice("part", part, BEYOND)
    fields = [f for f in BEYOND[part] if f != "objective"]
    shared = _shared(results.provenance.paper[0])
    for place, config in enumerate(results.configs):
        varied = {f: getattr(config, f) for f in fields}
        inside = config.objective in BEYOND[part]["objective"] and all(
            value in BEYOND[part][f] or (config.objective == "mle" and f == "regularization")
            for f, value in varied.items()
        )
        others = {f: v for f, v in _shared(config).items() if f not in fields}
        if inside and config.likelihood == "sum" and all(shared[f] == v for f, v in others.items()):
            named = {f: getattr(config, f) for f in ("dataset", "gradient", "objective")}
            yield place, named | varied


def _shared(config: RunConfig) -> dict[str, object]:
    """Return the fields that parts may vary. MLE has no λ, so its λ counts as 1."""
    return {
        "n_layers": config.n_layers,
        "shots": config.shots,
        "annealing": config.annealing,
        "regularization": 1.0 if config.objective == "mle" else config.regularization,
    }


def _sorted(rows: list[dict[str, Any]], part: str) -> pd.DataFrame:
    columns = ["dataset", "gradient", "objective", *(f for f in BEYOND[part] if f != "objective")]
    if not rows:
        return pd.DataFrame(columns=columns)
    return pd.DataFrame(rows).sort_values(columns, ignore_index=True)
