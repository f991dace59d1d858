"""One and two layers in closed form, against Cirq's state vector and brute force."""

import numpy as np
import pytest
from scipy import stats

from qhn_core import RunConfig
from qhn_core.bits import words_to_bits
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.circuits.divergences import correlator_spectrum, mmd_squared_unbiased
from qhn_core.kernels import contraction, correlators, group_samples, groups
from tests.unit import oracles

SIZES = pytest.mark.parametrize("n", [2, 3, 6, 7])
LAYERS = pytest.mark.parametrize("n_layers", [1, 2])
KEYS = np.array([[1, 2], [3, 4]], dtype=np.uint64)


def some(n, n_layers, seed=0, count=3):
    """(angles (count, L, 2, n), their groups' probabilities, their distributions on Cirq)."""
    angles = oracles.random_angles(seed, count, n_layers, 2, n)
    return angles, groups.group_probabilities(angles), np.array([oracles.probabilities(a) for a in angles])


def closed_form(angles, h=1.3):
    """The circuits at angles (S, L, 2, n), for any n."""
    return ClosedForm(RunConfig(bandwidth=h), angles)


@SIZES
@LAYERS
@pytest.mark.parametrize("h", [0.4, 1.3, 9.0])
def test_kl_and_mmd_are_those_of_cirqs_distribution(n, n_layers, h):
    angles, _, q = some(n, n_layers)
    circuits = closed_form(angles, h)
    np.testing.assert_allclose(circuits.kl(), [oracles.kl(x) for x in q], rtol=1e-10)
    np.testing.assert_allclose(circuits.mmd_squared(), [oracles.mmd_squared(x, h) for x in q], rtol=1e-9)


@SIZES
@LAYERS
def test_slopes_are_finite_differences(n, n_layers):
    angles, _, _ = some(n, n_layers)
    circuits = closed_form(angles)
    for value, by_group in (
        (lambda x: closed_form(x).kl(), circuits.kl_slopes()),
        (lambda x: closed_form(x).mmd_squared(), circuits.mmd_slopes()),
    ):
        slope = groups.angle_slopes(angles, by_group).reshape(len(angles), -1)
        steps = 1e-6 * np.eye(slope.shape[1]).reshape(-1, *angles.shape[1:])
        numeric = np.stack([(value(angles + s) - value(angles - s)) / 2e-6 for s in steps], axis=1)
        np.testing.assert_allclose(slope, numeric, atol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@LAYERS
def test_the_spectrum_adds_up_one_parity_of_bits_after_the_other(n, n_layers):
    angles = oracles.random_angles(3, 2, n_layers, 2, n)
    angles[1, :, 0, 0] = 0.0  # a bit that is certain
    q = np.array([oracles.probabilities(theta) for theta in angles])
    starts = groups.group_starts(n_layers, n)
    spectra = correlators.chain_spectra(groups.group_probabilities(angles), starts, n_layers % 2)
    signs = 1 - 2.0 * oracles.all_bits(n)
    for row, spectrum in zip(q, spectra, strict=True):
        expected = np.zeros(n + 1)
        for subset in oracles.all_bits(n).astype(bool):
            expected[subset.sum()] += (row @ signs[:, subset].prod(axis=1)) ** 2
        np.testing.assert_allclose(spectrum, expected, atol=1e-12)
    np.testing.assert_allclose(correlator_spectrum(q), spectra, atol=1e-12)


@LAYERS
def test_mmd_of_many_qubits_neither_overflows_nor_vanishes(n_layers):
    n = 1000
    point, flat = np.zeros((2, 1, n_layers, 2, n))
    flat[0, 0, 0] = np.pi / 2
    e = np.exp(-1 / 250**2)
    certain = closed_form(point, 250.0).mmd_squared()[0]
    assert certain == pytest.approx(1 - ((1 + e) / 2) ** n, rel=1e-9)
    assert closed_form(flat, 250.0).mmd_squared()[0] == pytest.approx(0, abs=1e-30)
    strangers = closed_form(point, 0.05).mmd_squared()[0]  # e = 0: all strings are
    assert strangers == pytest.approx(1)


@LAYERS
def test_mmd_of_64_qubits_is_what_samples_estimate(n_layers):
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, (1, n_layers, 2, 64))
    found = groups.group_probabilities(angles)
    keys = np.array([[5, i] for i in range(40)], dtype=np.uint64)
    starts = groups.group_starts(n_layers, 64)
    words = group_samples.group_samples(np.tile(found, (40, 1, 1)), starts, n_layers % 2, keys, 1, 200)
    drawn = words_to_bits(words, 64)
    prior = rng.integers(0, 2, size=drawn.shape, dtype=np.uint8)
    estimates = [mmd_squared_unbiased(x, y, 8.0) for x, y in zip(drawn, prior, strict=True)]
    error = np.std(estimates, ddof=1) / np.sqrt(40)
    exact = closed_form(angles, 8.0).mmd_squared()[0]
    assert error < 0.15 * exact
    assert np.mean(estimates) == pytest.approx(exact, abs=4 * error)


