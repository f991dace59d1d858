import threading
from itertools import pairwise

import numpy as np
import pytest

from qhn_core import LandscapeConfig, scan_landscape
from qhn_core.landscape import scanner
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.landscape.roughness import roughness
from qhn_core.landscape.scanner import coarse_to_fine, roughness_table, scan_in_stages
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

from .small_scans import LAYERS, PLANE, configured, scanned


def test_the_axis_is_distance_from_theta_star_in_radians():
    scan = scanned(LandscapeConfig(resolution=21, radius=3.0))
    np.testing.assert_allclose(scan.axis, np.linspace(-3, 3, 21), atol=1e-14)
    assert scanned(LandscapeConfig(resolution=11)).axis[-1] == pytest.approx(2 * np.pi)


@pytest.mark.parametrize(
    "angles", [np.zeros((1, 2, 14)), np.zeros((1, 1, 2, 6)), np.full((1, 2, 6), np.nan)]
)
def test_bad_angles_are_refused(angles):
    with pytest.raises(ValueError, match=r"they must be finite numbers of shape \(1, 2, 6\)"):
        scan_landscape(configured(), PLANE, angles)


def test_progress_counts_grid_points_up_to_the_last():
    seen = []
    config = configured()
    scan_landscape(
        config, PLANE, np.zeros(config.angle_shape), lambda done, total: seen.append((done, total))
    )
    assert [total for _, total in seen] == [121] * len(seen)
    done = [d for d, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == 121


def test_an_exception_in_progress_stops_the_scan(monkeypatch):
    points = slowed(monkeypatch)

    def stop(done, total):
        raise KeyboardInterrupt

    config = configured()
    with pytest.raises(KeyboardInterrupt):
        scan_landscape(config, LandscapeConfig(resolution=101), np.zeros(config.angle_shape), stop)
    assert 0 < sum(points) < 101 * 101 / 2  # nothing was queued


def slowed(monkeypatch):
    """An evaluator that takes 50 ms a call; the list of how many points each call had."""
    points = []
    original = scanner.point_evaluator

    def slowed_evaluator(config):
        evaluate = original(config)

        def slow(angles):
            points.append(len(angles))
            threading.Event().wait(0.05)
            return evaluate(angles)

        return slow

    monkeypatch.setattr(scanner, "point_evaluator", slowed_evaluator)
    return points


def same_bits(one, other):
    for name in ("axis", "done", "angles", *PointTerms.FIELDS):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert one.plane.directions.tobytes() == other.plane.directions.tobytes()
    assert (one.plane.labels, one.plane.points) == (other.plane.labels, other.plane.points)
    assert (one.config, one.landscape_config) == (other.config, other.landscape_config)


def test_stages_only_add_points_and_end_in_the_whole_scan(monkeypatch):
    config, plane = configured(n_layers=2), LandscapeConfig(resolution=41)
    angles = oracles.random_angles(0, *config.angle_shape)
    whole = scan_landscape(config, plane, angles)
    slowed(monkeypatch)
    stages = list(scan_in_stages(config, plane, angles))
    assert len(stages) > 3
    for earlier, later in pairwise(stages):
        assert (later.done >= earlier.done).all()
        assert later.done.sum() > earlier.done.sum()
        for name in PointTerms.FIELDS:
            np.testing.assert_array_equal(
                getattr(later, name)[earlier.done], getattr(whole, name)[earlier.done]
            )
            assert np.isnan(getattr(earlier, name)[~earlier.done]).all()
    assert [s.complete for s in stages] == [False] * (len(stages) - 1) + [True]
    same_bits(stages[-1], whole)


@LAYERS
@pytest.mark.parametrize("kind", ["random", "optima"])
def test_a_resumed_scan_is_the_uninterrupted_one_bit_for_bit(monkeypatch, n_layers, kind):
    small_steps = {"epochs": 5, "shots": None, "learning_rate": 0.01}  # each objective's optimum is its own
    config = configured(n_layers=n_layers, **small_steps)
    plane = LandscapeConfig(resolution=31, plane=kind)
    angles = oracles.random_angles(0, *config.angle_shape)
    whole = scan_landscape(config, plane, angles)
    points = slowed(monkeypatch)
    part = next(scan_in_stages(config, plane, angles))
    part = next(scan_in_stages(config, plane, angles, start=part))
    assert part.done.sum() == sum(points) < 31 * 31  # no point twice
    monkeypatch.undo()
    same_bits(list(scan_in_stages(config, plane, angles, start=part))[-1], whole)
    assert len(list(scan_in_stages(config, plane, angles, start=whole))) == 1


def test_a_scan_goes_on_only_from_its_own_start():
    config = configured()
    start = scanned()
    for other in (
        (configured(likelihood="mean"), PLANE, start.angles, 0),
        (config, LandscapeConfig(resolution=13, radius=2.0, seed=4), start.angles, 0),
        (config, PLANE, start.angles + 1e-9, 0),
        (config, PLANE, start.angles, 1),
    ):
        with pytest.raises(ValueError, match="cannot continue it"):
            next(scan_in_stages(*other, start=start))


def test_the_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    one = scanned(LandscapeConfig(resolution=31), n_layers=2)
    monkeypatch.setattr(scanner, "threads_for", lambda config: 7)
    same_bits(one, scanned(LandscapeConfig(resolution=31), n_layers=2))


@pytest.mark.parametrize("n", [11, 12, 41, 101])
def test_coarse_points_come_first_and_are_spread_over_the_plane(n):
    order = coarse_to_fine(n)
    assert sorted(order) == list(range(n * n))
    for count in (9, 9 + 40, 9 + 40 + 200):
        i, j = np.unravel_index(order[:count], (n, n))
        reach = n / np.sqrt(count)  # how far apart so many points would be, at best
        y, x = np.mgrid[:n, :n]
        gaps = np.abs(y[..., None] - i).clip(min=np.abs(x[..., None] - j)).min(axis=-1)
        assert gaps.max() <= 1.5 * reach
    assert order[4] == (n // 2) * n + n // 2  # theta* is among the first


def test_a_scan_that_is_not_iterated_any_more_stops_at_once(monkeypatch):
    points = slowed(monkeypatch)
    config = configured()
    scan = scan_in_stages(config, LandscapeConfig(resolution=101), np.zeros(config.angle_shape))
    next(scan)
    so_far = sum(points)
    scan.close()
    assert sum(points) == so_far < 101 * 101 / 2
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool") and t.is_alive()]


def test_a_partial_scan_is_shown_with_its_nearest_points(monkeypatch):
    slowed(monkeypatch)
    config = configured(n_layers=2)
    part = next(scan_in_stages(config, LandscapeConfig(resolution=41), np.zeros(config.angle_shape)))
    shown = part.filled()
    known = np.argwhere(part.done)
    for i, j in [(0, 0), (40, 3), (17, 22)]:
        distance = np.square(known - [i, j]).sum(axis=1)
        nearest = known[distance == distance.min()]
        assert shown.entropy[i, j] in part.entropy[tuple(nearest.T)]
    np.testing.assert_array_equal(shown.correlators[part.done], part.correlators[part.done])
    assert np.isfinite(shown.values("selbo")).all()
    np.testing.assert_array_equal(shown.done, part.done)


def test_roughness_at_the_largest_lambda_is_that_of_the_regulariser():
    """At λ = 1e308 the objective overflows, and in its shape the log-likelihood counts for nothing."""
    scan = scanned(n_layers=2)
    spacing = scan.axis[1] - scan.axis[0]
    table = roughness_table(scan, Objective("mle", 1e308, 1.2))
    e = np.exp(-1 / 1.2**2)
    weights = [((1 + e) / 2) ** (6 - w) * ((1 - e) / 2) ** w for w in range(1, 7)]
    expected = {
        "MLE": scan.expected_log_likelihood,
        "ELBO": scan.entropy,
        "SELBO": -scan.correlators[..., 1:] @ weights,
    }
    assert np.isinf(scan.values("elbo", 1e308)).any()
    for name, surface in expected.items():
        found, measures = table[name].to_dict(), roughness(surface, spacing)
        assert found == pytest.approx(measures, rel=1e-9)
