import cirq
import numpy as np
import pytest

from qhn_core.circuits.ansatz import (
    bit_probabilities,
    brickwork_circuit,
    check_angles,
    cx_pairs,
    entangle_indices,
    parameter_resolver,
    product_probabilities,
    product_state,
)
from tests.unit import oracles


def bind(circuit, angles):
    """Put angles (L, 2, n) in place of the paper's symbols theta_{alpha, j, k}."""
    values = {
        f"theta_{alpha}_{j}_{k}": angles[k - 1, alpha, j - 1]
        for k in range(1, len(angles) + 1)
        for alpha in (0, 1)
        for j in range(1, angles.shape[-1] + 1)
    }
    return cirq.resolve_parameters(circuit, values)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_circuit_is_eq_8(n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    bound = bind(brickwork_circuit(n, n_layers), angles)
    actual = bound.unitary(qubit_order=cirq.LineQubit.range(n))
    np.testing.assert_allclose(actual, oracles.unitary(angles), atol=1e-9)


def test_parameter_resolver_binds_the_same_symbols():
    angles = oracles.random_angles(0, 2, 2, 3)
    circuit = brickwork_circuit(3, 2)
    resolved = cirq.resolve_parameters(circuit, parameter_resolver(angles))
    np.testing.assert_allclose(resolved.unitary(), bind(circuit, angles).unitary(), atol=1e-12)


@pytest.mark.parametrize(
    ("n", "layer", "expected"),
    [
        (6, 1, [(1, 2), (3, 4)]),  # the paper's CX(2,3), CX(4,5)
        (6, 2, [(0, 1), (2, 3), (4, 5)]),
        (6, 3, [(1, 2), (3, 4)]),
        (5, 1, [(1, 2), (3, 4)]),
        (5, 2, [(0, 1), (2, 3)]),
        (2, 1, []),
    ],
)
def test_cx_gates_alternate_between_layers(n, layer, expected):
    assert cx_pairs(n, layer) == expected
    circuit = brickwork_circuit(n, layer)
    cx = [op for op in list(circuit)[3 * layer - 1]]
    assert sorted((op.qubits[0].x, op.qubits[1].x) for op in cx) == expected
    assert all(op.gate == cirq.CX for op in cx)


def test_each_layer_is_rz_then_ry_then_cx():
    kinds = [{type(op.gate) for op in moment} for moment in brickwork_circuit(4, 2)]
    assert kinds == [{cirq.Rz}, {cirq.Ry}, {cirq.CXPowGate}] * 2


def test_there_are_two_symbols_per_qubit_and_layer():
    names = {f"theta_{a}_{j}_{k}" for a in (0, 1) for j in range(1, 5) for k in range(1, 4)}
    assert cirq.parameter_names(brickwork_circuit(4, 3)) == names


@pytest.mark.parametrize(
    ("flipped", "index"),
    [(0, 0b1000), (1, 0b0110), (2, 0b0010), (3, 0b0001)],  # CX of layer 1: qubit 1 controls qubit 2
)
def test_the_first_qubit_is_the_most_significant_bit(flipped, index):
    angles = np.zeros((1, 2, 4))
    angles[0, 0, flipped] = np.pi
    final = bind(brickwork_circuit(4, 1), angles).final_state_vector(qubit_order=cirq.LineQubit.range(4))
    assert np.argmax(np.abs(final)) == index
    assert np.argmax(product_probabilities(angles)) == index


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_entangle_indices_is_the_cx_permutation(n, layer):
    qubits = cirq.LineQubit.range(n)
    gates = [cirq.CX(*qubits[m - 1 : m + 1]) for m in range(1 + layer % 2, n, 2)]
    matrix = cirq.Circuit(cirq.I.on_each(*qubits), gates).unitary(qubit_order=qubits)
    np.testing.assert_array_equal(entangle_indices(np.arange(2**n), n, layer), matrix.argmax(axis=0))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_one_layer_is_a_product_pushed_through_the_cx_gates(n):
    angles = oracles.random_angles(n, 3, 1, 2, n)
    expected = np.array([oracles.probabilities(a) for a in angles])
    np.testing.assert_allclose(product_probabilities(angles[:, 0]), expected, atol=1e-12)
    np.testing.assert_allclose(product_state(angles[:, 0]) ** 2, expected, atol=1e-12)
    np.testing.assert_allclose(
        bit_probabilities(angles[:, 0]), np.sin(angles[:, 0, 0] / 2) ** 2, atol=1e-12
    )


def test_rz_does_nothing_with_one_layer():
    angles = oracles.random_angles(0, 1, 2, 6)
    turned = angles.copy()
    turned[:, 1] += oracles.random_angles(1, 1, 6)
    np.testing.assert_array_equal(product_probabilities(turned), product_probabilities(angles))
    np.testing.assert_allclose(oracles.probabilities(turned), oracles.probabilities(angles), atol=1e-12)


@pytest.mark.parametrize(("n", "n_layers"), [(0, 1), (1, 0), (-1, 2)])
def test_a_circuit_needs_a_qubit_and_a_layer(n, n_layers):
    with pytest.raises(ValueError, match=f"n_qubits={n}, n_layers={n_layers}: .* at least 1"):
        brickwork_circuit(n, n_layers)


@pytest.mark.parametrize("shape", [(2, 14), (1, 2, 14), (1, 1, 3, 14), (1, 0, 2, 14), (1, 1, 2, 0)])
def test_angles_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"it must be \(batch, n_layers, 2, n_qubits\)"):
        check_angles(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_angles_that_are_not_finite_are_refused(bad):
    angles = np.zeros((1, 1, 2, 3))
    angles[0, 0, 1, 2] = bad
    with pytest.raises(ValueError, match="finite number of radians"):
        check_angles(angles)
