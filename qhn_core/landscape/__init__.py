"""The objective on a plane through theta*, and measures of its shape."""

from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.landscape.scanner import scan_in_stages, scan_landscape
from qhn_core.landscape.shot_noise import sample_landscape
from qhn_core.landscape.trajectories import barriers, training_path
from qhn_core.objectives.terms import Objective

__all__ = [
    "Objective",
    "barriers",
    "gradient_field",
    "sample_landscape",
    "scan_in_stages",
    "scan_landscape",
    "training_path",
]
