import numpy as np
import pytest
from scipy.special import logsumexp, rel_entr, softmax

from qhn_core import RunConfig, mmd_squared_to_uniform, objective_value
from qhn_core.model.scores import score_table
from qhn_core.objectives.estimates import sampled_terms
from qhn_core.objectives.terms import Objective, Terms, upper_bound
from tests.unit import oracles

OBJECTIVES = pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
LAYERS = pytest.mark.parametrize("n_layers", [1, 2, 3])


def exact(**options):
    return RunConfig(**{"n_hidden": 1, "shots": None, "simulator": "cirq", **options})


@pytest.fixture(scope="module")
def scores():
    data = score_table(exact()).dataset
    return oracles.all_log_likelihoods(data.x_train, data.y_train, 1)


@OBJECTIVES
@LAYERS
@pytest.mark.parametrize(("likelihood", "scale"), [("sum", 1), ("mean", 1 / 300)])
def test_objectives_are_eqs_11_15_and_22(objective, n_layers, likelihood, scale, scores):
    config = exact(
        objective=objective, n_layers=n_layers, likelihood=likelihood, regularization=2.5, bandwidth=1.3
    )
    angles = oracles.random_angles(n_layers, 3, n_layers, 2, 6)
    expected = [
        oracles.objective(objective, oracles.probabilities(a), scale * scores, 2.5, 1.3) for a in angles
    ]
    np.testing.assert_allclose(objective_value(config, angles), expected, rtol=1e-9)
    on_qsim = objective_value(config.model_copy(update={"simulator": "qsim"}), angles)
    np.testing.assert_allclose(on_qsim, expected, rtol=1e-5)


@OBJECTIVES
def test_objectives_at_14_qubits(objective):
    config = exact(
        n_hidden=3,
        n_train_per_class=3,
        objective=objective,
        n_layers=2,
        regularization=30,
        simulator="qsim",
    )
    data = score_table(config).dataset
    scores = oracles.all_log_likelihoods(data.x_train, data.y_train, 3)
    angles = oracles.random_angles(1, 1, 2, 2, 14)
    expected = oracles.objective(objective, oracles.probabilities(angles[0]), scores, 30, 14 / 4)
    assert objective_value(config, angles)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
def test_the_uniform_distribution_costs_nothing(objective, scores):
    flat = np.full((1, 1, 2, 6), np.pi / 2)
    value = objective_value(exact(objective=objective, regularization=1e6), flat)[0]
    assert value == pytest.approx(scores.mean(), rel=1e-9)


def test_a_point_mass_pays_n_log_2_in_the_elbo(scores):
    value = objective_value(exact(objective="elbo", regularization=3), np.zeros((1, 1, 2, 6)))[0]
    assert value == pytest.approx(scores[0] - 3 * 6 * np.log(2), rel=1e-12)


@LAYERS
@pytest.mark.parametrize("seed", [0, 1])
def test_fact_5_the_gap_of_the_elbo_is_the_kl_to_the_posterior(n_layers, seed, scores):
    angles = oracles.random_angles(seed, 1, n_layers, 2, 6)
    elbo = objective_value(exact(objective="elbo", n_layers=n_layers), angles)[0]
    log_evidence = logsumexp(scores) - 6 * np.log(2)
    posterior = np.exp(scores - logsumexp(scores))
    gap = rel_entr(oracles.probabilities(angles[0]), posterior).sum()
    assert elbo <= log_evidence
    assert log_evidence - elbo == pytest.approx(gap, rel=1e-8)


def test_mle_ignores_lambda_and_h():
    angles = oracles.random_angles(0, 1, 1, 2, 6)
    values = [
        objective_value(
            RunConfig(objective="mle", n_hidden=1, regularization=strength, bandwidth=h), angles
        )
        for strength, h in ((0, None), (100, 0.1))
    ]
    np.testing.assert_array_equal(*values)


def test_the_value_of_terms():
    terms = Terms(np.array([-10.0]), np.array([2.0]), np.array([0.5]))
    assert [terms.value(Objective(o, 3.0, 1.0)).item() for o in ("mle", "elbo", "selbo")] == [
        -10,
        -16,
        -11.5,
    ]


@pytest.mark.parametrize("likelihood", ["sum", "mean"])
def test_sampled_terms_are_means_over_samples_and_eq_21_with_the_whole_prior(likelihood, scores):
    config = RunConfig(n_hidden=1, bandwidth=1.1, likelihood=likelihood)
    rng = np.random.default_rng(0)
    samples = rng.integers(64, size=(3, 7))
    kl = np.array([1.0, 2.0, 3.0])
    terms = sampled_terms(config, score_table(config), samples[:, None], kl)
    gram = oracles.gram(6, 1.1)
    pairs = np.array([[gram[x, y] for i, x in enumerate(row) for y in row[:i]] for row in samples])
    expected = pairs.mean(axis=1) - 2 * gram[samples].mean(axis=(1, 2)) + gram.mean()
    np.testing.assert_allclose(terms.mmd_squared, expected, atol=1e-12)
    scale = 1 if likelihood == "sum" else 1 / 300
    np.testing.assert_allclose(
        terms.expected_log_likelihood, scale * scores[samples].mean(axis=1), rtol=1e-12
    )
    np.testing.assert_array_equal(terms.kl, kl)


