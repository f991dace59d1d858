"""The ansatz without CX gates, by closed form and by simulators, against Cirq."""

from dataclasses import replace

import cirq
import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, brickwork_circuit, get_simulator, scan_landscape, train
from qhn_core.bits import words_to_bits
from qhn_core.circuits.ansatz import parameter_resolver
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.batches import circuit_blocks, closed_form
from qhn_core.circuits.independent_bits import IndependentBits
from qhn_core.circuits.simulated import Simulated
from qhn_core.objectives.estimates import estimator_for
from qhn_core.objectives.gradients import objective_gradient
from tests.unit import oracles
from tests.unit.kernels.test_sampling import assert_follows

LAYERS = pytest.mark.parametrize("n_layers", [1, 2, 3])
SIMULATORS = pytest.mark.parametrize("simulator", ["auto", "cirq"])


def cirq_state(angles):
    """Amplitudes (2**n,) of RZ, RY on every qubit, layer by layer, and nothing else."""
    qubits = cirq.LineQubit.range(angles.shape[-1])
    circuit = cirq.Circuit(cirq.I.on_each(*qubits))
    for ry, rz in angles:
        circuit.append(cirq.rz(a)(q) for a, q in zip(rz, qubits, strict=True))
        circuit.append(cirq.ry(a)(q) for a, q in zip(ry, qubits, strict=True))
    return cirq.Simulator(dtype=np.complex128).simulate(circuit, qubit_order=qubits).final_state_vector


def probabilities(angles):
    return np.abs(cirq_state(angles)) ** 2


def shifted(angles):
    """q at +pi/2 and -pi/2 of each angle, (P, 2**n) each."""
    steps = (np.pi / 2) * np.eye(angles.size).reshape(-1, *angles.shape)
    return [np.array([probabilities(angles + sign * step) for step in steps]) for sign in (1, -1)]


def of(n_layers, **options):
    return RunConfig(
        **{
            "n_hidden": 1,
            "n_layers": n_layers,
            "entangler": "none",
            "bandwidth": 1.3,
            "regularization": 7.0,
            **options,
        }
    )


def some(n_layers, count=2, seed=0, n=6):
    angles = oracles.random_angles(seed, count, n_layers, 2, n)
    return angles, np.array([probabilities(theta) for theta in angles])


@LAYERS
def test_the_circuit_has_the_same_rotations_and_no_cx(n_layers):
    angles, q = some(n_layers)
    circuit = brickwork_circuit(6, n_layers, "none")
    assert {len(op.qubits) for op in circuit.all_operations()} == {1}
    bound = cirq.resolve_parameters(circuit, parameter_resolver(angles[0]))
    state = bound.final_state_vector(qubit_order=cirq.LineQubit.range(6), dtype=np.complex128)
    np.testing.assert_allclose(np.abs(state) ** 2, q[0], atol=1e-12)


@LAYERS
@pytest.mark.parametrize("name", ["auto", "numba", "qsim", "cirq"])
def test_every_simulator_leaves_the_cx_out(name, n_layers):
    angles, q = some(n_layers)
    simulator = get_simulator(name, 6, "none")
    np.testing.assert_allclose(simulator.probabilities(angles), q, atol=1e-12)
    re, im = simulator.state(angles[0])
    assert abs(np.vdot(cirq_state(angles[0]), re + 1j * im)) == pytest.approx(1)


@LAYERS
@SIMULATORS
def test_exact_numbers_are_sums_over_cirqs_probabilities(n_layers, simulator):
    angles, q = some(n_layers)
    tables = np.random.default_rng(1).standard_normal((3, 64))
    seen = 0
    for rows, circuits in circuit_blocks(of(n_layers, simulator=simulator), angles):
        assert type(circuits) is {"auto": IndependentBits, "cirq": Simulated}[simulator]
        own = q[rows]
        seen += len(own)
        np.testing.assert_allclose(circuits.means(tables), own @ tables.T, atol=1e-12)
        np.testing.assert_allclose(circuits.kl(), [oracles.kl(x) for x in own], rtol=1e-9)
        mmd_squared = [oracles.mmd_squared(x, 1.3) for x in own]
        np.testing.assert_allclose(circuits.mmd_squared(), mmd_squared, rtol=1e-9)
    assert seen == 2


