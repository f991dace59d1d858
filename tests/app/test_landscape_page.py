import numpy as np

import qhn_core as qhn
from qhn_core.jobs import Status

SMALL = {"n_hidden": "1", "epochs": "6", "n_seeds": "3", "shots": "20"}
CONFIG = qhn.RunConfig(n_hidden=1, epochs=6, n_seeds=3, shots=20)


def scan_of(config):
    """The plane through θ* of the best seed, by the package alone."""
    result = qhn.train(config)
    best = int(np.argmax(result.state.best_objective))
    return best, qhn.scan_landscape(config, qhn.LandscapeConfig(), result.best_angles[best])


def test_the_first_visit_trains_and_shows_the_landscape_of_the_best_seed(visit):
    page = visit("landscape", **SMALL)
    assert page.job.status == Status.DONE
    assert page.job.config == CONFIG
    best, scan = scan_of(CONFIG)
    data = page.view
    assert data["shape"] == [41, 41]
    assert data["n_qubits"] == 6
    np.testing.assert_array_equal(page.numbers("axis"), scan.axis)
    for name in ("expected_log_likelihood", "entropy"):
        np.testing.assert_array_equal(page.numbers(name), getattr(scan, name).ravel(), err_msg=name)
    np.testing.assert_array_equal(page.numbers("correlators"), scan.correlators[..., 1:].ravel())
    assert f"seed {best}" in data["caption"]
    assert CONFIG.in_words() in data["caption"]


def test_the_numbers_that_the_browser_gets_make_all_three_objectives(visit):
    """By the formulas of the design, from the decoded numbers alone."""
    page = visit("landscape", **SMALL)
    ell, entropy = page.numbers("expected_log_likelihood"), page.numbers("entropy")
    spectrum = page.numbers("correlators").reshape(-1, 6)
    w = np.arange(1, 7)
    for strength, h in ((1.0, 1.5), (40.0, 0.5)):
        e = np.exp(-1 / h**2)
        mmd = spectrum @ (((1 + e) / 2) ** (6 - w) * ((1 - e) / 2) ** w)
        made = {
            "mle": ell,
            "elbo": ell - strength * (6 * np.log(2) - entropy),
            "selbo": ell - strength * mmd,
        }
        scan = scan_of(CONFIG)[1]
        for objective, values in made.items():
            expected = scan.values(objective, regularization=strength, bandwidth=h).ravel()
            np.testing.assert_allclose(values, expected, rtol=1e-10, err_msg=objective)


def test_a_strength_moved_in_the_sidebar_reaches_the_view_without_another_scan(visit):
    page = visit("landscape", **SMALL)
    before, job = page.view, page.job
    after = page.set(regularization=25.0, bandwidth=0.5).view
    assert (before["regularization"], before["bandwidth"]) == (1.0, 1.5)
    assert (after["regularization"], after["bandwidth"]) == (25.0, 0.5)
    assert page.job is job
    grids = ("axis", "expected_log_likelihood", "entropy", "correlators")
    assert [before[name] for name in grids] == [after[name] for name in grids]


def test_the_view_tells_which_objective_the_run_was_trained_with(visit):
    assert visit("landscape", **SMALL, objective="elbo").view["objective"] == "elbo"


def test_the_landscape_of_a_run_that_is_on_show_elsewhere(visit):
    train = visit("train", **SMALL)
    page = visit("landscape", **SMALL, run=train.job.id)
    assert page.job is train.job
    assert train.job.config.in_words() in page.view["caption"]
