"""The controls of the Landscape page itself: which plane, what is drawn on it, what is shown below."""

from typing import get_args

from pages.sidebar.kinds import Choice, Control, Menu, Number, Switch
from qhn_core.config import LandscapeConfig
from qhn_core.landscape.gradient_field import RULES

PLANES = get_args(LandscapeConfig.model_fields["plane"].annotation)
PLANE_HELP = """
The surfaces are drawn over two directions in angle space. *random*: any two; *random-ry*: two of RY
angles only; *gates*: one gate each; *principal*: components of the training; *hessian*: strongest
curvature; *gradient*: uphill and a normal; *optima*: through MLE\\*, ELBO\\* and SELBO\\* of one seed.
"""

PLANE = Menu(field="plane", label="Plane", options=PLANES, start="random", help=PLANE_HELP, width=180)
RADIUS = Number(
    field="radius",
    label="Radius, π",
    start=2.0,
    low=0.1,
    high=10.0,
    step=0.5,
    help="Half the side of the plane, in units of π radians.",
    width=140,
)
RESOLUTION = Number(
    field="resolution",
    label="Points",
    start=41,
    low=11,
    high=101,
    step=10,
    help="Grid points along a side of the plane.",
    width=140,
)
PLANE_SEED = Number(
    field="plane_seed",
    label="Seed",
    start=0,
    low=0,
    high=10**6,
    step=1,
    help="Fixes the random directions.",
    width=140,
)
ARROWS = Choice(
    field="arrows",
    label="Gradient arrows",
    options=RULES,
    required=False,
    help="The exact gradient along the plane. At L = 1, Algorithm 1 does not see the regulariser.",
    width=200,
)
PATH = Switch(
    field="path",
    label="Training path",
    help="The run's path, projected on the plane; the dot is where it began.",
    width=160,
)
LOOK = Choice(
    field="look",
    label="Look at",
    options=("point", "path", "shots", "roughness", "barriers"),
    start="roughness",
)
VIEW: tuple[Control, ...] = (PLANE, RADIUS, RESOLUTION, PLANE_SEED, ARROWS, PATH, LOOK)
