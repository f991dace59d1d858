"""Colours that must be told apart, by the formulas of sRGB, CIELAB and WCAG 2."""

import re
import tomllib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from qhn_core.figures.style import PIN_COLORS

ROOT = Path(__file__).parents[3]
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE_POINT = np.array([0.9505, 1.0, 1.089])
VISION = {  # Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB
    "usual": np.eye(3),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def linear(color):
    share = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratio = XYZ @ np.clip(rgb, 0, 1) / WHITE_POINT
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    low, high = sorted(XYZ[1] @ linear(color) + 0.05 for color in (one, other))
    return high / low


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("vision", VISION)
def test_pinned_runs_can_be_told_apart(vision):
    seen = [lab(VISION[vision] @ linear(color)) for color in PIN_COLORS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 25


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_train_button_can_be_read_and_seen(theme):
    themes = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
    page, accent = (
        themes[theme]["backgroundColor"],
        themes[theme].get("primaryColor", themes["primaryColor"]),
    )
    buttons = re.findall(
        r"stBaseButton-primary.*background: (#\w{6})", (ROOT / "assets/shell.css").read_text()
    )
    assert len(buttons) == 2, "at rest and under the pointer"
    assert all(contrast(button, "#FFFFFF") > 4.5 for button in buttons), "its text"
    assert contrast(buttons[0], page) > 3, "the button on the page"
    assert contrast(accent, page) > 4.5, "text in the accent colour"
    assert all(contrast(color, page) > 3 for color in PIN_COLORS)
