"""Circuits per second of the qsim adapter, against the plain cirq + QSimSimulator loop."""

import cirq
import numpy as np
import qsimcirq

import qhn_core as qhn
from qhn_core.ansatz import parameter_resolver
from tests.benchmarks.measure import median_seconds, row

N_QUBITS, N_CIRCUITS = 14, 50


def plain_loop(angles: np.ndarray) -> np.ndarray:
    """What a newcomer writes: resolve the circuit, simulate it, square."""
    circuit = qhn.brickwork_circuit(N_QUBITS, angles.shape[1])
    simulator = qsimcirq.QSimSimulator()
    qubits = cirq.LineQubit.range(N_QUBITS)
    states = [
        simulator.simulate(circuit, parameter_resolver(a), qubit_order=qubits).final_state_vector
        for a in angles
    ]
    return np.abs(np.array(states)) ** 2


def rows() -> list[str]:
    """One line for each depth; the answers are compared before the times."""
    out = []
    simulator = qhn.get_simulator("qsim")
    for n_layers in (1, 2, 3):
        angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (N_CIRCUITS, n_layers, 2, N_QUBITS))
        difference = np.abs(plain_loop(angles) - simulator.probabilities(angles)).max()
        assert difference < 1e-6, f"L={n_layers}: the two differ by {difference}"
        ours = median_seconds(lambda a=angles: simulator.probabilities(a))
        theirs = median_seconds(lambda a=angles: plain_loop(a), repeats=3)
        goal = ">= 8 x" if n_layers == 2 else ""
        peer = f"{N_CIRCUITS / ours:,.0f} and {N_CIRCUITS / theirs:,.0f} circuits/s"
        out.append(
            row(f"qsim adapter / plain loop, 14 qubits, L={n_layers}", f"{theirs / ours:.1f} x", goal, peer)
        )
    return out