@LAYERS
@SIMULATORS
@pytest.mark.parametrize("objective", ["mle", "elbo", "selbo"])
def test_gradients_are_slopes_of_cirqs_probabilities(n_layers, simulator, objective):
    angles, q = some(n_layers, count=1)
    scores = np.random.default_rng(1).standard_normal(64)
    slope = {
        "mle": scores,
        "elbo": scores - 7 * np.log(q[0]),
        "selbo": scores - 14 * oracles.gram(6, 1.3) @ (q[0] - 1 / 64),
    }[objective]
    up, down = shifted(angles[0])
    (_, circuits), *_ = circuit_blocks(of(n_layers, simulator=simulator), angles)
    found = circuits.gradient(scores, objective)
    np.testing.assert_allclose(found.ravel(), (up - down) @ slope / 2, atol=1e-10)
    assert (found[0, 0, 1] == 0).all() or simulator == "cirq"


@LAYERS
@SIMULATORS
def test_samples_follow_the_distributions(n_layers, simulator):
    angles, q = some(n_layers, count=1)
    draws = Draws(seed_keys(3, np.arange(1)), 2, 20_000)
    (_, circuits), *_ = circuit_blocks(of(n_layers, simulator=simulator), angles)
    assert_follows(circuits.samples(draws)[0, 0], q[0])
    both = np.stack(shifted(angles[0]), axis=1).reshape(-1, 64)  # in the order of `shifted_angles`
    for drawn, expected in zip(circuits.shifted_samples(0, draws), both, strict=True):
        assert_follows(drawn[0], expected)


@LAYERS
@SIMULATORS
@pytest.mark.parametrize("gradient", ["chain-rule", "algorithm-1"])
def test_sampled_gradients_have_the_mean_of_the_exact_ones(n_layers, simulator, gradient):
    count = 400 if simulator == "auto" else 15
    config = of(n_layers, simulator=simulator, gradient=gradient, regularization=500, shots=50)
    angles = np.tile(some(n_layers, count=1)[0], (count, 1, 1, 1))
    estimator = estimator_for(config, np.arange(count))
    before = estimator.estimate(config, angles, 1)
    found = estimator.gradient(config, angles, 2, before.samples)
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    exact = objective_gradient(replaced(config, "cirq"), angles[:1])[0]
    np.testing.assert_array_less(abs(found.mean(axis=0) - exact), 5 * error + 1e-9)


def replaced(config, simulator):
    return config.model_copy(update={"simulator": simulator})


@LAYERS
def test_the_most_probable_bits_and_their_probability(n_layers):
    angles, q = some(n_layers, count=5)
    circuits = closed_form(of(n_layers), angles)
    expected = [oracles.bits(x.argmax(), 6) for x in q]
    np.testing.assert_array_equal(circuits.most_probable_bits(), expected)
    for theta, row in zip(angles, q, strict=True):
        one = closed_form(of(n_layers), theta[None])
        np.testing.assert_allclose(one.probability(oracles.all_bits(6)), row, atol=1e-14)


@pytest.mark.parametrize("theta", [0.0, np.pi, 2 * np.pi])
@LAYERS
def test_certain_bits_of_large_networks_are_certain(theta, n_layers):
    config = of(n_layers, dataset="digits", n_hidden=2, shots=50)
    angles = np.zeros((1, *config.angle_shape))
    angles[0, 0, 0] = theta
    circuits = closed_form(config, angles)
    drawn = circuits.samples(Draws(seed_keys(0, np.arange(1)), 1, 50))
    assert (words_to_bits(drawn[0], 134) == circuits.most_probable_bits()[0]).all()
    assert (circuits.most_probable_bits() == (theta == np.pi)).all()


def test_landscapes_are_those_of_cirq():
    plane = LandscapeConfig(resolution=11, radius=2.0)
    angles = oracles.random_angles(1, 3, 2, 6)
    scans = [scan_landscape(of(3, simulator=s), plane, angles) for s in ("auto", "cirq")]
    for objective in ("mle", "elbo", "selbo"):
        one, other = (scan.values(objective, 7.0, 1.3) for scan in scans)
        np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"shots": None}, {"dataset": "digits", "shots": 5}])
def test_a_run_of_three_layers_trains_and_is_summarised(options):
    config = of(3, epochs=3, n_seeds=2, **options)
    result = train(config)
    assert np.isfinite(result.summary().to_numpy()).all()
    if config.dataset == "gaussian":
        by_cirq = replace(result, config=replaced(config, "cirq")).summary()
        np.testing.assert_allclose(result.summary(), by_cirq, rtol=1e-9)