def test_one_shot_has_no_mmd_estimate():
    config = RunConfig(n_hidden=1, objective="mle", shots=1)
    terms = sampled_terms(config, score_table(config), np.array([[[3]]]), np.zeros(1))
    assert np.isnan(terms.mmd_squared).all()
    assert np.isfinite(terms.expected_log_likelihood).all()


@pytest.mark.parametrize("shape", [(1, 2, 6), (2, 1, 2, 14), (1, 2, 2, 6), (6,)])
def test_angles_of_another_config_are_refused(shape):
    with pytest.raises(ValueError, match=r"this config needs \(B, \*\(1, 2, 6\)\)"):
        objective_value(exact(), np.zeros(shape))


@pytest.mark.parametrize("likelihood", ["sum", "mean"])
@pytest.mark.parametrize("strength", [0.0, 1e-300, 0.3, 1.0, 20.0, 1e6])
@OBJECTIVES
def test_no_distribution_exceeds_the_bound_and_the_best_one_reaches_it(
    objective, strength, likelihood, scores
):
    config = exact(objective=objective, regularization=strength, likelihood=likelihood)
    level, _ = upper_bound(config, score_table(config))
    own = scores / (300 if likelihood == "mean" else 1)
    rng = np.random.default_rng(0)
    best = softmax(own / strength) if objective == "elbo" and strength > 1e-9 else np.eye(64)[own.argmax()]
    tried = [best, *np.eye(64), *rng.dirichlet(np.full(64, 0.1), size=50), np.full(64, 1 / 64)]
    penalty = {
        "mle": lambda q: 0.0,
        "elbo": lambda q: rel_entr(q, 1 / 64).sum(),
        "selbo": lambda q: mmd_squared_to_uniform(q[None], config.h)[0],
    }[objective]
    values = np.array([q @ own - strength * penalty(q) for q in tried])
    assert (values <= level + 1e-9 * (1 + abs(level))).all()
    if objective != "selbo":
        assert values[0] == pytest.approx(level, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"objective": "mle"}, "exhaustive search"),
        ({"objective": "selbo"}, "best network, no MMD²"),
        ({"objective": "selbo", "regularization": 0}, "exhaustive search"),
        ({"objective": "elbo"}, "log evidence"),
        ({"objective": "elbo", "regularization": 2}, "tempered log evidence"),
        ({"objective": "elbo", "likelihood": "mean"}, "tempered log evidence"),
        ({"objective": "elbo", "annealing": "linear"}, "best network, no KL"),
    ],
)
def test_a_bound_is_called_what_it_is(change, name):
    assert upper_bound(exact(**change), score_table(exact()))[1] == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("map", 1.0, 1.0), "kind='map': the objective must be one of mle, elbo, selbo"),
        (("elbo", -1.0, 1.0), r"strength=-1.0: λ \(regularization\) must be a finite number, 0 or more"),
        (("elbo", np.nan, 1.0), "strength=nan"),
        (("mle", np.inf, 1.0), "strength=inf"),
        (("elbo", "1", 1.0), "strength='1'"),
        (("selbo", 1.0, 0.0), "bandwidth=0.0: h must be a finite number above 0"),
        (("selbo", 1.0, np.inf), "bandwidth=inf"),
        (("mle", 1.0, None), "bandwidth=None"),
    ],
)
def test_an_objective_is_sound_from_construction(arguments, message):
    with pytest.raises(ValueError, match=message):
        Objective(*arguments)


def test_an_objective_is_the_configs_but_for_what_is_given():
    config = RunConfig(n_hidden=1, objective="elbo", regularization=3.0)
    assert Objective.of(config) == Objective("elbo", 3.0, 1.5)  # h = n_qubits / 4
    assert Objective.of(config, "selbo") == Objective("selbo", 3.0, 1.5)
    assert Objective.of(config, regularization=0.0, bandwidth=2) == Objective("elbo", 0.0, 2)
    assert [o.kind for o in Objective("elbo", 3.0, 1.5).of_each_kind()] == ["mle", "elbo", "selbo"]
    assert {(o.strength, o.bandwidth) for o in Objective("elbo", 3.0, 1.5).of_each_kind()} == {(3.0, 1.5)}


@pytest.mark.parametrize("strength", [1e3, 1e12, 1e15, 1e20, 1e300])
def test_the_bound_of_a_large_lambda_keeps_its_digits(strength, scores):
    """At λ beyond all likelihoods the best q is uniform: E[ll] + Var[ll] / (2 λ) + O(1 / λ²)."""
    level, _ = upper_bound(exact(objective="elbo", regularization=strength), score_table(exact()))
    expansion = scores.mean() + scores.var() / (2 * strength)
    assert level == pytest.approx(expansion, rel=1e-12 + 1e5 / strength / strength)
    if strength >= 1e12:
        uniform = np.full((1, 1, 2, 6), np.pi / 2)
        reached = objective_value(exact(objective="elbo", regularization=0.0), uniform)[0]  # its KL is 0
        assert level >= reached - 1e-12 * abs(reached)
