"""What training asks of circuits of any depth, against Cirq."""

import numpy as np
import pytest
from scipy import stats

from qhn_core import RunConfig
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.circuits.statevector import StateVector
from qhn_core.kernels import light_cones, states
from tests.unit import oracles
from tests.unit.circuits.test_closed_form import assert_follows

LAYERS = pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
KEY = np.array([11, 22], dtype=np.uint64)


@pytest.mark.parametrize(("n", "n_layers"), [(2, 2), (3, 1), (4, 2), (5, 3), (6, 4), (8, 5)])
def test_shifted_samples_follow_the_shifted_circuits(n, n_layers):
    """Light cones of 1, 2, 4 and 6 qubits, cut off or not by the ends; of 8 qubits: without cones."""
    angles, shots = oracles.random_angles(n, n_layers, 2, n), 5000
    state = states.evolve(angles)
    drawn = light_cones.shifted_state_samples(angles, state, states.probabilities(state), KEY, 3, shots)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)
    both = np.stack([plus, minus], axis=1).reshape(-1, 2**n)
    assert drawn.shape == (len(both), 1, shots)
    values = [assert_follows(x[0], q) for x, q in zip(drawn, both, strict=True)]
    assert min(values) > 1e-3 / len(values)
    assert stats.kstest(values, "uniform").pvalue > 1e-3  # independent, and none better than chance


@pytest.mark.parametrize("n", [2, 5, 6])
@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_a_carried_generator_is_that_of_the_shifted_circuit(n, n_layers):
    """(1 - i G) / sqrt(2) on the cone's qubits, after the whole circuit, is the circuit with the shift."""
    angles = oracles.random_angles(n, n_layers, 2, n)
    cx = states.entangled_copy(np.arange(2**n), n_layers % 2, n)
    before = oracles.unitary(angles)[cx]  # without the last CX gates
    for layer, kind, qubit in np.ndindex(*angles.shape):
        low, high = light_cones.cone(layer, qubit, n_layers, n)
        g = light_cones.carried_generator(angles, layer, kind, qubit)
        g = np.kron(np.kron(np.eye(2**low), g), np.eye(2 ** (n - 1 - high)))
        shift = np.zeros_like(angles)
        shift[layer, kind, qubit] = np.pi / 2
        expected = oracles.unitary(angles + shift)[cx]
        turned = (np.eye(2**n) - 1j * g) @ before / np.sqrt(2)
        np.testing.assert_allclose(abs(np.vdot(turned, expected)), 2**n, rtol=1e-12)


@LAYERS
@pytest.mark.parametrize("simulator", ["numba", "cirq"])
def test_samples_and_exact_numbers_are_those_of_cirqs_distribution(n_layers, simulator):
    config = RunConfig(n_hidden=1, n_layers=n_layers, bandwidth=1.3, simulator=simulator)
    angles = oracles.random_angles(n_layers, 2, n_layers, 2, 6)
    tables = np.random.default_rng(0).standard_normal((3, 64))
    draws = Draws(seed_keys(0, np.arange(2)), 3, 20_000)
    seen = 0
    for rows, circuits in circuit_blocks(config, angles):
        q = np.array([oracles.probabilities(a) for a in angles[rows]])
        seen += len(q)
        np.testing.assert_allclose(circuits.means(tables), q @ tables.T, atol=1e-9)
        np.testing.assert_allclose(circuits.kl(), [oracles.kl(x) for x in q], rtol=1e-9)
        np.testing.assert_allclose(
            circuits.mmd_squared(), [oracles.mmd_squared(x, 1.3) for x in q], rtol=1e-9
        )
        drawn = circuits.samples(draws.take(rows))
        assert min(assert_follows(x[0], p) for x, p in zip(drawn, q, strict=True)) > 1e-3
    assert seen == 2


@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_closed_form_and_a_state_vector_give_the_same_exact_numbers(n_layers):
    config = RunConfig(n_hidden=1, n_layers=n_layers, objective="selbo", bandwidth=1.3, regularization=7)
    angles, scores = (
        oracles.random_angles(0, 1, n_layers, 2, 6),
        np.random.default_rng(1).standard_normal(64),
    )
    (_, product), (_, state) = (
        next(circuit_blocks(config.model_copy(update={"simulator": s}), angles)) for s in ("auto", "cirq")
    )
    assert (type(product), type(state)) == (ClosedForm, StateVector)
    for objective in ("mle", "elbo", "selbo"):
        one, other = product.gradient(scores, objective), state.gradient(scores, objective)
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_allclose(product.gradient(None, "elbo"), state.gradient(None, "elbo"), atol=1e-12)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_samples_are_a_function_of_seed_and_epoch(n_layers):
    config = RunConfig(n_hidden=1, n_layers=n_layers)
    angles = np.tile(oracles.random_angles(0, n_layers, 2, 6), (3, 1, 1, 1))
    keys = seed_keys(5, np.array([4, 9, 2]))

    def draw(draws, rows):
        blocks = [c for _, c in circuit_blocks(config, angles[: len(rows)])]
        parts = [
            (c.samples(draws.take(slice(i, None))), c.shifted_samples(0, draws))
            for i, c in enumerate(blocks)
        ]
        return parts

    one = draw(Draws(keys, 1, 50), keys)[0]
    again = draw(Draws(keys, 1, 50), keys)[0]
    later = draw(Draws(keys, 2, 50), keys)[0]
    for a, b, c in zip(one, again, later, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).mean() > 0.5
    assert (one[1][:, 0] != one[1][0, 0]).mean() > 0.5  # no two circuits share their draws


def test_a_key_is_the_seeds_own():
    keys = seed_keys(5, np.array([0, 3]))
    expected = [np.random.SeedSequence(5).spawn(4)[i].generate_state(2, np.uint32) for i in (0, 3)]
    np.testing.assert_array_equal(keys, expected)
