"""Each compiled kernel against numpy, scipy or Cirq."""

from collections import Counter
from functools import reduce

import cirq
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from qhn_core.kernels import adjoint, hamming, states, transforms
from tests.unit import oracles

BELOW_ONE = np.nextafter(1.0, 0.0)


def random_state(seed, n):
    parts = np.random.default_rng(seed).standard_normal((2, 2**n))
    state = parts[0] + 1j * parts[1]
    return state / np.linalg.norm(state)


@pytest.mark.parametrize("n", range(1, 8))
def test_apply_bitwise_is_the_hadamard_matrix(n):
    vectors = np.random.default_rng(n).standard_normal((3, 2**n))
    expected = vectors @ scipy.linalg.hadamard(2**n).T
    transforms.apply_bitwise(vectors, 1.0, 1.0, 1.0, -1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


@pytest.mark.parametrize("h", [0.5, 1.0, 3.5])
@pytest.mark.parametrize("n", [1, 4, 7])
def test_apply_bitwise_is_the_rbf_gram_matrix(n, h):
    vectors = np.random.default_rng(n).standard_normal((2, 2**n))
    expected = vectors @ oracles.gram(n, h)
    e = np.exp(-1 / h**2)
    transforms.apply_bitwise(vectors, 1.0, e, e, 1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


def test_apply_bitwise_is_the_kronecker_power_of_an_asymmetric_matrix():
    m = np.array([[1.0, 2.0], [-3.0, 0.5]])
    vector = np.random.default_rng(0).standard_normal((1, 16))
    expected = reduce(np.kron, [m] * 4) @ vector[0]
    transforms.apply_bitwise(vector, *m.ravel())
    np.testing.assert_allclose(vector[0], expected, atol=1e-12)


def test_hamming_distances_count_every_bit_of_every_word():
    rng = np.random.default_rng(4)
    a, b = rng.integers(2**63 - 1, size=(2, 200, 3))
    distance = np.arange(190, dtype=float)  # with this as "kernel", the mean is the distance itself
    for x, y in zip(a, b, strict=True):
        expected = sum(oracles.hamming(i, j) for i, j in zip(x, y, strict=True))
        found = hamming.mean_kernel_between(
            *hamming.distinct(x.reshape(1, 3, 1)), y.reshape(3, 1), np.ones(1), distance
        )
        assert found == [expected]


@pytest.mark.parametrize("n_words", [1, 3])
@pytest.mark.parametrize("many", [3, 40, 10**9])
def test_distinct_bitstrings_are_those_of_a_counter(n_words, many):
    samples = np.random.default_rng(7).integers(many, size=(5, n_words, 50)) << 20
    found, counts, sizes = hamming.distinct(samples)
    for c in range(5):
        expected = Counter(map(tuple, samples[c].T.tolist()))
        actual = zip(found[c, :, : sizes[c]].T.tolist(), counts[c, : sizes[c]], strict=True)
        assert {tuple(bits): count for bits, count in actual} == expected


@pytest.mark.parametrize("shots", [2, 3, 4, 7, 8, 50])
@pytest.mark.parametrize("n", [3, 6])
def test_mean_kernels_are_double_loops_over_pairs(n, shots):
    rng = np.random.default_rng(5)
    h = 1.7
    samples, others = rng.integers(2**n, size=(4, 1, shots)), rng.integers(2**n, size=(1, 1, 5))
    table = np.array([np.exp(-d / h**2) for d in range(n + 1)])
    within = [
        np.mean([oracles.kernel(a, b, h) for i, a in enumerate(row) for j, b in enumerate(row) if i != j])
        for row in samples[:, 0]
    ]
    between = [
        np.mean([oracles.kernel(a, b, h) for a in row for b in others[0, 0]]) for row in samples[:, 0]
    ]
    found, (rest, counts, sizes) = hamming.distinct(samples), hamming.distinct(others)
    np.testing.assert_allclose(hamming.mean_kernel_within(*found, table), within, rtol=1e-12)
    weights = counts[0, : sizes[0]]
    np.testing.assert_allclose(
        hamming.mean_kernel_between(*found, rest[0], weights, table), between, rtol=1e-12
    )


@pytest.mark.parametrize("shots", [1, 4, 7])
def test_lookups_are_numpys(shots):
    rng = np.random.default_rng(6)
    table, indices = rng.standard_normal(64), rng.integers(64, size=(3, shots))
    np.testing.assert_allclose(transforms.mean_of_table(table, indices), table[indices].mean(axis=1))


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
    re, im = (states.entangled_copy(part, n_layers, n) for part in states.evolve(angles))
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
    renamed = states.entangled_copy(observable, n_layers, n)
    actual = adjoint.adjoint_gradient(angles, states.evolve(angles), renamed)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_adjoint_gradient_where_the_last_qubits_are_gathered_first():
    """From 12 qubits on, the pairs among the last 6 are read from a reordered copy."""
    n, n_layers = 12, 3
    angles = oracles.random_angles(0, n_layers, 2, n)
    observable = np.random.default_rng(n).standard_normal(2**n)
    state, renamed = states.evolve(angles), states.entangled_copy(observable, n_layers, n)
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
