import numpy as np
import pytest

from qhn_core.landscape.roughness import MEASURES, roughness

AXIS = np.linspace(-np.pi, np.pi, 81)
SPACING = AXIS[1] - AXIS[0]


def waves(periods):
    """sin along both axes, with so many periods along each side."""
    wave = np.sin(periods * AXIS)
    return wave[:, None] + wave


@pytest.mark.parametrize("name", MEASURES)
def test_measures_do_not_depend_on_height_or_offset(name):
    surface = waves(2)
    one, other = (MEASURES[name](z, SPACING) for z in (surface, 1000 * surface - 77))
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_a_flat_surface_has_no_roughness(name):
    assert MEASURES[name](np.full((11, 11), 3.0), 0.1) == 0


def test_the_slope_of_a_ramp_is_its_height_over_its_length():
    ramp = np.tile(AXIS, (81, 1))
    found = roughness(ramp, SPACING)
    assert found["mean slope, range/rad"] == pytest.approx(1 / (2 * np.pi))
    assert found["slope variance, (range/rad)²"] == pytest.approx(0, abs=1e-12)
    assert found["total variation, ranges"] == pytest.approx(0.5)  # one range along x, none along y


def test_the_slope_of_waves_is_the_closed_form():
    # The surface spans 4, so each slope is a cosine of amplitude 1/4; their mean size by quadrature.
    u = np.linspace(0, 2 * np.pi, 2001)[:-1]
    mean = np.hypot(np.cos(u)[:, None], np.cos(u)).mean()
    found = MEASURES["mean slope, range/rad"](waves(1), SPACING)
    assert found == pytest.approx(mean / 4, rel=0.01)


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_waves_have_as_many_maxima_as_periods_squared(periods):
    assert MEASURES["local maxima"](waves(periods), SPACING) == periods**2


@pytest.mark.parametrize(
    ("surface", "share"),
    [
        (-(AXIS[:, None] ** 2) - AXIS**2, 1),
        (AXIS[:, None] ** 2 + AXIS**2, 0),
        (AXIS[:, None] ** 2 - AXIS**2, 0),
    ],
)
def test_a_dome_is_concave_and_a_bowl_or_saddle_is_not(surface, share):
    assert MEASURES["concave share"](surface, SPACING) == share


def test_waves_are_concave_on_a_quarter_of_the_plane():
    assert MEASURES["concave share"](waves(2), SPACING) == pytest.approx(0.25, abs=0.02)


def test_only_short_waves_have_power_in_short_waves():
    assert MEASURES["power in short waves"](waves(2), SPACING) < 0.01
    assert MEASURES["power in short waves"](waves(9), SPACING) > 0.9
