import itertools

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from qhn_core import BinaryNetwork
from tests.unit import oracles

#       W1 row 1  W1 row 2   W2      b2   b1      activation
BITS = [1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1]
POINT = np.array([[2.0, 3.0]])


def test_the_layout_by_hand_with_relu():
    # hidden: 2-3-1 = -2 -> 0, -2+3+1 = 2, 2+3+1 = 6; logit: 0 + 2 - 6 + 1
    logits = BinaryNetwork().logits(np.array([[*BITS, 0]], dtype=np.uint8), POINT)
    assert logits.tolist() == [[-3.0]]


def test_the_last_bit_chooses_the_sigmoid():
    logits = BinaryNetwork().logits(np.array([[*BITS, 1]], dtype=np.uint8), POINT)
    assert logits[0, 0] == pytest.approx(expit(-2) + expit(2) - expit(6) + 1, abs=1e-14)


@pytest.mark.parametrize(("n_inputs", "n_hidden", "n_bits"), [(2, 3, 14), (2, 1, 6), (1, 2, 8), (3, 4, 22)])
def test_logits_are_those_of_plain_loops(n_inputs, n_hidden, n_bits):
    rng = np.random.default_rng(n_bits)
    network = BinaryNetwork(n_inputs, n_hidden)
    assert network.n_bits == n_bits
    bits = rng.integers(2, size=(20, n_bits), dtype=np.uint8)
    x = rng.normal(size=(9, n_inputs))
    expected = [[oracles.logit(b, point, n_hidden) for point in x] for b in bits]
    np.testing.assert_allclose(network.logits(bits, x), expected, atol=1e-12)


def test_log_likelihood_is_minus_sklearns_log_loss():
    rng = np.random.default_rng(0)
    network = BinaryNetwork()
    bits = rng.integers(2, size=(5, 14), dtype=np.uint8)
    x, y = rng.normal(size=(30, 2)), rng.integers(2, size=30)
    expected = [-log_loss(y, expit(z), normalize=False) for z in network.logits(bits, x)]
    np.testing.assert_allclose(network.log_likelihood(bits, x, y), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e150])
def test_huge_logits_lose_nothing(size):
    ones = np.ones((1, 14), dtype=np.uint8)
    ones[0, -1] = 0  # ReLU: the logit is 3 (2 size + 1) + 1
    x = np.array([[size, size]])
    logit = 6 * size + 4
    network = BinaryNetwork()
    assert network.log_likelihood(ones, x, np.array([0]))[0] == pytest.approx(-logit, rel=1e-14)
    assert network.log_likelihood(ones, x, np.array([1]))[0] == pytest.approx(-np.exp(-logit), abs=1e-300)
    ones[0, -1] = 1  # a saturated sigmoid is 1, without a warning
    assert network.logits(ones, -x)[0, 0] == pytest.approx(1, abs=1e-12)


def test_hidden_neurons_can_be_permuted():
    rng = np.random.default_rng(1)
    network = BinaryNetwork()
    bits = rng.integers(2, size=14, dtype=np.uint8)
    x = rng.normal(size=(10, 2))
    w1, w2, b2, b1, activation = np.split(bits, [6, 9, 10, 13])
    same = [
        np.concatenate(
            [w1.reshape(2, 3)[:, order].ravel(), w2[list(order)], b2, b1[list(order)], activation]
        )
        for order in itertools.permutations(range(3))
    ]
    logits = network.logits(np.array(same), x)
    np.testing.assert_allclose(logits, np.tile(logits[0], (6, 1)), atol=1e-14)


@pytest.mark.parametrize("n_hidden", [1, 2])
def test_canonical_bits_name_each_function_of_permuted_neurons_once(n_hidden):
    n = 4 * n_hidden + 2
    canonical = BinaryNetwork(2, n_hidden).canonical(oracles.all_bits(n))
    neurons = itertools.combinations_with_replacement(range(2**4), n_hidden)  # each has 2 + 1 + 1 bits
    assert len(np.unique(canonical, axis=0)) == len(list(neurons)) * 2 * 2  # and b2 and the activation
    np.testing.assert_array_equal(BinaryNetwork(2, n_hidden).canonical(canonical), canonical)


def test_canonical_bits_are_the_same_function():
    rng = np.random.default_rng(2)
    network, bits = BinaryNetwork(), rng.integers(2, size=(200, 14), dtype=np.uint8)
    kept, x = bits.copy(), rng.normal(size=(10, 2))
    canonical = network.canonical(bits)
    np.testing.assert_allclose(network.logits(canonical, x), network.logits(bits, x), atol=1e-12)
    assert (canonical != bits).any()
    np.testing.assert_array_equal(bits, kept)


def test_weights_are_named_and_signed():
    w1, w2, b2, b1 = BinaryNetwork().weights(np.array([*BITS, 0], dtype=np.uint8))
    assert w1.tolist() == [[1, -1, 1], [-1, 1, 1]]
    assert w2.tolist() == [1, 1, -1]
    assert b2.tolist() == 1
    assert b1.tolist() == [-1, 1, 1]


@pytest.mark.parametrize("field", ["n_inputs", "n_hidden"])
def test_a_network_needs_inputs_and_hidden_neurons(field):
    with pytest.raises(ValueError, match=f"{field}=0: must be a whole number, 1 or more"):
        BinaryNetwork(**{field: 0})


def test_bits_of_another_network_are_refused():
    with pytest.raises(ValueError, match="bits has 13 columns; this network needs 14"):
        BinaryNetwork().logits(np.zeros((1, 13), dtype=np.uint8), POINT)
