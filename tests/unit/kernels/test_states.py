"""State vectors layer by layer, against Cirq."""

import cirq
import numpy as np
import pytest

from qhn_core.kernels import states
from tests.unit import oracles


def random_state(seed, n):
    parts = np.random.default_rng(seed).standard_normal((2, 2**n))
    state = parts[0] + 1j * parts[1]
    return state / np.linalg.norm(state)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_entangle_is_a_row_of_cx_gates(n, first):
    qubits = cirq.LineQubit.range(n)
    gates = cirq.Circuit(
        cirq.I.on_each(*qubits), (cirq.CX(*qubits[m : m + 2]) for m in range(first, n - 1, 2))
    )
    state = random_state(n, n)
    expected = gates.unitary(qubit_order=qubits) @ state
    states.entangle(state, first, n)
    np.testing.assert_allclose(state, expected, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_first_layer_gives_cirqs_amplitudes(n):
    angles = oracles.random_angles(n, 3, 1, 2, n)
    angles[:, :, 1] = 0  # RZ on |0> is a phase
    half = angles[:, 0, 0] / 2
    amplitudes = states.first_layer(np.stack([np.cos(half), np.sin(half)], axis=-1))
    np.testing.assert_allclose(amplitudes, [oracles.state(a) for a in angles], atol=1e-12)


def test_born_rule_squares_and_normalises():
    state = 3 * random_state(0, 5).astype(np.complex64)
    q = np.empty(32)
    states.born_rule(state.view(np.float32), q)
    np.testing.assert_allclose(q, np.abs(state) ** 2 / 9, rtol=1e-5)
    assert q.sum() == pytest.approx(1, abs=1e-14)


def parts(state):
    return np.array([state.real, state.imag])


def phase_free(state):
    return np.outer(state, state.conj())


@pytest.mark.parametrize(("n", "n_layers"), [(2, 2), (3, 3), (5, 4), (6, 2)])
def test_evolve_gives_cirqs_state_before_the_last_cx(n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    re, im = (states.entangled_copy(part, n_layers % 2, n) for part in states.evolve(angles))
    np.testing.assert_allclose(phase_free(re + 1j * im), phase_free(oracles.state(angles)), atol=1e-12)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("n", [2, 5, 6])
def test_unrotate_is_the_inverse_of_rotate(n, first):
    state, angles = random_state(n, n), oracles.random_angles(n, 2, n)
    turned = states.rotate(parts(state), angles, first)
    assert np.abs(turned - parts(state)).max() > 0.1
    np.testing.assert_allclose(states.unrotate(turned, angles, first), parts(state), atol=1e-13)


def test_probabilities_are_squares():
    state = random_state(3, 5)
    np.testing.assert_allclose(states.probabilities(parts(state)), np.abs(state) ** 2, rtol=1e-14)
