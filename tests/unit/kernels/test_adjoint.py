"""Gradients by one backward pass, against the parameter-shift rule on Cirq."""

import numpy as np
import pytest

from qhn_core.kernels import adjoint, states
from tests.unit import oracles
from tests.unit.kernels.test_states import parts, random_state


@pytest.mark.parametrize("qubit", range(4))
def test_pair_overlap_holds_every_hermitian_expectation(qubit):
    n = 5
    bra, ket = random_state(1, n), random_state(2, n)
    a = np.random.default_rng(qubit).standard_normal((2, 4, 4))
    generator = a[0] + a[0].T + 1j * (a[1] - a[1].T)
    whole = np.kron(np.kron(np.eye(2**qubit), generator), np.eye(2 ** (n - 2 - qubit)))
    overlap = adjoint.pair_overlap(parts(bra), parts(ket), qubit, n)
    assert adjoint.expectation(overlap, generator) == pytest.approx((bra.conj() @ whole @ ket).imag)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_adjoint_gradient_is_the_parameter_shift_rule_on_cirq(n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    observable = np.random.default_rng(n).standard_normal(2**n)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)  # exact for an expectation value
    expected = ((plus - minus) @ observable / 2).reshape(angles.shape)
    renamed = states.entangled_copy(observable, n_layers % 2, n)
    actual = adjoint.adjoint_gradient(angles, states.evolve(angles), renamed)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_adjoint_gradient_where_the_last_qubits_are_gathered_first():
    """From 12 qubits on, the pairs among the last 6 are read from a reordered copy."""
    n, n_layers = 12, 3
    angles = oracles.random_angles(0, n_layers, 2, n)
    observable = np.random.default_rng(n).standard_normal(2**n)
    state, renamed = states.evolve(angles), states.entangled_copy(observable, n_layers % 2, n)
    actual = adjoint.adjoint_gradient(angles, state, renamed)
    for layer, kind, qubit in [
        (0, 0, 0),
        (0, 0, 11),
        (1, 0, 6),
        (1, 1, 5),
        (1, 1, 11),
        (2, 0, 7),
        (2, 1, 10),
    ]:
        shift = np.zeros_like(angles)
        shift[layer, kind, qubit] = np.pi / 2
        plus, minus = (oracles.probabilities(angles + s) @ observable for s in (shift, -shift))
        assert actual[layer, kind, qubit] == pytest.approx((plus - minus) / 2, abs=1e-12)
