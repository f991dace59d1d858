"""Small pictures that the controls show."""

from math import isqrt
from typing import get_args

import numpy as np
import streamlit as st

from qhn_core.config import DatasetName
from qhn_core.datasets import Dataset, load_dataset
from qhn_core.figures import CLASS_COLORS

SIDE = 100


@st.cache_data(show_spinner=False)
def dataset_pictures() -> str:
    """Training data of each dataset side by side, as one SVG: points in the plane, or an image."""
    names = get_args(DatasetName)
    panels = [_panel(name, (SIDE + 12) * i) for i, name in enumerate(names)]
    width = (SIDE + 12) * len(names) - 12
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE}">{"".join(panels)}</svg>'


def _panel(name: str, left: int) -> str:
    data = load_dataset(name)
    if data.x_train.shape[1] != 2:
        return _images(data, left)
    low, high = data.x_train.min(axis=0), data.x_train.max(axis=0)
    unit = (data.x_train - (low + high) / 2) / (high - low).max()
    dots = [
        f'<circle cx="{left + SIDE * (0.5 + 0.92 * x):.1f}" cy="{SIDE * (0.5 - 0.92 * y):.1f}" r="1.7" '
        f'fill="{CLASS_COLORS[label]}" fill-opacity="0.75"/>'
        for (x, y), label in zip(unit, data.y_train, strict=True)
    ]
    return "".join(dots)


def _images(data: Dataset, left: int) -> str:
    """Four images, two of each class in its colour; ink is opacity."""
    side = isqrt(data.x_train.shape[1])
    shown = [i for label in (0, 1) for i in np.flatnonzero(data.y_train == label)[:2]]
    pixel = 0.46 * SIDE / side
    dots = []
    for place, i in enumerate(shown):
        x0, y0 = left + SIDE * (0.02 + 0.5 * (place % 2)), SIDE * (0.02 + 0.5 * (place // 2))
        ink = (data.x_train[i] - data.x_train.min()) / np.ptp(data.x_train)
        dots += [
            f'<rect x="{x0 + pixel * (k % side):.1f}" y="{y0 + pixel * (k // side):.1f}" '
            f'width="{pixel:.2f}" height="{pixel:.2f}" fill="{CLASS_COLORS[data.y_train[i]]}" '
            f'fill-opacity="{depth:.2f}"/>'
            for k, depth in enumerate(ink)
            if depth > 0.05
        ]
    return "".join(dots)
