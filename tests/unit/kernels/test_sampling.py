"""Bitstrings drawn from products, chains and tables: a search in sums, and Cirq's distributions."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from qhn_core import RunConfig, get_simulator
from qhn_core.circuits.base import Draws, seed_keys
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.kernels import sampling
from tests.unit import oracles

BELOW_ONE = np.nextafter(1.0, 0.0)
TURNS = {
    "zero": 0.0,
    "half": np.pi / 2,
    "pi": np.pi,
    "full": 2 * np.pi,
    "tiny": 1e-9,
    "huge": 1e6 + 0.3,
}
"""Angles at which bits are certain, nearly certain, or which cos and sin must reduce first."""
LAYERS = pytest.mark.parametrize("n_layers", [1, 2, 3, 4])


def test_sample_product_is_a_search_in_the_cumulated_product():
    rng = np.random.default_rng(1)
    ones, uniforms = rng.random((5, 6)), rng.random((5, 400))
    expected = []
    for p, u in zip(ones, uniforms, strict=True):
        q = reduce(np.kron, [[1 - x, x] for x in p])
        expected.append(np.searchsorted(np.cumsum(q), u, side="right"))
    np.testing.assert_array_equal(sampling.sample_product(ones, uniforms), expected)


@pytest.mark.parametrize("u", [0.0, 0.3, BELOW_ONE])
def test_sample_product_keeps_certain_bits(u):
    ones = np.array([[0.0, 1.0, 1.0, 0.0, 1.0]])
    assert sampling.sample_product(ones, np.array([[u]]))[0, 0] == 0b01101


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
    last_bit = sampling.sample_product(ones, u[:, None])[:, 0] & 1
    assert np.count_nonzero(last_bit == impossible) == 0


@pytest.mark.parametrize("total", [1.0, 1 - 1e-6, 3.0])
def test_sample_table_is_a_search_in_the_cumulated_probabilities(total):
    rng = np.random.default_rng(3)
    q, uniforms = rng.dirichlet(np.full(32, 0.5), size=4), rng.random((4, 500))
    expected = [np.searchsorted(np.cumsum(p), u, side="right") for p, u in zip(q, uniforms, strict=True)]
    np.testing.assert_array_equal(sampling.sample_table(q * total, uniforms), expected)


@pytest.mark.parametrize("total", [1.0, 0.3, 1 / 3, 7.7])
def test_sample_table_never_draws_an_impossible_outcome(total):
    q = np.array([0, 0, 0.1, 0, 0.2, 0.3, 0, 0.4, 0, 0]) * total
    steps = np.cumsum(q) / q.sum()
    near = np.concatenate([np.nextafter(steps, 0), steps, np.nextafter(steps, 2), [0.0, BELOW_ONE]])
    drawn = sampling.sample_table(q[None], near[(near >= 0) & (near < 1)][None])[0]
    assert set(drawn) == {2, 4, 5, 7}


def mixed(seed, n_layers, n=6):
    """Angles (L, 2, n) drawn from TURNS, and some from all of a turn."""
    rng = np.random.default_rng(seed)
    return rng.choice([*TURNS.values(), *rng.uniform(0, 2 * np.pi, 3)], (n_layers, 2, n))


def angles_of(kind, n_layers):
    """One of TURNS everywhere, the uniform prior but for one certain bit, or a mixture."""
    if kind in TURNS:
        return np.full((n_layers, 2, 6), TURNS[kind])
    if kind == "a certain bit":
        angles = np.zeros((n_layers, 2, 6))
        angles[0, 0, 1:] = np.pi / 2
        return angles
    return mixed(int(kind.removeprefix("mixture ")), n_layers)


KINDS = pytest.mark.parametrize("kind", [*TURNS, "a certain bit", "mixture 1", "mixture 2", "mixture 3"])


def assert_follows(indices, q):
    """Nothing impossible is drawn, and the rest passes a chi-square test; rare outcomes share one bin."""
    counts = np.bincount(indices, minlength=q.size)
    assert counts[q < 1e-12].sum() == 0, "an impossible outcome was drawn"
    expected = indices.size * q
    bins = np.where(expected >= 5, np.arange(q.size), q.size)
    observed, expected = np.bincount(bins, counts), np.bincount(bins, expected)
    filled = expected > 0
    if filled.sum() > 1:
        assert stats.chisquare(observed[filled], expected[filled], sum_check=False).pvalue > 1e-5
    else:
        assert observed[filled] == indices.size


@KINDS
@LAYERS
def test_samples_follow_cirqs_distribution_where_bits_are_certain(kind, n_layers):
    config, angles = RunConfig(n_hidden=1, n_layers=n_layers), angles_of(kind, n_layers)
    draws = Draws(seed_keys(1, np.arange(1)), 1, 5000)
    (_, circuits), *_ = circuit_blocks(config, angles[None])
    assert_follows(circuits.samples(draws)[0, 0], oracles.probabilities(angles))
    shifted = circuits.shifted_samples(0, draws)[:, 0].reshape(-1, 2, 5000)
    for parameter, both in enumerate(zip(*oracles.shifted_probabilities(angles, np.pi / 2), strict=True)):
        for indices, q in zip(shifted[parameter], both, strict=True):
            assert_follows(indices, q)


@KINDS
@LAYERS
@pytest.mark.parametrize("name", ["numba", "qsim"])
def test_simulators_sample_cirqs_distribution_where_bits_are_certain(name, kind, n_layers):
    angles = angles_of(kind, n_layers)
    q = oracles.probabilities(angles)
    q = np.where(q < 1e-9, 0, q) if name == "numba" else q
    bits = get_simulator(name).sample(angles[None], 5000, np.random.default_rng(0))[0]
    indices = bits @ (1 << np.arange(5, -1, -1))
    if name == "numba" or n_layers == 1:
        assert_follows(indices, q)
    else:  # in single precision, q is 0 to within 1e-7
        assert_follows(indices[q[indices] > 1e-7], np.where(q > 1e-7, q, 0))
        assert (q[indices] <= 1e-7).mean() < 1e-3


ANGLE = st.one_of(st.sampled_from(list(TURNS.values())), st.floats(0, 2 * np.pi))


@given(data=st.data(), n_layers=st.integers(1, 4))
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_angles_are_sampled_like_cirqs(data, n_layers):
    values = data.draw(st.lists(ANGLE, min_size=12 * n_layers, max_size=12 * n_layers))
    angles = np.reshape(values, (n_layers, 2, 6))
    draws = Draws(seed_keys(2, np.arange(1)), 1, 2000)
    (_, circuits), *_ = circuit_blocks(RunConfig(n_hidden=1, n_layers=n_layers), angles[None])
    assert_follows(circuits.samples(draws)[0, 0], oracles.probabilities(angles))


def test_a_certain_bit_leaves_the_others_as_they_are():
    """The random number is not used up by a bit that it does not decide, first or not, 0 or 1."""
    uniforms = np.random.default_rng(3).random((1, 200))
    free = np.array([0.3, 0.5, 0.9])
    plain = sampling.sample_product(free[None], uniforms)[0]
    for place in range(4):
        for certain in (0.0, 1.0):
            found = sampling.sample_product(np.insert(free, place, certain)[None], uniforms)[0]
            bits = (found[:, None] >> np.arange(3, -1, -1)) & 1
            assert (bits[:, place] == certain).all()
            np.testing.assert_array_equal(np.delete(bits, place, axis=1) @ [4, 2, 1], plain)