@SIZES
@LAYERS
def test_the_most_probable_bits_and_their_probability(n, n_layers):
    angles, _, q = some(n, n_layers, seed=3, count=6)
    expected = np.array([oracles.bits(x.argmax(), n) for x in q])
    np.testing.assert_array_equal(ClosedForm(RunConfig(), angles).most_probable_bits(), expected)
    for theta, row in zip(angles, q, strict=True):
        np.testing.assert_allclose(
            ClosedForm(RunConfig(), theta[None]).probability(oracles.all_bits(n)), row, atol=1e-14
        )


@SIZES
@LAYERS
def test_contractions_are_sums_over_all_networks(n, n_layers):
    angles, found, q = some(n, n_layers)
    starts = groups.group_starts(n_layers, n)
    tables = np.random.default_rng(n).standard_normal((2, 2**n))
    means = contraction.group_means(tables, found, starts, n_layers % 2)
    np.testing.assert_allclose(means, q @ tables.T, atol=1e-12)
    slopes = contraction.group_mean_slopes(tables[0], found, starts, n_layers % 2)
    for theta, slope in zip(angles, groups.angle_slopes(angles, slopes), strict=True):
        plus, minus = oracles.shifted_probabilities(theta, np.pi / 2)
        np.testing.assert_allclose(slope.ravel(), (plus - minus) @ tables[0] / 2, atol=1e-12)


@LAYERS
def test_no_contraction_depends_on_the_rest_of_its_batch(n_layers):
    angles, found, _ = some(7, n_layers, count=70)
    starts = groups.group_starts(n_layers, 7)
    table = np.random.default_rng(1).standard_normal((1, 128))
    for kernel, values in ((contraction.group_means, table), (contraction.group_mean_slopes, table[0])):
        together = kernel(values, found, starts, n_layers)
        for rows in (slice(0, 1), slice(5, 8), slice(31, 70)):
            alone = kernel(values, found[rows], starts, n_layers)
            assert alone.tobytes() == together[rows].tobytes()
    assert angles.shape[0] == 70


def assert_follows(indices, q):
    """Chi-square of drawn basis states against a distribution; rare outcomes share one bin."""
    expected = indices.size * q
    bins = np.where(expected >= 5, np.arange(q.size), q.size)
    observed = np.bincount(bins, np.bincount(indices, minlength=q.size))
    expected = np.bincount(bins, expected)
    filled = expected > 0
    return stats.chisquare(observed[filled], expected[filled], sum_check=False).pvalue


