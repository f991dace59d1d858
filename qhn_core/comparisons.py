"""Comparisons over seeds or planes, paired, with intervals and effects; and with printed numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qhn_core.bits import Float

MOST_EXACT = 200
"""Up to so many pairs, p values of signed ranks are exact; this takes a few milliseconds."""


@dataclass(frozen=True)
class Paired:
    """The changes from b to a, pair by pair: the differences a - b."""

    n: int
    difference: float
    """Mean of a - b."""
    low: float
    high: float
    """The 95 % confidence interval of the mean, by Student's t."""
    effect: float
    """Cohen's d of paired samples: mean over standard deviation (ddof = 1); NaN where a equals b."""
    share_lower: float
    """Share of the pairs with a < b; a tie counts a half."""
    p_t: float
    """Paired t test, two-sided; 1 where a and b are the same."""
    p_wilcoxon: float
    """Signed ranks, two-sided, by `signed_rank_p`; 1 where a and b are the same."""


def paired(a: Float, b: Float) -> Paired:
    """Compare two samples (n,), (n,) pair by pair, such as two methods that started from the same angles.

    Raises ValueError if the lengths differ, a number is not finite, or n < 2.

    >>> paired(np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0, 4.5])).difference
    -0.8333333333333334
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"a {a.shape} and b {b.shape} must be two samples of one length, 2 or more")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a and b must hold finite numbers only")
    d = a - b
    mean, spread = float(d.mean()), float(d.std(ddof=1))
    share = float((d < 0).mean() + (d == 0).mean() / 2)
    p_wilcoxon = signed_rank_p(d)
    if not spread > 1e-12 * np.abs(d).max():  # all differences are alike: Student's t has no scale
        p = 1.0 if mean == 0 else 0.0
        effect = math.nan if mean == 0 else math.copysign(math.inf, mean)
        return Paired(len(d), mean, mean, mean, effect, share, p, p_wilcoxon)
    from scipy import stats  # takes half a second to import, and other commands never need it

    half = float(stats.t.ppf(0.975, len(d) - 1)) * spread / math.sqrt(len(d))
    p_t = float(stats.ttest_rel(a, b).pvalue)
    return Paired(len(d), mean, mean - half, mean + half, mean / spread, share, p_t, p_wilcoxon)


def signed_rank_p(differences: Float) -> float:
    """Test by signed ranks whether differences (n,) lie symmetrically about 0; two-sided p.

    The sizes are ranked, equal ones share their mean rank, and the ranks of the positive differences
    are summed. By the hypothesis each difference that is not zero has either sign with chance 1/2,
    whatever its size. So the distribution of that sum is known exactly, with ties and zeros too. It is
    computed for at most `MOST_EXACT` differences; beyond that it is taken as normal.

    A zero keeps its rank and counts for neither side (Pratt, JASA 54, 655, 1959). Wilcoxon dropped zeros
    before ranking. Pratt's example shows why that is wrong: with 0, 2, 3, 4, 6, 7, 8, 9, 11, 14, 15, 17
    and -18, lowering every difference by 1 then *raises* the evidence that they are positive (p falls from
    0.034 to 0.028). With the zero ranked, p rises, as it must:

    >>> values = np.array([0, 2, 3, 4, 6, 7, 8, 9, 11, 14, 15, 17, -18.0])
    >>> round(signed_rank_p(values), 4), round(signed_rank_p(values - 1), 4)
    (0.0239, 0.0281)
    """
    _, place, count = np.unique(np.abs(differences), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(count) - count + 1)[place]  # twice the mean ranks: whole numbers
    own = ranks[differences != 0]
    excess = abs(2 * int(ranks[differences > 0].sum()) - int(own.sum()))
    if not len(own):
        return 1.0
    if len(differences) > MOST_EXACT:
        return math.erfc(excess / math.sqrt(2 * float((own.astype(float) ** 2).sum())))
    chance = np.zeros(own.sum() + 1)  # of each sum of the ranks that are positive
    chance[0] = 1
    for rank in own:
        moved = chance / 2
        chance = moved.copy()
        chance[rank:] += moved[:-rank]
    return float(chance[np.abs(2 * np.arange(len(chance)) - own.sum()) >= excess].sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for as many tests by Holm's step-down method, in the order given.

    Source: Holm, Scandinavian Journal of Statistics 6, 65 (1979).

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
    """Return (mean - other_mean) in standard errors of that difference, of two independent samples (Welch).

    NaN without any spread.

    >>> round(standard_errors_apart(0.2, 0.3, 100, 0.1, 0.4, 100), 3)
    2.0
    """
    error = float(np.sqrt(std**2 / n + other_std**2 / other_n))
    return (mean - other_mean) / error if error > 0 else math.nan
