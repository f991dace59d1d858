"""Which simulators this machine has, and how to get one by its name."""

import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import qsimcirq

from qhn_core.circuits.simulators.base import Simulator, row_blocks
from qhn_core.circuits.simulators.cirq_reference import CirqReference
from qhn_core.circuits.simulators.numba_states import Compiled
from qhn_core.circuits.simulators.product_states import ProductStates
from qhn_core.circuits.simulators.qsim import QSim
from qhn_core.config import EntanglerName

__all__ = ["Availability", "Simulator", "available_simulators", "get_simulator", "row_blocks"]

LARGE_QUBITS = 20
"""From here on "auto" takes a GPU, or else qsim on all cores; below, a call costs more than a circuit."""
HOW_TO_GET_A_GPU = "build qsimcirq from source on a machine with an NVIDIA GPU (see the README)"
PROBE = """
import numpy as np
from qhn_core.circuits.simulators.qsim import QSim
q = QSim({name!r}).probabilities(np.full((1, 2, 2, 3), 0.3))
assert abs(q.sum() - 1) < 1e-4
"""


@dataclass(frozen=True)
class Availability:
    """Whether a simulator can be used on this machine, and why (or why not)."""

    name: str
    available: bool
    why: str


@lru_cache(maxsize=4)
def _probe_gpu(name: str) -> Availability:
    """Try a GPU in a process of its own: a CUDA error inside qsim ends the process it happens in."""
    module: Any = qsimcirq.qsim_gpu if name == "qsim-cuda" else qsimcirq.qsim_custatevec
    if module is None:
        kind = "CUDA" if name == "qsim-cuda" else "cuStateVec"
        why = f"qsimcirq {qsimcirq.__version__} here is compiled without {kind}; {HOW_TO_GET_A_GPU}"
        return Availability(name, False, why)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(name=name)],
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Availability(name, False, "a test circuit gave no answer in 120 s")
    if done.returncode == 0:
        return Availability(name, True, "a test circuit ran on the GPU")
    lines = (done.stderr or done.stdout).strip().splitlines()
    return Availability(name, False, f"a test circuit failed: {lines[-1] if lines else done.returncode}")


def available_simulators() -> list[Availability]:
    """List every simulator, with whether this machine has it and why.

    >>> [s.name for s in available_simulators() if s.available][:2]
    ['numba', 'qsim']
    """
    return [
        Availability("numba", True, "this package's own kernels, in double precision; the default"),
        Availability(
            "qsim", True, f"qsimcirq {qsimcirq.__version__} on the CPU; the default from 20 qubits"
        ),
        Availability("cirq", True, "cirq.Simulator in double precision; the reference, slow"),
        _probe_gpu("qsim-cuda"),
        _probe_gpu("qsim-custatevec"),
    ]


def get_simulator(
    name: str = "auto", n_qubits: int = 0, entangler: EntanglerName = "brickwork"
) -> Simulator:
    """Get the simulator called `name`.

    entangler: without CX gates the state is a product, and only Cirq simulates it, as a reference.

    "auto" is this package's own kernels; from 20 qubits, it is a GPU if one is found, or else qsim, so
    that it never fails without a GPU. Raises ValueError where the name is unknown or the simulator is
    missing on this machine.

    >>> get_simulator("auto").name
    'numba'
    """
    if name == "auto":
        gpus = (gpu for gpu in ("qsim-cuda", "qsim-custatevec") if _probe_gpu(gpu).available)
        name = "numba" if n_qubits < LARGE_QUBITS else next(gpus, "qsim")
    if name == "numba":
        return ProductStates() if entangler == "none" else Compiled()
    known = {s.name: s for s in available_simulators()}
    if name not in known:
        raise ValueError(f"simulator={name!r}: must be one of 'auto', {', '.join(map(repr, known))}")
    if not known[name].available:
        raise ValueError(f"simulator={name!r} is not available on this machine: {known[name].why}")
    if name == "cirq":
        return CirqReference(entangler)
    return ProductStates() if entangler == "none" else QSim(name)
