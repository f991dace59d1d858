import numpy as np
import pytest

from qhn_core import load_dataset

NAMES = pytest.mark.parametrize("name", ["gaussian", "moons", "rings"])
CLUSTERS = {0: [(-1, -2)], 1: [(-2, 1), (1, 1), (2, -2)]}


@NAMES
def test_150_training_and_100_test_points_of_each_class(name):
    data = load_dataset(name)
    assert data.x_train.shape == (300, 2)
    assert data.x_test.shape == (200, 2)
    assert np.bincount(data.y_train).tolist() == [150, 150]
    assert np.bincount(data.y_test).tolist() == [100, 100]


@NAMES
def test_counts_per_class_are_free(name):
    data = load_dataset(name, n_train_per_class=7, n_test_per_class=1)
    assert np.bincount(data.y_train).tolist() == [7, 7]
    assert np.bincount(data.y_test).tolist() == [1, 1]


@NAMES
def test_the_seed_decides_the_points(name):
    load_dataset.cache_clear()
    one = load_dataset(name, seed=3)
    load_dataset.cache_clear()
    two, other = load_dataset(name, seed=3), load_dataset(name, seed=4)
    np.testing.assert_array_equal(one.x_train, two.x_train)
    np.testing.assert_array_equal(one.y_test, two.y_test)
    assert not np.isin(one.x_train, other.x_train).any()


@NAMES
def test_training_and_test_points_are_different_draws(name):
    data = load_dataset(name)
    assert not np.isin(data.x_test, data.x_train).any()


@NAMES
def test_the_test_set_does_not_depend_on_the_size_of_the_training_set(name):
    small, large = load_dataset(name, n_train_per_class=5), load_dataset(name, n_train_per_class=150)
    np.testing.assert_array_equal(small.x_test, large.x_test)


@NAMES
def test_a_shared_dataset_cannot_be_changed(name):
    data = load_dataset(name)
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("label", [0, 1])
def test_gaussian_clusters(part, label):
    data = load_dataset("gaussian", n_train_per_class=6000, n_test_per_class=6000)
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    x = x[y == label]
    centers = np.array(CLUSTERS[label])
    nearest = ((x[:, None] - centers) ** 2).sum(axis=-1).argmin(axis=1)
    share = 6000 / len(centers)
    for i, center in enumerate(centers):
        points = x[nearest == i]
        assert len(points) == pytest.approx(share, abs=5 * np.sqrt(share))
        np.testing.assert_allclose(points.mean(axis=0), center, atol=5 * np.sqrt(0.1 / share))
        np.testing.assert_allclose(np.cov(points.T), 0.1 * np.eye(2), atol=5 * 0.1 * np.sqrt(2 / share))


def test_moons_without_noise_are_two_half_circles():
    data = load_dataset("moons", noise=0)
    upper, lower = (data.x_train[data.y_train == label] for label in (0, 1))
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-12)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1, atol=1e-12)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5


def test_rings_without_noise_are_circles_of_radius_2_and_1():
    data = load_dataset("rings", noise=0)
    np.testing.assert_allclose(np.hypot(*data.x_train.T), np.where(data.y_train == 0, 2, 1), atol=1e-12)
    assert (data.x_train.min(axis=0) < -1.9).all()
    assert (data.x_train.max(axis=0) > 1.9).all()


@pytest.mark.parametrize(
    ("name", "noise", "std"), [("moons", None, 0.3), ("rings", None, 0.2), ("moons", 0.7, 0.7)]
)
def test_noise_is_a_standard_deviation(name, noise, std):
    noisy = load_dataset(name, noise=noise, n_train_per_class=5000)
    clean = load_dataset(name, noise=0, n_train_per_class=5000)
    difference = noisy.x_train - clean.x_train
    np.testing.assert_allclose(difference.std(axis=0), std, rtol=0.05)
    np.testing.assert_allclose(difference.mean(axis=0), 0, atol=5 * std / 100)


def test_gaussian_noise_is_an_option_too():
    data = load_dataset("gaussian", noise=1e-9)
    distances = np.abs(data.x_train[:, None] - np.array(CLUSTERS[0] + CLUSTERS[1])).max(axis=-1)
    assert distances.min(axis=1).max() < 1e-7


@NAMES
def test_scale_multiplies_every_coordinate(name):
    one, three = load_dataset(name, scale=1.0), load_dataset(name, scale=3.0)
    np.testing.assert_allclose(three.x_train, 3 * one.x_train)
    np.testing.assert_allclose(three.x_test, 3 * one.x_test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "spirals"}, "dataset='spirals': must be one of 'gaussian', 'moons', 'rings'"),
        ({"n_train_per_class": 0}, "n_train_per_class=0: .*1 or more"),
        ({"n_test_per_class": -1}, "n_test_per_class=-1: .*1 or more"),
        ({"seed": -1}, "seed=-1: .*0"),
        ({"noise": -0.1}, "noise=-0.1: .*0 or more"),
        ({"noise": np.nan}, "noise=nan: .*finite"),
        ({"noise": np.inf}, "noise=inf: .*finite"),
        ({"scale": 0.0}, "scale=0.0: .*above 0"),
        ({"scale": np.inf}, "scale=inf: .*finite"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(**{"name": "gaussian", **arguments})
