"""The three two-class datasets of Section IV, and one of 64 coordinates."""

from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.config import DatasetName

DEFAULTS = {"gaussian": (0.1**0.5, 1.0), "moons": (0.3, 1.0), "rings": (0.1, 2.0), "digits": (0.0, 0.25)}
"""(noise, scale) of each dataset; gaussian's noise is the square root of the covariance 0.1."""
GAUSSIAN_CENTERS = {0: [(-1, -2)], 1: [(-2, 1), (1, 1), (2, -2)]}
"""Clusters of each class, equally likely: those of the original code, arXiv:2301.08292."""


@dataclass(frozen=True, eq=False)  # arrays have no single truth value, so a data set equals itself only
class Dataset:
    """Points x (n, n_inputs) and labels y (n,) of 0 and 1, for training and for test; read-only."""

    x_train: Float
    y_train: Index
    x_test: Float
    y_test: Index

    def __post_init__(self) -> None:
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            array.setflags(write=False)

    @property
    def parts(self) -> tuple[tuple[str, Float, Index], tuple[str, Float, Index]]:
        """("train", its points, its labels) and ("test", ...)."""
        return ("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)


def _gaussian(n: int, noise: float, rng: np.random.Generator) -> tuple[Float, Index]:
    points = []
    for centers in GAUSSIAN_CENTERS.values():
        chosen = np.array(centers, dtype=float)[rng.integers(len(centers), size=n)]
        points.append(chosen + noise * rng.standard_normal((n, 2)))
    return np.concatenate(points), np.repeat([0, 1], n)


def _draw(name: str, n: int, noise: float, rng: np.random.Generator) -> tuple[Float, Index]:
    if name == "gaussian":
        return _gaussian(n, noise, rng)
    from sklearn.datasets import make_circles, make_moons  # takes 1 s to import; gaussian does not need it

    seed = int(rng.integers(2**31))
    if name == "moons":
        x, y = make_moons((n, n), noise=noise, random_state=seed)
    else:
        x, y = make_circles((n, n), noise=noise, factor=0.5, random_state=seed)
    return x, y.astype(np.int64)


def _digits(counts: tuple[int, int], noise: float, rng: np.random.Generator) -> list[tuple[Float, Index]]:
    """Training and test images of even (0) and odd (1) digits, no image twice: scikit-learn's 8x8 digits.

    64 grey levels from -1 (white) to 1 (black), row by row.
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    by_class = [rng.permutation(np.flatnonzero(digits % 2 == label)) for label in (0, 1)]
    most = min(map(len, by_class))
    if sum(counts) > most:
        raise ValueError(
            f"n_train_per_class={counts[0]}, n_test_per_class={counts[1]}: dataset='digits' has {most} "
            "images of each class, so their sum must not be larger"
        )
    parts, start = [], 0
    for count in counts:
        chosen = np.concatenate([rows[start : start + count] for rows in by_class])
        x = images[chosen] / 8 - 1
        parts.append((x + noise * rng.standard_normal(x.shape), np.repeat([0, 1], count)))
        start += count
    return parts


@lru_cache(maxsize=64)
def load_dataset(
    name: str,
    seed: int = 0,
    n_train_per_class: int = 150,
    n_test_per_class: int = 100,
    noise: float | None = None,
    scale: float | None = None,
) -> Dataset:
    """Make a seeded, balanced dataset: "gaussian", "moons", "rings" or "digits" (8x8 images, odd or even).

    noise: standard deviation of the noise, before scaling. scale: factor on all coordinates. Both
    default to the dataset's own (`DEFAULTS`). Training and test points are drawn independently; the
    two sets of digits share no image. Results are cached.
    Raises ValueError for an unknown name or a value out of range.

    >>> data = load_dataset("moons")
    >>> data.x_train.shape, data.y_train.mean(), data.x_test.shape
    ((300, 2), np.float64(0.5), (200, 2))
    """
    if name not in get_args(DatasetName):
        raise ValueError(f"dataset={name!r}: must be one of {', '.join(map(repr, get_args(DatasetName)))}")
    if seed < 0:
        raise ValueError(f"seed={seed}: must be a whole number, 0 or more")
    for field, count in (("n_train_per_class", n_train_per_class), ("n_test_per_class", n_test_per_class)):
        if count < 1:
            raise ValueError(f"{field}={count}: must be a whole number, 1 or more")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise={noise}: must be a finite number, 0 or more")
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale={scale}: must be a finite number above 0")
    default_noise, default_scale = DEFAULTS[name]
    noise = default_noise if noise is None else noise
    scale = default_scale if scale is None else scale
    counts = (n_train_per_class, n_test_per_class)
    streams = np.random.SeedSequence(seed).spawn(2)
    if name == "digits":
        parts = _digits(counts, noise, np.random.default_rng(streams[0]))
    else:
        rngs = map(np.random.default_rng, streams)
        parts = [_draw(name, n, noise, rng) for n, rng in zip(counts, rngs, strict=True)]
    (x_train, y_train), (x_test, y_test) = parts
    return Dataset(scale * x_train, y_train, scale * x_test, y_test)
