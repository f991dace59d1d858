"""Circuits per second of our own simulator and of the qsim adapter, against a plain loop over qsimcirq."""

import cirq
import numpy as np
import qsimcirq

import qhn_core as qhn
from qhn_core.circuits.ansatz import parameter_resolver
from tests.benchmarks.measure import median_seconds, row

N_QUBITS, N_CIRCUITS = 14, 50


def plain_loop(angles: np.ndarray) -> np.ndarray:
    """Compute as a newcomer would: resolve the circuit, simulate it, square."""
    circuit = qhn.brickwork_circuit(N_QUBITS, angles.shape[1])
    simulator = qsimcirq.QSimSimulator()
    qubits = cirq.LineQubit.range(N_QUBITS)
    states = [
        simulator.simulate(circuit, parameter_resolver(a), qubit_order=qubits).final_state_vector
        for a in angles
    ]
    return np.abs(np.array(states)) ** 2


def rows() -> list[str]:
    """A line for each depth and simulator; the answers are compared before the times."""
    out = []
    for n_layers in (1, 2, 3):
        angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (N_CIRCUITS, n_layers, 2, N_QUBITS))
        expected = plain_loop(angles)
        theirs = median_seconds(lambda a=angles: plain_loop(a), repeats=3)
        for name in ("numba", "qsim"):
            simulator = qhn.get_simulator(name)
            difference = np.abs(expected - simulator.probabilities(angles)).max()
            assert difference < 1e-6, f"{name}, L={n_layers}: the two differ by {difference}"
            ours = median_seconds(lambda a=angles, s=simulator: s.probabilities(a))
            goal = ">= 8 x" if n_layers == 2 else ""
            peer = f"{N_CIRCUITS / ours:,.0f} and {N_CIRCUITS / theirs:,.0f} circuits/s"
            what = f"{name} / plain loop, 14 qubits, L={n_layers}"
            out.append(row(what, f"{theirs / ours:.1f} x", goal, peer))
    return out
