import threading
from itertools import pairwise

import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, objective_value, scan_landscape
from qhn_core.landscape import scanner
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.landscape.roughness import roughness
from qhn_core.landscape.scanner import coarse_to_fine, roughness_table, scan_in_stages
from qhn_core.model.scores import score_table
from qhn_core.objectives.terms import Objective
from tests.unit import oracles

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
LAYERS = pytest.mark.parametrize("n_layers", [1, 2])
PLANE = LandscapeConfig(resolution=11, radius=2.0, seed=4)


def configured(**options):
    return RunConfig(**{"n_hidden": 1, "regularization": 20, "bandwidth": 1.2, **options})


def scanned(plane=PLANE, **options):
    config = configured(**options)
    return scan_landscape(config, plane, oracles.random_angles(0, *config.angle_shape))


def point(scan, i, j):
    first, second = scan.plane.directions
    return scan.plane.center + scan.axis[j] * first + scan.axis[i] * second


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_grid_values_are_the_objective_on_cirq(objective, n_layers, likelihood):
    scan = scanned(n_layers=n_layers, likelihood=likelihood)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 1) / (
        300 if likelihood == "mean" else 1
    )
    values = scan.values(objective)
    assert values.shape == (11, 11)
    for i, j in np.random.default_rng(1).integers(11, size=(6, 2)):
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 1.2)
        assert values[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
def test_grid_values_at_14_qubits(objective):
    scan = scanned(n_hidden=3, n_layers=2, bandwidth=None)
    scores = score_table(scan.config).train_log_likelihood
    for i, j in [(0, 3), (10, 10)]:
        angles = point(scan, i, j)
        expected = oracles.objective(objective, oracles.probabilities(angles), scores, 20, 3.5)
        assert scan.values(objective)[i, j] == pytest.approx(expected, rel=1e-5)


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize(("strength", "h"), [(0.0, 0.4), (333.0, 2.9)])
def test_fact_2_a_scan_recombines_to_any_lambda_and_h(objective, n_layers, strength, h):
    recombined = scanned(n_layers=n_layers).values(objective, regularization=strength, bandwidth=h)
    fresh = scanned(n_layers=n_layers, regularization=strength, bandwidth=h, objective=objective)
    np.testing.assert_allclose(recombined, fresh.values(objective), rtol=1e-9)
    angles = point(fresh, 7, 2)
    exact = fresh.config.model_copy(update={"simulator": "cirq"})
    assert recombined[7, 2] == pytest.approx(objective_value(exact, angles[None])[0], rel=1e-9)


@OBJECTIVES
@LAYERS
def test_the_center_of_the_grid_is_theta_star(objective, n_layers):
    scan = scanned(n_layers=n_layers, objective=objective)
    exact = scan.config.model_copy(update={"simulator": "cirq"})
    expected = objective_value(exact, scan.plane.center[None])[0]
    assert scan.axis[5] == 0
    assert scan.values(objective)[5, 5] == pytest.approx(expected, rel=1e-9)


def test_the_axis_is_distance_from_theta_star_in_radians():
    scan = scanned(LandscapeConfig(resolution=21, radius=3.0))
    np.testing.assert_allclose(scan.axis, np.linspace(-3, 3, 21), atol=1e-14)
    assert scanned(LandscapeConfig(resolution=11)).axis[-1] == pytest.approx(2 * np.pi)


def test_terms_are_those_of_the_distribution():
    scan = scanned(n_layers=2)
    angles = point(scan, 1, 9)
    q = oracles.probabilities(angles)
    assert scan.entropy[1, 9] == pytest.approx(6 * np.log(2) - oracles.kl(q), rel=1e-5)
    assert scan.correlators.shape == (11, 11, 7)
    np.testing.assert_allclose(scan.correlators[..., 0], 1, atol=1e-6)


def test_shots_do_not_matter_since_a_landscape_is_exact():
    one, hundred = scanned(objective="mle", shots=1), scanned(shots=100)
    for objective in ("mle", "elbo", "selbo"):
        np.testing.assert_array_equal(one.values(objective), hundred.values(objective))


def test_values_default_to_the_configs_lambda_and_h():
    scan = scanned()
    np.testing.assert_array_equal(scan.values("selbo"), scan.values("selbo", 20, 1.2))
    assert (scan.values("selbo") != scan.values("selbo", 21, 1.2)).any()
    assert (scan.values("selbo") != scan.values("selbo", 20, 1.3)).any()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("map",), "objective"),
        (("elbo", -1.0), "regularization"),
        (("elbo", np.nan), "regularization"),
        (("selbo", 1.0, 0.0), "bandwidth"),
        (("selbo", 1.0, np.inf), "bandwidth"),
    ],
)
def test_bad_values_are_named(arguments, field):
    with pytest.raises(ValueError, match=field):
        scanned().values(*arguments)


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


# --- coarse to fine, resumed ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_the_test_set_has_its_own_expected_log_likelihood(likelihood):
    scan = scanned(n_layers=2, likelihood=likelihood)
    data = score_table(scan.config).dataset
    scores = oracles.all_log_likelihoods(data.x_test, data.y_test, 1)
    expected = oracles.probabilities(point(scan, 3, 8)) @ scores / (200 if likelihood == "mean" else 1)
    assert scan.expected_test_log_likelihood[3, 8] == pytest.approx(expected, rel=1e-9)


@LAYERS
def test_grid_values_are_those_of_cirq_when_asked_for(n_layers):
    """Two ways to the same numbers, one of them through Cirq's simulator."""
    for name in PointTerms.FIELDS:
        fast, slow = (getattr(scanned(n_layers=n_layers, simulator=s), name) for s in ("auto", "cirq"))
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("strength", [0.0, 0.3, 20.0, 777.0])
def test_a_form_is_the_surface_times_a_power_of_two(strength):
    scan = scanned(n_layers=2)
    for objective in Objective("mle", strength, 1.2).of_each_kind():
        ratio = scan.form(objective) / scan.exact(objective)
        mantissa, exponent = np.frexp(ratio.ravel()[0])
        assert (ratio == ratio.ravel()[0]).all()
        assert mantissa == 0.5
        assert exponent <= 1


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
