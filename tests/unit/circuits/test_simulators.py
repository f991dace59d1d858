import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import qsimcirq
from scipy import stats

import qhn_core as qhn
from qhn_core.circuits import simulators
from qhn_core.circuits.ansatz import entangle_indices
from qhn_core.circuits.simulators import qsim
from tests.unit import oracles

ALL = pytest.mark.parametrize("name", ["numba", "qsim", "cirq"])
QSIM = qsimcirq.qsim


@pytest.fixture
def fresh_checks():
    """Forget what was found out about qsim and GPUs, before and after a test that fakes them."""
    caches = (qsim.private_module_works, simulators._probe_gpu)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@ALL
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 4, 9, 14])
def test_probabilities_are_cirqs(name, n, n_layers):
    angles = oracles.random_angles(n, 2, n_layers, 2, n)
    expected = [oracles.probabilities(a) for a in angles]
    actual = qhn.get_simulator(name).probabilities(angles)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(actual.sum(axis=1), 1, atol=1e-6)


@ALL
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("n", [2, 5])
def test_the_state_is_cirqs_before_the_last_cx_gates(name, n, n_layers):
    angles = oracles.random_angles(n, n_layers, 2, n)
    re, im = qhn.get_simulator(name).state(angles)
    amplitudes = np.zeros(2**n, dtype=complex)
    amplitudes[entangle_indices(np.arange(2**n), n, n_layers)] = re + 1j * im
    overlap = np.vdot(oracles.state(angles), amplitudes)
    assert abs(overlap) == pytest.approx(1, abs=1e-6)


@ALL
@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_row_of_the_batch_is_the_circuit_on_its_own(name, n_layers):
    angles = oracles.random_angles(0, 5, n_layers, 2, 6)
    simulator = qhn.get_simulator(name)
    batch = simulator.probabilities(angles)
    for one, row in zip(angles, batch, strict=True):
        np.testing.assert_array_equal(simulator.probabilities(one[None])[0], row)
    assert len(np.unique(batch.round(9), axis=0)) == 5


@pytest.mark.parametrize("n_layers", [1, 2])
def test_an_empty_batch_gives_an_empty_answer(n_layers):
    simulator = qhn.get_simulator("qsim")
    angles = np.zeros((0, n_layers, 2, 6))
    assert simulator.probabilities(angles).shape == (0, 64)
    assert simulator.sample_indices(angles, np.zeros((0, 9))).shape == (0, 9)


