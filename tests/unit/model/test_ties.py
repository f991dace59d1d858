"""Networks and mixtures that do not decide: their accuracy is that of class 0, whatever the rounding."""

import mpmath
import numpy as np
import pytest

from qhn_core import RunConfig
from qhn_core.bits import bits_to_index, bits_to_words, index_to_bits
from qhn_core.kernels import networks
from qhn_core.model.predictions import mixture_scores
from qhn_core.model.scores import SampledScores, score_table

FEW = RunConfig(n_hidden=2, n_train_per_class=4, n_test_per_class=3)  # 2-2-1: 10 bits
DATASETS = pytest.mark.parametrize("dataset", ["gaussian", "moons", "rings"])


def undecided(n_inputs, rng):
    """A sigmoid network of two neurons, the second minus the first: their sum is 1, and b2 = -1 (or 1)."""
    first, bias, sign = rng.integers(0, 2, n_inputs), rng.integers(0, 2), rng.integers(0, 2)
    w1 = np.stack([first, 1 - first], axis=1).ravel()
    return np.array([*w1, sign, sign, 1 - sign, bias, 1 - bias, 1], dtype=np.uint8)


def exact_class(bits, point):
    """1 where the logit is above 0, in 60 digits."""
    n_inputs = len(point)
    w = [2 * int(b) - 1 for b in bits]
    w1, w2, b2, b1 = w[: 2 * n_inputs], w[2 * n_inputs : 2 * n_inputs + 2], w[-4], w[-3:-1]
    with mpmath.workdps(60):
        logit = mpmath.mpf(b2)
        for k in range(2):
            hidden = b1[k] + sum(w1[2 * i + k] * mpmath.mpf(float(x)) for i, x in enumerate(point))
            active = 1 / (1 + mpmath.exp(-hidden)) if bits[-1] else max(hidden, mpmath.mpf(0))
            logit += w2[k] * active
        return int(logit > mpmath.mpf(10) ** -50)


def test_every_accuracy_is_that_of_exact_logits():
    table = score_table(FEW)
    for part, x, y in table.dataset.parts:
        expected = [
            np.mean([exact_class(bits, point) == label for point, label in zip(x, y, strict=True)])
            for bits in index_to_bits(np.arange(1024), 10)
        ]
        np.testing.assert_allclose(getattr(table, f"{part}_accuracy"), expected, rtol=1e-12)
        found = SampledScores(table.dataset, table.network).mean_scores(np.arange(1024)[:, None, None])
        np.testing.assert_allclose(found[f"{part}_accuracy"], expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [None, 1e-6, 30.0])
@DATASETS
def test_an_undecided_network_is_right_half_the_time(dataset, scale):
    table = score_table(RunConfig(n_hidden=2, dataset=dataset, dataset_scale=scale))
    rng = np.random.default_rng(0)
    for _ in range(10):
        index = bits_to_index(undecided(2, rng))
        assert table.train_bce[index] == pytest.approx(np.log(2), rel=1e-12)
        assert (table.train_accuracy[index], table.test_accuracy[index]) == (0.5, 0.5)


def test_an_undecided_network_without_a_table_is_right_half_the_time():
    table = score_table(RunConfig(n_hidden=1))
    rng = np.random.default_rng(1)
    x, y = 5 * rng.standard_normal((300, 64)), np.repeat([0, 1], 150)
    words = bits_to_words(np.array([undecided(64, rng) for _ in range(50)]))
    network = type(table.network)(64, 2)
    signs, columns = 2.0 * y - 1, np.ascontiguousarray(x.T)
    accuracy = networks.score_networks(words, columns, signs, 2, network.tie(x))[1]
    np.testing.assert_array_equal(accuracy, 0.5)
    by_rounding = networks.score_networks(words, columns, signs, 2, 0.0)[1]
    assert (by_rounding != 0.5).any(), "no logit was lifted above 0"


@DATASETS
def test_the_uniform_mixture_is_right_half_the_time(dataset):
    """For each network there is the one with W2 and b2 negated, so P(y = 1 | x) is 1/2 everywhere."""
    table = score_table(RunConfig(n_hidden=2, dataset=dataset))
    scores = mixture_scores(table, np.full((1, 1024), 1 / 1024))
    assert scores["test_bce"][0] == pytest.approx(np.log(2), rel=1e-12)
    assert (scores["train_accuracy"][0], scores["test_accuracy"][0]) == (0.5, 0.5)