@SIZES
@LAYERS
def test_samples_follow_cirqs_distribution(n, n_layers):
    _, found, q = some(n, n_layers, count=2)
    drawn = group_samples.group_samples(
        found, groups.group_starts(n_layers, n), n_layers % 2, KEYS, 1, 20_000
    )
    assert drawn.shape == (2, 1, 20_000)
    assert min(assert_follows(x[0], p) for x, p in zip(drawn, q, strict=True)) > 1e-3


@LAYERS
def test_shifted_samples_follow_the_shifted_circuits(n_layers):
    angles = oracles.random_angles(1, n_layers, 2, 5)
    drawn = group_samples.shifted_group_samples(angles, KEYS[0], 2, 20_000)
    plus, minus = oracles.shifted_probabilities(angles, np.pi / 2)
    both = np.stack([plus, minus], axis=1).reshape(-1, 32)
    values = [assert_follows(x[0], p) for x, p in zip(drawn, both, strict=True)]
    assert min(values) > 1e-3 / len(values)
    assert stats.kstest(values, "uniform").pvalue > 1e-3  # independent circuits, none better than chance
    assert len(np.unique(drawn[:, 0], axis=0)) == len(values) == 20 * n_layers


def test_long_bitstrings_have_every_bit_and_every_cx():
    """140 qubits: three words, and seven uniforms a shot."""
    n, count = 140, 40_000
    turns = np.random.default_rng(4).uniform(0.3, np.pi - 0.3, n)
    ones = np.sin(turns / 2) ** 2
    found = groups.group_probabilities(np.stack([turns, 0 * turns])[None, None])
    words = group_samples.group_samples(found, groups.group_starts(1, n), 1, KEYS[:1], 1, count)
    bits = words_to_bits(words[0], n).astype(int)
    before = bits.copy()
    before[:, 2:139:2] ^= bits[:, 1:138:2]  # undo CX(1, 2), CX(3, 4), ...
    error = np.sqrt(ones * (1 - ones) / count)
    np.testing.assert_array_less(abs(before.mean(axis=0) - ones), 4.5 * error + 1e-9)
    free = np.corrcoef(before.T)  # and independent before the CX gates
    assert abs(free - np.eye(n)).max() < 5.5 / np.sqrt(count)
    assert abs(np.corrcoef(bits.T) - np.eye(n)).max() > 0.5  # not after them


def test_long_bitstrings_of_two_layers_have_every_pair():
    """140 qubits: each pair follows Cirq's circuit of the pair alone, and the CX of layer 2 join pairs."""
    n, count = 140, 20_000
    angles = oracles.random_angles(9, 2, 2, n)
    found = groups.group_probabilities(angles[None])
    words = group_samples.group_samples(found, groups.group_starts(2, n), 0, KEYS[:1], 1, count)
    bits = words_to_bits(words[0], n).astype(int)
    bits[:, 1::2] ^= bits[:, ::2]  # undo CX(0, 1), CX(2, 3), ...
    for first in (1, 61, 63, 137):  # within a word, and on the border of two
        pair = np.zeros((2, 2, 3))  # as qubits 1 and 2 of three, which a CX of layer 1 joins
        pair[:, :, 1:] = angles[:, :, first : first + 2]
        q = oracles.probabilities(pair).reshape(2, 4).sum(axis=0)  # of layer 2, CX(0, 1) acts on a 0
        assert assert_follows(2 * bits[:, first] + bits[:, first + 1], q) > 1e-3


@pytest.mark.parametrize("theta", [0.0, np.pi, 2 * np.pi])
@LAYERS
def test_certain_qubits_are_certain(theta, n_layers):
    angles = np.zeros((1, n_layers, 2, 70))
    angles[0, 0, 0] = theta
    found = groups.group_probabilities(angles).round(12)
    words = group_samples.group_samples(
        found, groups.group_starts(n_layers, 70), n_layers % 2, KEYS[:1], 1, 500
    )
    assert (words_to_bits(words[0], 70) == ClosedForm(RunConfig(), angles).most_probable_bits()[0]).all()
