"""Each optimiser against an oracle from outside: scikit-learn, scipy, and sums over all 2**n outcomes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

from qhn_core import get_simulator, objective_gradient, train
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.model.scores import score_table
from qhn_core.objectives.estimates import MonteCarlo, estimator_for
from qhn_core.storage.run_record import pack_state, state_layout, unpack_state
from qhn_core.training.loop import advance, initial_state
from qhn_core.training.optimizers import OPTIMIZERS, ascend, circuits_per_epoch
from tests.unit import oracles
from tests.unit.training_runs import RUNS, assert_same_rows, assert_same_state, small, whole

NEW_RUNS = [name for name, options in RUNS.items() if options.keys() & {"optimizer", "plateau"}]


def scores_of(config):
    data = score_table(config).dataset
    return oracles.all_log_likelihoods(data.x_train, data.y_train, config.n_hidden)


def step_of(config, angles):
    """One step at angles (S, L, 2, n), with the learning rate 1."""
    start = replace(initial_state(config), angles=np.asarray(angles))
    return OPTIMIZERS[config.optimizer](config, estimator_for(config, start.seeds), start, 1)


# --- gradient ascent ---------------------------------------------------------------------------------


def test_a_step_goes_up_the_gradient_by_each_seeds_rate():
    angles, gradient = np.ones((2, 1, 2, 3)), np.arange(12.0).reshape(2, 1, 2, 3)
    stepped = ascend(angles, gradient, np.array([0.1, 2.0]))
    np.testing.assert_allclose(stepped[0], 1 + 0.1 * gradient[0])
    np.testing.assert_allclose(stepped[1], 1 + 2 * gradient[1])
    np.testing.assert_array_equal(angles, 1)


def test_a_step_that_overflows_says_so_with_infinity_not_a_warning():
    stepped = ascend(np.zeros((1, 1, 2, 1)), np.full((1, 1, 2, 1), 1e10), np.array([1e308]))
    assert np.isinf(stepped).all()


# --- Adam --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.0), (0.0, 0.9)])
@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_adam_is_that_of_scikit_learn(betas, likelihood):
    config = small(
        optimizer="adam",
        objective="elbo",
        shots=None,
        likelihood=likelihood,
        learning_rate=0.05,
        plateau="none",
        beta_1=betas[0],
        beta_2=betas[1],
    )
    state = initial_state(config)
    angles = [state.angles.copy()]
    reference = AdamOptimizer(angles, 0.05, *betas, epsilon=1e-8)
    for _ in range(config.epochs):
        reference.update_params(angles, [-objective_gradient(config, angles[0])])
        state, _ = advance(config, state, 1)
        np.testing.assert_allclose(state.angles, angles[0], rtol=0, atol=1e-5)


def test_adam_is_the_published_algorithm():
    """Algorithm 1 of arXiv:1412.6980, line by line, on the gradients that training reports."""
    config = small(optimizer="adam", shots=20, learning_rate=0.3, plateau="none", beta_1=0.8, beta_2=0.95)
    state = initial_state(config)
    theta, m, v = state.angles, 0, 0
    for t in range(1, config.epochs + 1):
        state, _ = advance(config, state, 1)
        g = -state.gradient
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g * g
        theta = theta - 0.3 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-8)
        np.testing.assert_allclose(state.angles, theta, rtol=1e-12)


# --- SPSA --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["mle", "selbo"])
def test_spsa_is_a_difference_along_a_direction_of_ones(objective):
    config = small(
        optimizer="spsa", objective=objective, shots=None, perturbation=0.2, regularization=50, n_layers=2
    )
    angles = oracles.random_angles(1, 4, 2, 2, 6)
    scores = scores_of(config)
    for theta, gradient in zip(angles, step_of(config, angles).gradient, strict=True):
        signs = np.sign(gradient)
        ends = [
            oracles.objective(objective, oracles.probabilities(theta + s * 0.2 * signs), scores, 50, 1.5)
            for s in (1, -1)
        ]
        np.testing.assert_allclose(gradient, (ends[0] - ends[1]) / 0.4 * signs, rtol=1e-6)


def test_spsa_estimates_the_gradient_without_bias_from_shots():
    config = small(optimizer="spsa", objective="mle", shots=50, perturbation=0.01, n_seeds=4000)
    theta = oracles.random_angles(2, 1, 2, 6)
    gradients = step_of(config, np.tile(theta, (4000, 1, 1, 1))).gradient
    error = gradients.std(axis=0, ddof=1) / np.sqrt(4000)
    expected = oracles.gradient("mle", theta, scores_of(config), 0, 1.5)
    np.testing.assert_array_less(abs(gradients.mean(axis=0) - expected), 4.5 * error)
    assert len(np.unique(np.sign(gradients[:, 0, 0]), axis=0)) > 32  # of 64 directions of the RY


def test_spsa_takes_other_directions_and_shots_each_epoch():
    config = small(optimizer="spsa", n_seeds=2, learning_rate=1e-300)
    states = [initial_state(config)]
    for _ in range(3):
        states.append(advance(config, states[-1], 1)[0])
    gradients = [state.gradient for state in states[1:]]
    assert len({np.abs(g[0]).max() for g in gradients}) == 3
    assert len({tuple(np.sign(g[0] * g[0, 0, 0, 0]).ravel()) for g in gradients}) == 3


# --- natural gradient --------------------------------------------------------------------------------


def fisher(config, theta):
    """The Fisher information (P, P) of q, by sums over all outcomes; the shift rule is exact for q."""
    simulator = get_simulator("cirq", 6, config.entangler)
    steps = np.pi / 2 * np.eye(theta.size).reshape(-1, *theta.shape)
    slopes = (simulator.probabilities(theta + steps) - simulator.probabilities(theta - steps)) / 2
    return slopes / simulator.probabilities(theta[None]) @ slopes.T


@pytest.mark.parametrize(
    ("n_layers", "entangler"), [(1, "brickwork"), (2, "brickwork"), (1, "none"), (2, "none"), (3, "none")]
)
@pytest.mark.parametrize("damping", [0.01, 1.0])
def test_the_natural_gradient_solves_with_the_fisher_information(n_layers, entangler, damping):
    config = small(
        optimizer="natural-gradient",
        objective="elbo",
        shots=None,
        n_layers=n_layers,
        damping=damping,
        entangler=entangler,
    )
    angles = oracles.random_angles(n_layers, 4, n_layers, 2, 6)
    moved = step_of(config, angles).angles - angles
    on_cirq = config.model_copy(update={"simulator": "cirq"})
    for theta, actual in zip(angles, moved, strict=True):
        gradient = objective_gradient(on_cirq, theta[None])[0].ravel()
        expected = np.linalg.solve(fisher(config, theta) + damping * np.eye(gradient.size), gradient)
        np.testing.assert_allclose(actual.ravel(), expected, atol=1e-5 * abs(expected).max())


def test_with_one_layer_the_fisher_information_is_one():
    theta = oracles.random_angles(3, 1, 2, 6)
    np.testing.assert_allclose(fisher(small(), theta), np.diag([1.0] * 6 + [0.0] * 6), atol=1e-9)


def test_the_natural_gradient_of_certain_bits_is_finite():
    angles = np.pi * np.random.default_rng(0).integers(3, size=(4, 2, 2, 6)).astype(float)
    config = small(optimizer="natural-gradient", n_layers=2, shots=20)
    assert np.isfinite(step_of(config, angles).angles).all()


# --- Rotosolve ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_layers", [1, 2])
def test_rotosolve_turns_each_angle_to_the_maximum(n_layers):
    config = small(optimizer="rotosolve", objective="mle", shots=None, n_layers=n_layers, n_seeds=1)
    theta = oracles.random_angles(n_layers, n_layers, 2, 6)
    found = step_of(config, theta[None]).angles[0]
    scores = scores_of(config)
    for place in np.ndindex(theta.shape):
        if place[:2] == (0, 1):  # an RZ on |0>
            continue

        def loss(angle, place=place):
            turned = theta.copy()
            turned[place] = angle
            return -oracles.probabilities(turned) @ scores

        grid = np.linspace(0, 2 * np.pi, 13)
        near = grid[np.argmin([loss(angle) for angle in grid])]
        best = minimize_scalar(loss, bounds=(near - 0.6, near + 0.6), options={"xatol": 1e-9})
        theta[place] = found[place]
        assert loss(found[place]) <= best.fun + 1e-7 * abs(best.fun)
    np.testing.assert_allclose(found, theta, rtol=1e-12)


def test_rotosolve_never_goes_down_where_the_objective_is_exact():
    history = train(small(optimizer="rotosolve", objective="mle", shots=None, n_layers=2)).history
    gains = history.groupby("seed").exact_objective.diff().dropna()
    assert (gains > -1e-9 * abs(history.exact_objective.max())).all()


# --- all -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "spsa", "rotosolve", "natural-gradient"])
def test_no_optimiser_is_judged_by_the_shots_that_it_chose_by(optimizer):
    config = small(
        optimizer=optimizer,
        objective="selbo",
        regularization=1000.0,
        likelihood="mean",
        learning_rate=0.1,
        shots=20,
        n_seeds=1000,
        epochs=4,
        plateau="none",
    )
    _, rows = whole(config)
    error = (rows["objective"] - rows["exact_objective"]).reshape(4, 1000).mean(axis=0)
    assert abs(error.mean()) < 4 * error.std(ddof=1) / np.sqrt(1000)


@pytest.mark.parametrize(("optimizer", "measured"), [("spsa", 3), ("rotosolve", 19)])
def test_no_two_circuits_of_an_epoch_share_their_shots(optimizer, measured, monkeypatch):
    config = small(optimizer=optimizer, n_seeds=2)
    start, keys, original = initial_state(config), [], MonteCarlo.of_circuits

    def spy(self, config, circuits, epoch):
        keys.extend((*key, epoch) for key in self.keys.tolist())
        return original(self, config, circuits, epoch)

    monkeypatch.setattr(MonteCarlo, "of_circuits", spy)
    advance(config, start, 2)
    assert len(keys) == len(set(keys)) == 2 * 2 * measured


@pytest.mark.parametrize("name", NEW_RUNS)
def test_a_checkpoint_holds_all_that_the_optimiser_remembers(name):
    config = small(**RUNS[name])
    state, rows = advance(config, initial_state(config), 4)
    restored = unpack_state(config, pack_state(config, state))
    assert_same_state(restored, state)
    end, last_rows = advance(config, restored, 9)
    assert_same_state(end, whole(config)[0])
    assert_same_rows({c: np.concatenate([rows[c], last_rows[c]]) for c in rows}, whole(config)[1])


def test_a_state_that_needs_no_more_is_stored_as_by_0_2_0():
    names = {"epoch", "seeds", "angles", "best_angles", "best_objective", "learning_rate"}
    names |= {"stale_epochs", "samples", "gradient", "diverged_at"}
    assert set(state_layout(small())) == names
    assert set(state_layout(small(plateau="previous-epoch"))) == names | {"objective_to_beat"}
    assert set(state_layout(small(optimizer="adam"))) == names | {"moments"}


@pytest.mark.parametrize("optimizer", ["gradient-ascent", "adam", "spsa", "rotosolve"])
def test_circuits_are_counted(optimizer, monkeypatch):
    """An epoch of L = 2 and 6 qubits: 24 angles, of which the 6 RZ of layer 1 do nothing."""
    config = small(optimizer=optimizer, n_layers=2, n_seeds=1)
    start, measured = initial_state(config), []
    for name in ("samples", "shifted_samples"):
        original = getattr(ClosedForm, name)

        def spy(*arguments, original=original):
            found = original(*arguments)
            measured.append(len(found))
            return found

        monkeypatch.setattr(ClosedForm, name, spy)
    advance(config, start, 1)
    counts = {"gradient-ascent": 49, "adam": 49, "spsa": 3, "rotosolve": 3 * 18 + 1}
    assert sum(measured) == counts[optimizer] == circuits_per_epoch(config)
