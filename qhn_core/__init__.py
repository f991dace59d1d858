"""Quantum hypernetworks: circuits whose measured bitstrings are the weights of a binary network.

The method: Nepote et al., "Variational Inference for Quantum HyperNetworks"; equation, figure and
table numbers in this package are that paper's.
"""

from qhn_core.circuits.ansatz import brickwork_circuit
from qhn_core.circuits.divergences import correlator_spectrum, mmd_squared_to_uniform, mmd_squared_unbiased
from qhn_core.circuits.simulators import available_simulators, get_simulator
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.scanner import scan_landscape
from qhn_core.model.datasets import Dataset, load_dataset
from qhn_core.model.network import BinaryNetwork
from qhn_core.objectives.gradients import objective_gradient
from qhn_core.objectives.terms import objective_value
from qhn_core.training.loop import RunResult, train
from qhn_core.versions import __version__

__all__ = [
    "BinaryNetwork",
    "Dataset",
    "LandscapeConfig",
    "LandscapeScan",
    "RunConfig",
    "RunResult",
    "__version__",
    "available_simulators",
    "brickwork_circuit",
    "correlator_spectrum",
    "get_simulator",
    "load_dataset",
    "mmd_squared_to_uniform",
    "mmd_squared_unbiased",
    "objective_gradient",
    "objective_value",
    "scan_landscape",
    "train",
]
