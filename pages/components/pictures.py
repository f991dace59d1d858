"""Small pictures that the controls show."""

from typing import get_args

import streamlit as st

from qhn_core.config import FlatDatasetName
from qhn_core.datasets import load_dataset
from qhn_core.figures import CLASS_COLORS

SIDE = 100


@st.cache_data(show_spinner=False)
def dataset_pictures() -> str:
    """The training points of the three datasets side by side, as one SVG."""
    names = get_args(FlatDatasetName)
    panels = [_panel(name, (SIDE + 12) * i) for i, name in enumerate(names)]
    width = (SIDE + 12) * len(names) - 12
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE}">{"".join(panels)}</svg>'


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
