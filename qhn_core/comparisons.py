"""Comparisons over seeds: paired, with intervals and effect sizes, and against printed numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qhn_core.bits import Float


@dataclass(frozen=True)
class Paired:
    """What changes from b to a, seed by seed: the differences a - b."""

    n: int
    difference: float
    """Mean of a - b."""
    low: float
    high: float
    """The 95 % confidence interval of the mean, by Student's t."""
    effect: float
    """Cohen's d of paired samples: mean over standard deviation (ddof = 1); NaN where all are equal."""
    share_lower: float
    """Share of the seeds with a < b; a tie counts a half."""
    p_t: float
    """Paired t test, two-sided; 1 where a and b are the same."""
    p_wilcoxon: float
    """Wilcoxon's signed ranks, two-sided, ties dropped; 1 where a and b are the same."""


def paired(a: Float, b: Float) -> Paired:
    """Compare two methods (n,), (n,) that started from the same angles.

    Raises ValueError where the lengths differ, a number is not finite, or n < 2.

    >>> paired(np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0, 4.5])).difference
    -0.8333333333333334
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"a {a.shape} and b {b.shape}: needed are two samples of one length, 2 or more")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a and b must hold finite numbers only")
    d = a - b
    mean, spread = float(d.mean()), float(d.std(ddof=1))
    share = float((d < 0).mean() + (d == 0).mean() / 2)
    if not spread > 1e-12 * np.abs(d).max():  # all differences alike: nothing to test
        p = 1.0 if mean == 0 else 0.0
        effect = float("nan") if mean == 0 else float(np.copysign(np.inf, mean))
        return Paired(len(d), mean, mean, mean, effect, share, p, _wilcoxon(d))
    from scipy import stats  # half a second to import; the other commands need none of it

    half = float(stats.t.ppf(0.975, len(d) - 1)) * spread / np.sqrt(len(d))
    p_t = float(stats.ttest_rel(a, b).pvalue)
    return Paired(len(d), mean, mean - half, mean + half, mean / spread, share, p_t, _wilcoxon(d))


def _wilcoxon(differences: Float) -> float:
    """Exact for up to 50 differences that are all of different size, else by the normal approximation."""
    from scipy import stats

    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return 1.0
    exact = len(sizes) == len(np.unique(sizes)) == len(differences) <= 50
    method = "exact" if exact else "asymptotic"
    return float(stats.wilcoxon(differences, method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for that many tests (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[i])
        adjusted[i] = min(1.0, running)
    return adjusted.tolist()


def standard_errors_apart(
    mean: float, std: float, n: int, other_mean: float, other_std: float, other_n: int
) -> float:
    """(mean - other_mean) in standard errors of that difference, of two independent samples (Welch).

    NaN where there is no spread to measure it by.

    >>> round(standard_errors_apart(0.2, 0.3, 100, 0.1, 0.4, 100), 3)
    2.0
    """
    error = float(np.sqrt(std**2 / n + other_std**2 / other_n))
    return (mean - other_mean) / error if error > 0 else float("nan")
