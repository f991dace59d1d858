"""The findings in sentences, each made of the results alone."""

from functools import cache

import numpy as np
import pandas as pd

from qhn_core.circuits.divergences import kl_to_uniform
from qhn_core.circuits.simulators import get_simulator
from qhn_core.objectives.gradients import shifted_angles
from qhn_core.paper.conventions import GRADIENTS, METHODS, NETWORKS, Conventions
from qhn_core.paper.published import published
from qhn_core.paper.results import PaperResults
from qhn_core.paper.tables import frame, orderings, readings, regularizer_effect, scale_effect

ZERO_GRADIENT_COMMAND = """python -c "
import numpy as np, qhn_core as qhn
from qhn_core.circuits.divergences import kl_to_uniform
from qhn_core.objectives.gradients import shifted_angles
angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (5, 1, 2, 14))
q = qhn.get_simulator('cirq').probabilities(shifted_angles(angles).reshape(-1, 1, 2, 14))
plus, minus = 1000 * kl_to_uniform(q).reshape(-1, 2).T
print(abs(plus - minus).max() / 2)" """
LAST_QUARTER = 0.75


@cache
def regularizer_gradient() -> float:
    """Return the largest |gradient of 1000 KL| of 5 random circuits by Algorithm 1 as printed, L = 1.

    In nats per radian, from Cirq's simulator at all shifted angles with exact expectations. It is the
    number that `ZERO_GRADIENT_COMMAND` prints.
    """
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (5, 1, 2, 14))
    q = get_simulator("cirq").probabilities(shifted_angles(angles).reshape(-1, 1, 2, 14))
    plus, minus = 1000 * kl_to_uniform(q).reshape(-1, 2).T
    return float(np.abs(plus - minus).max() / 2)


def interval(row: "pd.Series[float]") -> str:
    """Write a paired difference as text: mean, 95 % interval and effect size."""
    return f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}], d = {row.effect:+.2f}"


def ordering_sentences(results: PaperResults, score: str = "test_bce") -> list[str]:
    """Say under which conventions the published ordering appears."""
    table = orderings(results, score)
    if not len(table) or not table.clear.max():
        return []
    clear = int(table.clear.max())
    full = table[(table.reproduced == table.clear) & (table.clear == clear)]
    first = (
        f"The published Table II puts {clear} methods, over all datasets, clearly apart from MLE, by more "
        "than two standard errors."
    )
    if len(full):
        names = "; ".join(_readings(full))
        second = (
            f"All {clear} differences appear here, with 95 % intervals that exclude zero, under: {names}."
        )
    else:
        best = next(table.itertuples())
        second = (
            f"Under no convention do all {clear} appear here, with 95 % intervals that exclude zero; the "
            f"largest number, {best.reproduced}, under: {_reading(best)}."
        )
    same = table[(table.likelihood == table.mle_likelihood) & (table.gradient == "algorithm-1")]
    third = (
        "With Algorithm 1 as printed and one scale of the likelihood for all methods, "
        f"{same.reproduced.min()} to {same.reproduced.max()} of them appear, and {same.reversed.min()} to "
        f"{same.reversed.max()} have the opposite sign."
    )
    return [first, second, *([third] if len(same) else [])]


def _readings(rows: pd.DataFrame) -> list[str]:
    """Write conventions in words; a choice of likelihoods with all gradients and networks is one line."""
    out = []
    for (likelihood, of_mle), some in rows.groupby(["likelihood", "mle_likelihood"], sort=False):
        if len(some) == len(GRADIENTS) * len(NETWORKS):
            scale = f"{of_mle} for MLE, {likelihood} for the others"
            out.append(f"likelihood: {scale}, by either gradient rule and with every network")
        else:
            out += [_reading(row) for row in some.itertuples()]
    return out


def _reading(row: object) -> str:
    return Conventions(
        *(getattr(row, f) for f in ("gradient", "likelihood", "mle_likelihood", "network"))
    ).in_words()


def scale_sentences(results: PaperResults, network: str = "last epoch") -> list[str]:
    """Say how MLE changes when the likelihood is averaged instead of summed."""
    printed = published().tables["test_bce"]
    out = []
    for dataset, row in scale_effect(results, network).iterrows():
        gap = printed[str(dataset)]["MLE"][0] - printed[str(dataset)]["SELBO λ=0.01"][0]
        out.append(
            f"{dataset}: MLE with the averaged likelihood minus MLE with the summed one: {interval(row)} "
            f"in test BCE (published MLE minus published SELBO λ=0.01: {gap:+.3f})."
        )
    return out


def regularizer_sentences(results: PaperResults, network: str = "most probable") -> list[str]:
    """Say what the regulariser does at the same step size: the likelihood summed for all methods."""
    out = []
    for gradient in ("algorithm-1", "chain-rule"):
        table = regularizer_effect(results, gradient, "sum", network)
        for dataset in results.datasets if len(table) else []:
            rows = table.loc[dataset]
            decided = rows[(np.sign(rows.low) == np.sign(rows.high)) & (rows.p_holm < 0.05)]
            better = ", ".join(f"{m} {r.difference:+.3f}" for m, r in decided[decided.high < 0].iterrows())
            worse = ", ".join(f"{m} {r.difference:+.3f}" for m, r in decided[decided.low > 0].iterrows())
            out.append(
                f"{dataset}, {gradient}, {network} network: better than MLE: {better or 'none'}; "
                f"worse: {worse or 'none'} (test BCE, Holm-adjusted p < 0.05)."
            )
    return out


def figure_sentences(results: PaperResults) -> list[str]:
    """Say how much of what Figures 4 and 5 show appears under each reading, per training point."""
    out = []
    for name, conventions in readings(results).items():
        found = curve_table(results, conventions)
        others = [m for m in METHODS if m not in ("MLE", "SELBO λ=1000")]
        above = larger = wider = 0
        for dataset in results.datasets:
            rows = found.loc[dataset]
            above += int((rows.objective[["SELBO λ=0.01", "SELBO λ=1"]] > rows.objective["MLE"]).sum())
            larger += int((rows.gradient[others] < rows.gradient["MLE"]).sum())
            wider += int((rows.spread[others] < rows.spread["MLE"]).sum())
        n = len(results.datasets)
        out.append(
            f"{name}: SELBO with λ = 0.01 and 1 ends above MLE in {above} of {2 * n} cases (Figure 4); in "
            f"the last quarter MLE has the larger mean gradient in {larger}, and the larger spread in "
            f"{wider}, of {n * len(others)} comparisons with ELBO and SELBO up to λ = 100 (Figure 5)."
        )
    return out


def curve_table(results: PaperResults, conventions: Conventions) -> pd.DataFrame:
    """Put Figures 4 and 5 into numbers, a row per (dataset, method).

    objective: mean over seeds at the last epoch, per training point, nats; gradient and spread: mean
    and standard deviation over seeds of |dL/dtheta| in the last quarter, per training point.
    """
    rows = {}
    for dataset in results.datasets:
        for method, stats in results.curves_per_point(dataset, conventions).items():
            late = stats[stats.epoch > LAST_QUARTER * stats.epoch.max()]
            rows[dataset, method] = {
                "objective": stats.objective_mean.iloc[-1],
                "expected log-likelihood": stats.expected_log_likelihood_mean.iloc[-1],
                "gradient": late.gradient_magnitude_mean.mean(),
                "spread": late.gradient_magnitude_std.mean(),
            }
    return frame(rows, ["dataset", "method"])
