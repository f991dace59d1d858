"""Each compiled kernel against numpy, scipy or Cirq."""

from functools import reduce

import cirq
import numpy as np
import oracles
import pytest
import scipy.linalg

from qhn_core import kernels

BELOW_ONE = np.nextafter(1.0, 0.0)


def random_state(seed, n):
    parts = np.random.default_rng(seed).standard_normal((2, 2**n))
    state = parts[0] + 1j * parts[1]
    return state / np.linalg.norm(state)


@pytest.mark.parametrize("n", range(1, 8))
def test_apply_bitwise_is_the_hadamard_matrix(n):
    vectors = np.random.default_rng(n).standard_normal((3, 2**n))
    expected = vectors @ scipy.linalg.hadamard(2**n).T
    kernels.apply_bitwise(vectors, 1.0, 1.0, 1.0, -1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


@pytest.mark.parametrize("h", [0.5, 1.0, 3.5])
@pytest.mark.parametrize("n", [1, 4, 7])
def test_apply_bitwise_is_the_rbf_gram_matrix(n, h):
    vectors = np.random.default_rng(n).standard_normal((2, 2**n))
    expected = vectors @ oracles.gram(n, h)
    e = np.exp(-1 / h**2)
    kernels.apply_bitwise(vectors, 1.0, e, e, 1.0)
    np.testing.assert_allclose(vectors, expected, atol=1e-12)


def test_apply_bitwise_is_the_kronecker_power_of_an_asymmetric_matrix():
    m = np.array([[1.0, 2.0], [-3.0, 0.5]])
    vector = np.random.default_rng(0).standard_normal((1, 16))
    expected = reduce(np.kron, [m] * 4) @ vector[0]
    kernels.apply_bitwise(vector, *m.ravel())
    np.testing.assert_allclose(vector[0], expected, atol=1e-12)


def test_sample_product_is_a_search_in_the_cumulated_product():
    rng = np.random.default_rng(1)
    ones, uniforms = rng.random((5, 6)), rng.random((5, 400))
    expected = []
    for p, u in zip(ones, uniforms, strict=True):
        q = reduce(np.kron, [[1 - x, x] for x in p])
        expected.append(np.searchsorted(np.cumsum(q), u, side="right"))
    np.testing.assert_array_equal(kernels.sample_product(ones, uniforms), expected)


@pytest.mark.parametrize("u", [0.0, 0.3, BELOW_ONE])
def test_sample_product_keeps_certain_bits(u):
    ones = np.array([[0.0, 1.0, 1.0, 0.0, 1.0]])
    assert kernels.sample_product(ones, np.array([[u]]))[0, 0] == 0b01101


@pytest.mark.parametrize("where", ["just below the threshold", "at the threshold", "just below 1"])
@pytest.mark.parametrize("impossible", [0, 1])
def test_sample_product_never_draws_an_impossible_bit(impossible, where):
    first = np.sin(np.random.default_rng(2).uniform(0, np.pi, 5000) / 2) ** 2
    u = {
        "just below the threshold": np.nextafter(1 - first, 0),
        "at the threshold": 1 - first,
        "just below 1": np.full(5000, BELOW_ONE),
    }[where]
    ones = np.stack([first, np.full(5000, 1.0 - impossible)], axis=1)
    last_bit = kernels.sample_product(ones, u[:, None])[:, 0] & 1
    assert np.count_nonzero(last_bit == impossible) == 0


@pytest.mark.parametrize("total", [1.0, 1 - 1e-6, 3.0])
def test_sample_table_is_a_search_in_the_cumulated_probabilities(total):
    rng = np.random.default_rng(3)
    q, uniforms = rng.dirichlet(np.full(32, 0.5), size=4), rng.random((4, 500))
    expected = [np.searchsorted(np.cumsum(p), u, side="right") for p, u in zip(q, uniforms, strict=True)]
    np.testing.assert_array_equal(kernels.sample_table(q * total, uniforms), expected)


@pytest.mark.parametrize("total", [1.0, 0.3, 1 / 3, 7.7])
def test_sample_table_never_draws_an_impossible_outcome(total):
    q = np.array([0, 0, 0.1, 0, 0.2, 0.3, 0, 0.4, 0, 0]) * total
    steps = np.cumsum(q) / q.sum()
    near = np.concatenate([np.nextafter(steps, 0), steps, np.nextafter(steps, 2), [0.0, BELOW_ONE]])
    drawn = kernels.sample_table(q[None], near[(near >= 0) & (near < 1)][None])[0]
    assert set(drawn) == {2, 4, 5, 7}


def test_hamming_distances_count_every_bit_of_a_word():
    rng = np.random.default_rng(4)
    a, b = rng.integers(2**62, size=(2, 200))
    distance = np.arange(64, dtype=float)  # with this as "kernel", the mean is the distance itself
    for x, y in zip(a, b, strict=True):
        assert kernels.mean_kernel_between(np.array([[x]]), np.array([y]), distance)[0] == oracles.hamming(
            x, y
        )


def test_mean_kernels_are_double_loops_over_pairs():
    rng = np.random.default_rng(5)
    h, n = 1.7, 6
    samples, others = rng.integers(2**n, size=(4, 7)), rng.integers(2**n, size=5)
    table = np.array([np.exp(-d / h**2) for d in range(n + 1)])
    within = [
        np.mean([oracles.kernel(a, b, h) for i, a in enumerate(row) for j, b in enumerate(row) if i != j])
        for row in samples
    ]
    between = [np.mean([oracles.kernel(a, b, h) for a in row for b in others]) for row in samples]
    np.testing.assert_allclose(kernels.mean_kernel_within(samples, table), within, rtol=1e-12)
    np.testing.assert_allclose(kernels.mean_kernel_between(samples, others, table), between, rtol=1e-12)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_entangle_is_a_row_of_cx_gates(n, first):
    qubits = cirq.LineQubit.range(n)
    gates = cirq.Circuit(
        cirq.I.on_each(*qubits), (cirq.CX(*qubits[m : m + 2]) for m in range(first, n - 1, 2))
    )
    state = random_state(n, n)
    expected = gates.unitary(qubit_order=qubits) @ state
    kernels.entangle(state, first, n)
    np.testing.assert_allclose(state, expected, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_first_layer_gives_cirqs_amplitudes(n):
    angles = oracles.random_angles(n, 3, 1, 2, n)
    angles[:, :, 1] = 0  # RZ on |0> is a phase
    half = angles[:, 0, 0] / 2
    amplitudes = kernels.first_layer(np.stack([np.cos(half), np.sin(half)], axis=-1))
    np.testing.assert_allclose(amplitudes, [oracles.state(a) for a in angles], atol=1e-12)


def test_born_rule_squares_and_normalises():
    state = 3 * random_state(0, 5).astype(np.complex64)
    q = np.empty(32)
    kernels.born_rule(state.view(np.float32), q)
    np.testing.assert_allclose(q, np.abs(state) ** 2 / 9, rtol=1e-5)
    assert q.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("qubit", range(4))
def test_rotate_qubit_is_a_kronecker_product(qubit):
    u = np.array([[0.3 + 1j, 2.0], [-0.5j, 1.1]])
    state = random_state(qubit, 4)
    expected = np.kron(np.kron(np.eye(2**qubit), u), np.eye(2 ** (3 - qubit))) @ state
    kernels.rotate_qubit(state, qubit, 4, *u.ravel())
    np.testing.assert_allclose(state, expected, atol=1e-14)


@pytest.mark.parametrize("qubit", range(4))
def test_overlap_matrix_is_a_partial_inner_product(qubit):
    left, right = random_state(1, 4), random_state(2, 4)
    a, b = (np.moveaxis(v.reshape(2, 2, 2, 2), qubit, 0).reshape(2, 8) for v in (left, right))
    np.testing.assert_allclose(
        kernels.overlap_matrix(left, right, qubit, 4), (a.conj() @ b.T).ravel(), atol=1e-14
    )


@pytest.mark.parametrize(("n", "n_layers"), [(2, 2), (3, 3), (5, 4)])
def test_evolve_gives_cirqs_state(n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    state = oracles.state(angles[:1])
    kernels.evolve(state, angles[1:])
    assert cirq.allclose_up_to_global_phase(state, oracles.state(angles), atol=1e-12)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 5])
def test_adjoint_gradient_is_the_parameter_shift_rule_on_cirq(n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    observable = np.random.default_rng(n).standard_normal(2**n)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)  # exact for an expectation value
    expected = ((plus - minus) @ observable / 2).reshape(angles.shape)
    actual = kernels.adjoint_gradient(angles, oracles.state(angles), observable)
    np.testing.assert_allclose(actual, expected, atol=1e-12)
