import itertools
import math

import numpy as np
import pytest
from scipy import stats

from qhn_core.comparisons import holm, paired, standard_errors_apart


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


def test_wilcoxon_of_few_is_exact_by_counting_all_signs():
    a, b = samples(3, 9)
    d = a - b
    ranks = np.argsort(np.argsort(np.abs(d))) + 1
    total = sum(ranks)
    seen = ranks[d > 0].sum()
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s)
        for signs in itertools.product([0, 1], repeat=9)
    ]
    extreme = min(seen, total - seen)
    share = np.mean([min(s, total - s) <= extreme for s in sums])
    assert paired(a, b).p_wilcoxon == pytest.approx(share)


def test_wilcoxon_of_many_and_with_ties_is_scipys():
    a, b = samples(4, 100)
    assert paired(a, b).p_wilcoxon == pytest.approx(stats.wilcoxon(a, b, method="asymptotic").pvalue)
    ties = np.array([1.0, 1.0, 0.0, 2.0, -1.0, 3.0] * 4)
    found = paired(ties, np.zeros(24))
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(ties, method="asymptotic").pvalue)


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
