"""Measures of how rough a surface is, which do not depend on its height.

Each takes values (n, n) of a surface on a square grid and the grid's spacing in radians. It divides the
values by their range first, and returns a number in the unit that its docstring gives.
"""

import numpy as np

from qhn_core.bits import Float

LONGEST_ROUGH_WAVE = 4
"""A Fourier wave counts as rough if it is shorter than the side of the plane divided by this."""


def normalized(values: Float) -> Float:
    """Move and scale a surface to the range 0 to 1; a flat one becomes 0 everywhere."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def mean_slope(values: Float, spacing: float) -> float:
    """Compute the mean |gradient| over the plane, in ranges per radian.

    >>> x = np.linspace(0, 1, 11)
    >>> round(mean_slope(np.tile(x, (11, 1)), spacing=0.1), 6)  # a ramp of one range over one radian
    1.0
    """
    return float(np.hypot(*np.gradient(normalized(values), spacing)).mean())


def slope_variance(values: Float, spacing: float) -> float:
    """Compute the variance of |gradient| over the plane, in squared ranges per squared radian."""
    return float(np.hypot(*np.gradient(normalized(values), spacing)).var())


def total_variation(values: Float, spacing: float) -> float:
    """Sum the |steps| along each grid line; the mean over the lines of both directions, in ranges."""
    z = normalized(values)
    return float(
        (np.abs(np.diff(z, axis=0)).sum(axis=0).mean() + np.abs(np.diff(z, axis=1)).sum(axis=1).mean()) / 2
    )


def concave_share(values: Float, spacing: float) -> float:
    """Compute the share of inner points with two negative curvatures: 1 for a dome, 0 for a bowl."""
    z = normalized(values)
    zyy = z[2:, 1:-1] - 2 * z[1:-1, 1:-1] + z[:-2, 1:-1]
    zxx = z[1:-1, 2:] - 2 * z[1:-1, 1:-1] + z[1:-1, :-2]
    zxy = (z[2:, 2:] - z[2:, :-2] - z[:-2, 2:] + z[:-2, :-2]) / 4
    both = zxx * zyy - zxy**2
    dust = 1e-9 * np.abs(both).max()  # products of curvatures below this are rounding errors
    return float(((zxx + zyy < 0) & (both > dust)).mean())


def local_maxima(values: Float, spacing: float) -> int:
    """Count the inner points that are higher than all eight neighbours."""
    inner = values[1:-1, 1:-1]
    n, m = values.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return int(
        np.logical_and.reduce([inner > values[i : n - 2 + i, j : m - 2 + j] for i, j in shifts]).sum()
    )


def rough_power(values: Float, spacing: float) -> float:
    """Compute the share of the Fourier power in short waves, after a Hann window and without the mean.

    A wave is short if it has more than `LONGEST_ROUGH_WAVE` periods along the side of the plane.
    """
    z = normalized(values)
    window = np.outer(np.hanning(z.shape[0]), np.hanning(z.shape[1]))
    power = np.abs(np.fft.fft2((z - (window * z).sum() / window.sum()) * window)) ** 2
    periods = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in z.shape[::-1])))
    return float(power[periods > LONGEST_ROUGH_WAVE].sum() / power.sum()) if power.sum() > 0 else 0.0


MEASURES = {
    "mean slope, range/rad": mean_slope,
    "slope variance, (range/rad)²": slope_variance,
    "total variation, ranges": total_variation,
    "concave share": concave_share,
    "local maxima": local_maxima,
    "power in short waves": rough_power,
}
"""What `roughness` measures: functions by name and unit."""


def roughness(values: Float, spacing: float) -> dict[str, float]:
    """Take all measures of one surface, values (n, n) at a spacing in radians.

    >>> x = np.linspace(-1, 1, 21)
    >>> dome = -(x[:, None] ** 2) - x**2
    >>> found = roughness(dome, spacing=0.1)
    >>> found["concave share"], found["local maxima"]
    (1.0, 1)
    """
    return {name: measure(values, spacing) for name, measure in MEASURES.items()}