@ALL
@pytest.mark.parametrize("n_layers", [1, 2])
def test_samples_follow_the_probabilities(name, n_layers):
    angles = oracles.random_angles(1, 2, n_layers, 2, 5)
    shots = 20_000
    bits = qhn.get_simulator(name).sample(angles, shots, np.random.default_rng(2))
    assert bits.shape == (2, shots, 5)
    assert bits.dtype == np.uint8
    weights = 2 ** np.arange(4, -1, -1)
    for sampled, theta in zip(bits, angles, strict=True):
        expected = shots * oracles.probabilities(theta)
        observed = np.bincount(sampled @ weights, minlength=32)
        bins = np.where(expected >= 5, np.arange(32), 32)  # rare outcomes share one bin
        observed, expected = np.bincount(bins, observed), np.bincount(bins, expected)
        filled = expected > 0
        assert stats.chisquare(observed[filled], expected[filled], sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("n_layers", [1, 2])
def test_sampling_inverts_the_cumulated_probabilities(n_layers):
    angles = oracles.random_angles(3, 3, n_layers, 2, 6)
    uniforms = np.random.default_rng(4).random((3, 200))
    drawn = qhn.get_simulator("qsim").sample_indices(angles, uniforms)
    again = qhn.get_simulator("cirq").sample_indices(angles, uniforms)
    cumulated = [np.cumsum(oracles.probabilities(a)) for a in angles]
    expected = [np.searchsorted(c, u, side="right") for c, u in zip(cumulated, uniforms, strict=True)]
    np.testing.assert_array_equal(again, expected)
    if n_layers > 1:
        np.testing.assert_array_equal(drawn, expected)
        return
    # one layer inverts the product before its CX gates: another order, the same distribution
    flat = np.linspace(0, 1, 2_000, endpoint=False) + 1 / 4_000
    drawn = qhn.get_simulator("qsim").sample_indices(angles, np.tile(flat, (3, 1)))
    for row, theta in zip(drawn, angles, strict=True):
        frequency = np.bincount(row, minlength=64) / 2_000
        np.testing.assert_allclose(frequency, oracles.probabilities(theta), atol=1.1 / 2_000)


def test_many_circuits_are_sampled_in_chunks_without_a_seam(monkeypatch):
    angles = oracles.random_angles(5, 7, 2, 2, 5)
    uniforms = np.random.default_rng(6).random((7, 50))
    simulator = qhn.get_simulator("qsim")
    whole = simulator.sample_indices(angles, uniforms)
    monkeypatch.setattr(simulators.base, "CHUNK_BYTES", 3 * 8 * 32)
    np.testing.assert_array_equal(simulator.sample_indices(angles, uniforms), whole)


def test_the_same_generator_gives_the_same_samples():
    angles = oracles.random_angles(7, 2, 2, 2, 5)
    simulator = qhn.get_simulator("qsim")
    one, two, other = (simulator.sample(angles, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("shots", [0, -3])
def test_sampling_needs_a_shot(shots):
    with pytest.raises(ValueError, match=f"shots={shots}: .*1 or more"):
        qhn.get_simulator("qsim").sample(np.zeros((1, 1, 2, 3)), shots, np.random.default_rng(0))


def without(name):
    return SimpleNamespace(**{k: getattr(QSIM, k) for k in dir(QSIM) if k != name})


def changed(**functions):
    return SimpleNamespace(**{**{k: getattr(QSIM, k) for k in dir(QSIM)}, **functions})


def wrong_numbers(options, start):
    return QSIM.qsim_simulate_fullstate(options, start)[::-1].copy()


MISBEHAVIOURS = {
    "no add_matrix_gate": (lambda: without("add_matrix_gate"), "add_matrix_gate"),
    "no Circuit": (lambda: without("Circuit"), "Circuit"),
    "wrong numbers": (lambda: changed(qsim_simulate_fullstate=wrong_numbers), "differs from the public"),
    "another signature": (lambda: changed(qsim_simulate_fullstate=lambda options: None), "TypeError"),
    "an empty array": (
        lambda: changed(qsim_simulate_fullstate=lambda options, start: np.zeros(0, np.float32)),
        "returned 0 numbers for 5 qubits, not 64",
    ),
}


@pytest.mark.parametrize("case", MISBEHAVIOURS)
def test_the_public_simulator_takes_over_from_a_changed_private_module(case, monkeypatch, fresh_checks):
    make, reason = MISBEHAVIOURS[case]
    monkeypatch.setattr(qsimcirq, "qsim", make())
    with pytest.warns(RuntimeWarning, match="fast path is off") as caught:
        simulator = qhn.get_simulator("qsim")
    assert reason in str(caught[0].message)
    angles = oracles.random_angles(8, 3, 3, 2, 6)
    expected = [oracles.probabilities(a) for a in angles]
    np.testing.assert_allclose(simulator.probabilities(angles), expected, rtol=0, atol=1e-6)
    assert qhn.get_simulator("auto", n_qubits=24).name == "qsim"  # and no second warning


def test_the_private_module_in_use_is_the_one_that_was_checked():
    assert qsim.private_module_works()


def test_each_simulator_says_whether_it_is_there_and_why():
    found = {s.name: s for s in qhn.available_simulators()}
    assert list(found) == ["numba", "qsim", "cirq", "qsim-cuda", "qsim-custatevec"]
    assert found["numba"].available
    assert found["qsim"].available
    assert found["cirq"].available
    assert all(len(s.why) > 10 for s in found.values())
    for name, module in (("qsim-cuda", qsimcirq.qsim_gpu), ("qsim-custatevec", qsimcirq.qsim_custatevec)):
        if module is None:
            assert not found[name].available
            assert "compiled without" in found[name].why


def test_an_unknown_simulator_is_refused_with_the_names():
    with pytest.raises(
        ValueError, match=r"simulator='qiskit': must be one of 'auto', 'numba', 'qsim', 'cirq'"
    ):
        qhn.get_simulator("qiskit")


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ("import os; os.abort()", "-6"),
        (
            "import sys; print('CUDA error: no device', file=sys.stderr); sys.exit(1)",
            "CUDA error: no device",
        ),
        ("print('out of memory'); raise SystemExit(3)", "out of memory"),
    ],
)
def test_a_gpu_that_crashes_its_probe_is_reported(probe, why, monkeypatch, fresh_checks):
    monkeypatch.setattr(qsimcirq, "qsim_gpu", object())
    monkeypatch.setattr(simulators, "PROBE", probe)
    cuda = next(s for s in qhn.available_simulators() if s.name == "qsim-cuda")
    assert not cuda.available
    assert "failed" in cuda.why
    assert why in cuda.why
    assert qhn.get_simulator("auto", n_qubits=24).name == "qsim"
    with pytest.raises(
        ValueError, match=r"simulator='qsim-cuda' is not available on this machine: .*failed"
    ):
        qhn.get_simulator("qsim-cuda")


def test_a_gpu_that_hangs_its_probe_is_reported(monkeypatch, fresh_checks):
    def hang(*arguments, timeout, **options):
        raise subprocess.TimeoutExpired("python", timeout)

    monkeypatch.setattr(qsimcirq, "qsim_gpu", object())
    monkeypatch.setattr(subprocess, "run", hang)
    cuda = next(s for s in qhn.available_simulators() if s.name == "qsim-cuda")
    assert not cuda.available
    assert "no answer" in cuda.why


@pytest.mark.skipif(qsimcirq.qsim_gpu is not None, reason="this build of qsimcirq has a GPU module")
def test_the_real_probe_fails_where_there_is_no_gpu(monkeypatch, fresh_checks):
    monkeypatch.setattr(qsimcirq, "qsim_gpu", object())  # the probe's own process has the real one: none
    assert "NoneType" in simulators._probe_gpu("qsim-cuda").why


@pytest.mark.parametrize(
    ("n_qubits", "name"), [(14, "numba"), (19, "numba"), (20, "qsim-cuda"), (26, "qsim-cuda")]
)
def test_auto_takes_a_working_gpu_from_20_qubits(n_qubits, name, monkeypatch, fresh_checks):
    monkeypatch.setattr(qsimcirq, "qsim_gpu", object())
    monkeypatch.setattr(simulators, "PROBE", "")
    assert qhn.get_simulator("auto", n_qubits).name == name
