"""Tables II and III, ours beside published, and differences between methods, seed by seed."""

from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float
from qhn_core.comparisons import Paired, holm, paired, standard_errors_apart
from qhn_core.paper.conventions import LIKELIHOODS, METHODS, Conventions, all_conventions, check_choice
from qhn_core.paper.published import EXHAUSTIVE, TABLES, published
from qhn_core.paper.results import PaperResults

CLEAR = 2.0
"""A published difference from MLE is clear if it exceeds this many standard errors."""


def check_score(score: str) -> None:
    """Raise ValueError unless the paper has a table of this score."""
    check_choice("score", score, TABLES)


def table(results: PaperResults, conventions: Conventions, score: str = "test_bce") -> pd.DataFrame:
    """Make Table II ("test_bce") or III ("test_accuracy"), with one row per (dataset, method).

    Columns: ours_mean, ours_std (over n seeds, ddof = 1), n; published_mean, published_std (NaN if the
    paper has none); standard_errors: ours - published in standard errors of that difference (NaN without
    spread). A method that was not run under these conventions has no row. Raises ValueError for an
    unknown score.
    """
    check_score(score)
    rows = {}
    for dataset in results.datasets:
        printed = published().tables[score][dataset]
        best = results.provenance.exhaustive[dataset][score]
        rows[dataset, EXHAUSTIVE] = _row(np.array([best]), printed.get(EXHAUSTIVE))
        for method in METHODS:
            if (run := results.find(dataset, method, conventions)) is not None:
                values = results.seed_scores(run, conventions.network, score).to_numpy()
                rows[dataset, method] = _row(values, printed.get(method))
    return frame(rows, ["dataset", "method"])


def frame(rows: dict[Any, dict[str, float]], names: list[str]) -> pd.DataFrame:
    """Make a table of rows by their keys, with the index called `names`; it is empty without rows."""
    if not rows:
        return pd.DataFrame()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


def _row(values: Float, printed: tuple[float, float | None] | None) -> dict[str, float]:
    nan = float("nan")
    mean = float(values.mean()) if len(values) else nan
    std = float(values.std(ddof=1)) if len(values) > 1 else nan
    published_mean, published_std = printed or (nan, nan)
    published_std = nan if published_std is None else published_std
    n_published = published().initialisations
    apart = standard_errors_apart(
        mean, std, max(len(values), 1), published_mean, published_std, n_published
    )
    return {
        "ours_mean": mean,
        "ours_std": std,
        "n": len(values),
        "published_mean": published_mean,
        "published_std": published_std,
        "standard_errors": apart,
    }


@lru_cache(maxsize=4096)
def compare(results: PaperResults, run: int, other: int, network: str, score: str) -> Paired | None:
    """Compare a run with another on the seeds that both finished; None if those are fewer than two."""
    both = pd.concat(
        [results.seed_scores(i, network, score) for i in (run, other)], axis=1, join="inner"
    ).to_numpy()
    return paired(both[:, 0], both[:, 1]) if len(both) > 1 else None


def contrasts(results: PaperResults, conventions: Conventions, score: str = "test_bce") -> pd.DataFrame:
    """Compare each method with MLE, paired by seed (same initial angles), in a row per (dataset, method).

    Columns: those of `comparisons.Paired`, method minus MLE; p_holm: the t test adjusted for all rows;
    published: the difference of the published means; published_errors: the same in standard errors.
    """
    check_score(score)
    rows = {}
    for dataset in results.datasets:
        mle = results.find(dataset, "MLE", conventions)
        for method in METHODS:
            run = results.find(dataset, method, conventions)
            if method == "MLE" or run is None or mle is None:
                continue
            if found := compare(results, run, mle, conventions.network, score):
                rows[dataset, method] = {**asdict(found), **_published_contrast(dataset, method, score)}
    out = frame(rows, ["dataset", "method"])
    if len(out):
        out["p_holm"] = holm(out.p_t.tolist())
    return out


def _published_contrast(dataset: str, method: str, score: str) -> dict[str, float]:
    printed = published().tables[score][dataset]
    (mean, std), (mle_mean, mle_std) = printed.get(method, (np.nan, np.nan)), printed["MLE"]
    n = published().initialisations
    errors = standard_errors_apart(mean, std or np.nan, n, mle_mean, mle_std or np.nan, n)
    return {"published": mean - mle_mean, "published_errors": errors}


def orderings(results: PaperResults, score: str = "test_bce") -> pd.DataFrame:
    """Count under each `Conventions` how much of the paper's ordering appears; best first.

    clear: number of methods with a published difference from MLE of more than 2 standard errors.
    reproduced: how many of them differ in the same direction here, by the 95 % interval of our paired
    difference. reversed: how many differ in the other direction. rms: root mean square of ours - published
    over all cells.
    """
    rows = []
    for conventions in all_conventions():
        found = contrasts(results, conventions, score)
        if not len(found):
            continue
        clear = found[found.published_errors.abs() > CLEAR]
        low, high = (np.sign(clear[c]) for c in ("low", "high"))
        decided, side = low == high, np.sign(clear.published)
        cells = table(results, conventions, score)
        rows.append(
            {
                **asdict(conventions),
                "clear": len(clear),
                "reproduced": int((decided & (low == side)).sum()),
                "reversed": int((decided & (low == -side)).sum()),
                "rms": float(np.sqrt(((cells.ours_mean - cells.published_mean) ** 2).mean())),
            }
        )
    out = pd.DataFrame(rows)
    return out.sort_values(["reproduced", "rms"], ascending=[False, True], ignore_index=True)


def regularizer_effect(
    results: PaperResults, gradient: str, likelihood: str, network: str, score: str = "test_bce"
) -> pd.DataFrame:
    """Isolate the regulariser: `contrasts` with the same likelihood, so the same step size, for MLE."""
    return contrasts(results, Conventions(gradient, likelihood, likelihood, network), score)


def scale_effect(results: PaperResults, network: str, score: str = "test_bce") -> pd.DataFrame:
    """Isolate the scale of the likelihood: MLE with the mean minus MLE with the sum, by dataset."""
    rows = {}
    for dataset in results.datasets:
        summed, averaged = (
            results.find(dataset, "MLE", Conventions(mle_likelihood=scale)) for scale in LIKELIHOODS
        )
        if summed is None or averaged is None:
            continue
        if found := compare(results, averaged, summed, network, score):
            rows[dataset] = asdict(found)
    return frame(rows, ["dataset"])


def readings(results: PaperResults) -> dict[str, Conventions]:
    """Name the three choices of conventions that the report shows; those that were not run are left out."""
    printed = Conventions()
    found = {
        "Algorithm 1 as printed, likelihood summed": printed,
        "Algorithm 1 as printed, MLE averaged, the others summed": replace(printed, mle_likelihood="mean"),
        "chain rule, likelihood summed": replace(printed, gradient="chain-rule"),
    }
    first = results.datasets[0]
    return {
        name: c
        for name, c in found.items()
        if all(results.find(first, method, c) is not None for method in METHODS)
    }
