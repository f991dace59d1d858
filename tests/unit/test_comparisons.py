import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qhn_core.comparisons import MOST_EXACT, holm, paired, signed_rank_p, standard_errors_apart
from qhn_core.landscape.roughness import MEASURES
from qhn_core.landscape.smoothness import paired_differences


def samples(seed, n):
    rng = np.random.default_rng(seed)
    b = rng.normal(0.3, 0.1, n)
    return b + rng.normal(-0.05, 0.1, n), b


@pytest.mark.parametrize("n", [2, 9, 100])
def test_paired_is_the_t_test_with_its_interval(n):
    a, b = samples(n, n)
    found, wanted = paired(a, b), stats.ttest_rel(a, b)
    low, high = wanted.confidence_interval(0.95)
    assert found.n == n
    assert (found.difference, found.low, found.high) == pytest.approx(((a - b).mean(), low, high))
    assert found.p_t == pytest.approx(wanted.pvalue)
    assert found.effect == pytest.approx(wanted.statistic / math.sqrt(n))


def p_by_all_signs(d):
    """Two-sided p of signed ranks: every choice of signs of the differences that are not zero."""
    ranks = stats.rankdata(np.abs(d))  # zeros are ranked, and then count for neither side
    own = ranks[d != 0]
    seen = abs(ranks[d > 0].sum() - own.sum() / 2)
    sums = [
        sum(r for r, s in zip(own, s, strict=True) if s) for s in itertools.product([0, 1], repeat=len(own))
    ]
    return np.mean([abs(total - own.sum() / 2) >= seen - 1e-9 for total in sums])


@pytest.mark.parametrize("n", [1, 2, 5, 9, 12])
@pytest.mark.parametrize("values", ["continuous", "ties", "ties and zeros"])
def test_signed_ranks_of_few_by_counting_all_signs(n, values):
    rng = np.random.default_rng(n)
    for _ in range(5):
        d = {
            "continuous": rng.normal(0.5, 1, n),
            "ties": rng.choice([-2.0, -1.0, 1.0, 2.0, 3.0], n),
            "ties and zeros": rng.integers(-2, 4, n).astype(float),
        }[values]
        assert signed_rank_p(d) == pytest.approx(p_by_all_signs(d))


@pytest.mark.parametrize("n", [13, 50])
def test_signed_ranks_without_ties_are_scipys_exact_test(n):
    d = np.random.default_rng(n).normal(0.2, 1, n)
    assert signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


def test_signed_ranks_with_ties_and_zeros_are_scipys_permutations_by_pratts_ranks():
    d = np.array([1.0, 1.0, 0.0, 2.0, -1.0, 3.0, 0.0, 4.0, -2.0, 5.0, 5.0])
    every = stats.PermutationMethod(n_resamples=np.inf)
    assert signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, zero_method="pratt", method=every).pvalue)


@pytest.mark.parametrize("n", [MOST_EXACT, MOST_EXACT + 1])
def test_signed_ranks_of_many_are_scipys_normal_approximation(n):
    d = np.random.default_rng(4).integers(-9, 11, n).astype(float)
    wanted = stats.wilcoxon(d, zero_method="pratt", method="asymptotic").pvalue
    assert 1e-4 < wanted < 0.2
    assert signed_rank_p(d) == pytest.approx(wanted, rel=0.02 if n == MOST_EXACT else 1e-9)


def test_lower_differences_are_never_more_evidence_of_high_ones():
    """Pratt's example (JASA 54, 655, 1959), which fails where zeros are dropped before ranking."""
    values = np.array([0, 2, 3, 4, 6, 7, 8, 9, 11, 14, 15, 17, -18.0])
    dropped = [stats.wilcoxon(v[v != 0], method="auto").pvalue for v in (values, values - 1)]
    assert dropped[0] > dropped[1]
    found = [signed_rank_p(values - shift) for shift in (0, 1, 2, 3, 4, 5)]
    assert found == sorted(found)


def test_one_test_serves_seeds_and_planes():
    """The same numbers, with ties and a zero, through both users gave two p values once."""
    a, b = samples(4, 9)
    a[0], a[1:4] = b[0], b[1:4] + 0.0625
    rows = [
        {
            "seed": i,
            "objective": name,
            "regularization": s,
            "bandwidth": np.nan,
            **dict.fromkeys(MEASURES, v),
        }
        for name, s, values in (("mle", np.nan, b), ("elbo", 1.0, a))
        for i, v in enumerate(values)
    ]
    table = paired_differences(pd.DataFrame(rows))
    assert set(table.p) == {paired(a, b).p_wilcoxon}
    assert table.p_holm.tolist() == holm(table.p.tolist())


def test_the_sign_is_first_minus_second_and_ties_count_half():
    found = paired(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 3.5, 3.0, 3.0]))
    assert found.difference == pytest.approx(-0.375)
    assert found.share_lower == 0.625


def test_samples_that_are_the_same_differ_by_nothing():
    a = np.array([0.1, 0.2, 0.3])
    found = paired(a, a)
    assert (found.difference, found.low, found.high, found.p_t, found.p_wilcoxon) == (0, 0, 0, 1, 1)
    assert math.isnan(found.effect)


def test_a_constant_shift_is_certain():
    found = paired(np.arange(8) + 0.5, np.arange(8))
    assert (found.low, found.high, found.effect, found.p_t) == (0.5, 0.5, math.inf, 0.0)


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ([1.0], [2.0], "2 or more"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "one length"),
        ([1.0, math.nan], [1.0, 2.0], "finite"),
    ],
)
def test_bad_samples_are_named(a, b, text):
    with pytest.raises(ValueError, match=text):
        paired(np.array(a), np.array(b))


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.uniform(0, 0.1, 7).tolist()
        for level in (0.01, 0.05, 0.2):
            rejected, left = set(), sorted(range(7), key=lambda i: p[i])
            for step, i in enumerate(left):
                if p[i] > level / (7 - step):
                    break
                rejected.add(i)
            assert {i for i, q in enumerate(holm(p)) if q <= level} == rejected
    assert holm([]) == []


def test_standard_errors_apart_is_welchs_statistic():
    found = standard_errors_apart(0.3, 0.1, 20, 0.25, 0.2, 100)
    wanted = stats.ttest_ind_from_stats(0.3, 0.1, 20, 0.25, 0.2, 100, equal_var=False).statistic
    assert found == pytest.approx(wanted)
    assert math.isnan(standard_errors_apart(0.3, math.nan, 1, 0.2, math.nan, 100))
    assert math.isnan(standard_errors_apart(0.3, 0.0, 5, 0.2, 0.0, 100))
