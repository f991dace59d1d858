import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.landscape.roughness import MEASURES, roughness
from qhn_core.landscape.smoothness import SURFACE, measure_planes, paired_differences, short_table

CONFIG = RunConfig(n_hidden=1, epochs=4, n_seeds=3, likelihood="mean")
PLANE = LandscapeConfig(plane="random-ry", resolution=11, seed=7)


@pytest.fixture(scope="module")
def measured():
    return measure_planes(CONFIG, PLANE, strengths=(1.0, 30.0), bandwidths=(0.8,))


def test_every_surface_is_measured_on_the_plane_of_its_seed(measured):
    assert len(measured) == 3 * (1 + 2 + 2)
    best = train(CONFIG).best_angles
    scan = scan_landscape(CONFIG, PLANE.model_copy(update={"seed": 9}), best[2])
    own = CONFIG.model_copy(update={"objective": "selbo", "regularization": 30.0, "bandwidth": 0.8})
    fresh = scan_landscape(own, PLANE.model_copy(update={"seed": 9}), best[2])
    assert scan.plane.directions.tobytes() == fresh.plane.directions.tobytes()
    row = measured.query("seed == 2 and objective == 'selbo' and regularization == 30").iloc[0]
    expected = roughness(fresh.values("selbo"), float(fresh.axis[1] - fresh.axis[0]))
    assert {name: row[name] for name in MEASURES} == pytest.approx(expected)


def test_the_default_bandwidths_are_a_narrow_one_and_the_configs():
    found = measure_planes(RunConfig(n_hidden=1, epochs=1, n_seeds=1), PLANE)
    assert sorted(found.bandwidth.dropna().unique()) == [1.0, 1.5]
    assert sorted(found.regularization.dropna().unique()) == [0.01, 1, 10, 100]


def test_progress_counts_planes():
    seen = []
    measure_planes(CONFIG, PLANE, (1.0,), (1.0,), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def made_up(differences, base=None):
    """Measurements whose surfaces differ from MLE's by `differences`, one name a surface's λ."""
    rng = np.random.default_rng(0)
    count = len(next(iter(differences.values())))
    base = rng.uniform(1, 2, count) if base is None else base
    rows = []
    for strength, shift in {np.nan: np.zeros(count), **differences}.items():
        objective = "mle" if np.isnan(strength) else "elbo"
        for seed in rng.permutation(count):  # the order of rows is no pairing
            values = dict.fromkeys(MEASURES, base[seed] + shift[seed])
            rows.append(
                {"seed": seed, **dict(zip(SURFACE, (objective, strength, np.nan), strict=True)), **values}
            )
    return pd.DataFrame(rows)


def test_differences_are_paired_and_tested_as_in_scipy():
    rng = np.random.default_rng(1)
    shifts = {1.0: rng.normal(-0.02, 0.05, 25), 9.0: rng.normal(0.3, 0.05, 25)}
    table = paired_differences(made_up(shifts))
    assert len(table) == 2 * len(MEASURES)
    for strength, shift in shifts.items():
        row = table[table.regularization == strength].iloc[0]
        interval = stats.ttest_1samp(shift, 0).confidence_interval(0.95)
        assert (row.difference, row.low, row.high) == pytest.approx((shift.mean(), *interval))
        assert row.p == pytest.approx(stats.wilcoxon(shift).pvalue)
        assert (row.smaller, row.larger) == ((shift < 0).mean(), (shift > 0).mean())
        assert row["mean"] - row.mle == pytest.approx(shift.mean())


def test_holm_by_its_definition():
    rng = np.random.default_rng(2)
    table = paired_differences(made_up({k: rng.normal(0.01 * k, 0.05, 20) for k in (1.0, 2.0, 3.0)}))
    p = np.sort(table.p.to_numpy())
    adjusted = [max(min(1, (len(p) - j) * p[j]) for j in range(i + 1)) for i in range(len(p))]
    np.testing.assert_allclose(np.sort(table.p_holm), adjusted)
    assert (table.p_holm >= table.p).all()


def test_no_difference_at_all_is_no_evidence():
    row = paired_differences(made_up({1.0: np.zeros(5)})).iloc[0]
    assert (row.difference, row.low, row.high, row.smaller, row.larger, row.p) == (0, 0, 0, 0, 0, 1)


def test_one_plane_is_no_comparison(measured):
    with pytest.raises(ValueError, match="1 plane: a comparison needs at least 2"):
        paired_differences(measured[measured.seed == 0])


def test_the_short_table_says_percent_and_marks_what_is_beyond_chance():
    shifts = {1.0: np.linspace(-0.011, 0.01, 30), 9.0: np.full(30, 0.2) + np.linspace(0, 0.01, 30)}
    table = short_table(paired_differences(made_up(shifts, base=np.ones(30))))
    assert list(table.index) == ["MLE", "ELBO λ=1", "ELBO λ=9"]
    assert set(table.loc["MLE"]) == {"1  "}
    assert set(table.loc["ELBO λ=1"]) == {"-0.1 % "}
    assert set(table.loc["ELBO λ=9"]) == {"+20.5 %*"}
