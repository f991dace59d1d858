"""The three two-class datasets of Section IV."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.config import DatasetName

DEFAULTS = {"gaussian": (0.1**0.5, 1.0), "moons": (0.3, 1.0), "rings": (0.1, 2.0)}
"""(noise, scale) of each dataset; gaussian's noise is the square root of the covariance 0.1."""
GAUSSIAN_CENTERS = {0: [(-1, -2)], 1: [(-2, 1), (1, 1), (2, -2)]}
"""Clusters of each class, equally likely: those of the original code, arXiv:2301.08292."""


@dataclass(frozen=True)
class Dataset:
    """Points x (n, 2) and labels y (n,) of 0 and 1, for training and for test; read-only."""

    x_train: Float
    y_train: Index
    x_test: Float
    y_test: Index

    def __post_init__(self) -> None:
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            array.setflags(write=False)


def _gaussian(n: int, noise: float, rng: np.random.Generator) -> tuple[Float, Index]:
    points = []
    for centers in GAUSSIAN_CENTERS.values():
        chosen = np.array(centers, dtype=float)[rng.integers(len(centers), size=n)]
        points.append(chosen + noise * rng.standard_normal((n, 2)))
    return np.concatenate(points), np.repeat([0, 1], n)


def _draw(name: str, n: int, noise: float, rng: np.random.Generator) -> tuple[Float, Index]:
    if name == "gaussian":
        return _gaussian(n, noise, rng)
    from sklearn.datasets import make_circles, make_moons  # 1 s to import; gaussian needs none of it

    seed = int(rng.integers(2**31))
    if name == "moons":
        x, y = make_moons((n, n), noise=noise, random_state=seed)
    else:
        x, y = make_circles((n, n), noise=noise, factor=0.5, random_state=seed)
    return x, y.astype(np.int64)


@lru_cache(maxsize=64)
def load_dataset(
    name: str,
    seed: int = 0,
    n_train_per_class: int = 150,
    n_test_per_class: int = 100,
    noise: float | None = None,
    scale: float | None = None,
) -> Dataset:
    """A seeded, balanced dataset: "gaussian", "moons" or "rings".

    noise: standard deviation of the noise, before scaling; scale: factor on all coordinates;
    both default to the dataset's own (`DEFAULTS`). Training and test points are independent draws.
    Raises ValueError for an unknown name or a value out of range.

    >>> data = load_dataset("moons")
    >>> data.x_train.shape, data.y_train.mean(), data.x_test.shape
    ((300, 2), np.float64(0.5), (200, 2))
    """
    if name not in get_args(DatasetName):
        raise ValueError(f"dataset={name!r}: allowed are {', '.join(map(repr, get_args(DatasetName)))}")
    if seed < 0:
        raise ValueError(f"seed={seed}: needed is a whole number, 0 or more")
    for field, count in (("n_train_per_class", n_train_per_class), ("n_test_per_class", n_test_per_class)):
        if count < 1:
            raise ValueError(f"{field}={count}: needed is a whole number, 1 or more")
    if noise is not None and not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise={noise}: needed is a finite number, 0 or more")
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale={scale}: needed is a finite number above 0")
    default_noise, default_scale = DEFAULTS[name]
    noise = default_noise if noise is None else noise
    scale = default_scale if scale is None else scale
    parts: list[Any] = []
    for stream, n in zip(
        np.random.SeedSequence(seed).spawn(2), (n_train_per_class, n_test_per_class), strict=True
    ):
        x, y = _draw(name, n, noise, np.random.default_rng(stream))
        parts += [scale * x, y]
    return Dataset(*parts)
