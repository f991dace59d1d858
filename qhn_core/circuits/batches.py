"""All that training asks of circuits: their samples, those of their shifted copies, and exact numbers.

There are two ways to answer. One or two layers make a product of single qubits or of pairs, up to a
renaming of the outcomes, so `Shallow` needs no state vector and takes any number of qubits; `Deep`
simulates one state, and draws the samples of all shifted circuits from it. Each seed draws from a
stream of its own.
"""

from collections.abc import Iterator

from qhn_core.bits import Float
from qhn_core.circuits.base import Circuits
from qhn_core.circuits.closed_form import Shallow
from qhn_core.circuits.simulators import get_simulator
from qhn_core.circuits.statevector import Deep
from qhn_core.config import RunConfig


def circuit_blocks(config: RunConfig, angles: Float) -> Iterator[tuple[slice, Circuits]]:
    """The circuits of a config at angles (S, L, 2, n), as few seeds at a time as is best: (rows, circuits).

    Up to two layers: all seeds at once. Else, and on Cirq, the reference, always: one by one.
    """
    if config.is_shallow:
        if config.simulator != "auto":
            get_simulator(config.simulator, config.n_qubits)  # say so where it is missing
        yield slice(0, len(angles)), Shallow(config, angles)
        return
    simulator = get_simulator(config.simulator, config.n_qubits)
    for row in range(len(angles)):
        block = slice(row, row + 1)
        yield block, Deep(config, angles[block], simulator)
