import numpy as np
import pytest

from qhn_core.training.schedules import decay_on_plateau


def test_table_i_halves_the_rate_after_3_epochs_without_improvement():
    gains = [True, False, False, True, False, False, False, False, False, False]
    rates, rate, stale = [], np.ones(1), np.zeros(1, dtype=int)
    for gain in gains:
        rate, stale = decay_on_plateau(rate, stale, np.array([gain]), patience=3, decay_factor=0.5)
        rates.append(rate[0])
    assert rates == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("patience", "factor"), [(1, 0.5), (2, 0.1), (5, 0.9)])
def test_a_long_plateau_decays_once_every_patience_epochs(patience, factor):
    rate, stale = np.array([2.0]), np.array([0])
    for epoch in range(1, 21):
        rate, stale = decay_on_plateau(rate, stale, np.array([False]), patience, factor)
        assert rate[0] == pytest.approx(2 * factor ** (epoch // patience))


def test_seeds_decay_one_by_one():
    rate, stale = decay_on_plateau(
        np.array([1.0, 1.0, 0.5]), np.array([2, 2, 0]), np.array([False, True, False]), 3, 0.5
    )
    assert rate.tolist() == [0.5, 1.0, 0.5]
    assert stale.tolist() == [0, 0, 1]
