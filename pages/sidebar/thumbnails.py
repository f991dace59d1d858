"""Small pictures of the datasets above their control."""

from math import isqrt
from typing import get_args

import numpy as np
import streamlit as st

from qhn_core.config import FlatDatasetName
from qhn_core.figures.style import CLASS_COLORS
from qhn_core.model.datasets import load_dataset

SIDE = 100
DIGITS = 10
"""Number of images in the line of digits."""


@st.cache_data(show_spinner=False)
def dataset_pictures() -> str:
    """Return one SVG: training points of the datasets in the plane side by side, digits in a line below."""
    names = get_args(FlatDatasetName)
    panels = [_panel(name, (SIDE + 12) * i) for i, name in enumerate(names)]
    width = (SIDE + 12) * len(names) - 12
    line = _digits(width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE + 10 + width / DIGITS}">'
        f"{''.join(panels)}{line}</svg>"
    )


def _panel(name: str, left: int) -> str:
    data = load_dataset(name)
    low, high = data.x_train.min(axis=0), data.x_train.max(axis=0)
    unit = (data.x_train - (low + high) / 2) / (high - low).max()
    dots = [
        f'<circle cx="{left + SIDE * (0.5 + 0.92 * x):.1f}" cy="{SIDE * (0.5 - 0.92 * y):.1f}" r="1.7" '
        f'fill="{CLASS_COLORS[label]}" fill-opacity="0.75"/>'
        for (x, y), label in zip(unit, data.y_train, strict=True)
    ]
    return "".join(dots)


def _digits(width: int) -> str:
    """A line of training images in the colours of their classes; ink is opacity."""
    data = load_dataset("digits")
    side = isqrt(data.x_train.shape[1])
    pixel = 0.86 * width / DIGITS / side
    dots = []
    for place in range(DIGITS):
        label = place % 2
        image = data.x_train[np.flatnonzero(data.y_train == label)[place // 2]]
        left, top = width / DIGITS * (place + 0.07), SIDE + 10
        dots += [
            f'<rect x="{left + pixel * (k % side):.2f}" y="{top + pixel * (k // side):.2f}" '
            f'width="{pixel:.2f}" height="{pixel:.2f}" fill="{CLASS_COLORS[label]}" '
            f'fill-opacity="{ink:.2f}"/>'
            for k, ink in enumerate((image - image.min()) / np.ptp(image))
            if ink > 0.05
        ]
    return "".join(dots)
