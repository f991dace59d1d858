"""The circuits of a config, in the batches in which they are computed fastest.

Circuits of one or two layers are products of single qubits or of pairs, up to a renaming of the
outcomes: `ClosedForm` needs no state vector and takes any number of qubits. For deeper circuits
`StateVector` simulates one state, and draws the samples of all shifted circuits from it. Without CX gates
circuits of any depth are products, `IndependentBits`; only Cirq simulates them, one by one (`Simulated`).
"""

from collections.abc import Iterator

from qhn_core.bits import Float
from qhn_core.circuits.base import Circuits
from qhn_core.circuits.closed_form import ClosedForm
from qhn_core.circuits.independent_bits import IndependentBits
from qhn_core.circuits.simulated import Simulated
from qhn_core.circuits.simulators import get_simulator
from qhn_core.circuits.statevector import StateVector
from qhn_core.config import RunConfig


def circuit_blocks(config: RunConfig, angles: Float) -> Iterator[tuple[slice, Circuits]]:
    """Yield (rows, circuits) of a config at angles (S, L, 2, n), in the batches that are computed fastest.

    With one or two layers that is all seeds at once; with more, and always on Cirq, one seed at a time.
    Raises ValueError where this machine does not have the config's simulator.
    """
    if config.has_closed_form:
        if config.simulator != "auto":
            get_simulator(config.simulator, config.n_qubits)  # raises where it is missing
        yield slice(0, len(angles)), closed_form(config, angles)
        return
    simulator = get_simulator(config.simulator, config.n_qubits, config.entangler)
    kind = Simulated if config.entangler == "none" else StateVector
    for row in range(len(angles)):
        block = slice(row, row + 1)
        yield block, kind(config, angles[block], simulator)


def closed_form(config: RunConfig, angles: Float) -> ClosedForm:
    """Return circuits of a config that has a closed form, at angles (S, L, 2, n)."""
    return IndependentBits(config, angles) if config.entangler == "none" else ClosedForm(config, angles)
