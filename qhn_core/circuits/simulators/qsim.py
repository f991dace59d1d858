"""qsim: the default simulator of large circuits, on the CPU, or on a GPU if qsim was compiled for one.

qsimcirq's public `QSimSimulator` spends most of a 14-qubit call translating the circuit in
Python (see `tests/benchmarks/bench_simulator.py`). This adapter talks to the compiled module
underneath: it fuses each brick CX (U x U) into one 4x4 matrix, vectorised over the batch, and
starts from the state after layer 1, which is a product state. That module is private, so this adapter
compares it once with the public simulator, and uses that one, with a warning, if they differ.
Amplitudes are in single precision.
"""

import os
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cirq
import numpy as np
import qsimcirq
from numpy.typing import NDArray
from typing_extensions import override

from qhn_core.bits import Complex, Float, Index
from qhn_core.circuits.ansatz import (
    brickwork_circuit,
    check_angles,
    cx_pairs,
    parameter_resolver,
    product_probabilities,
    product_state,
)
from qhn_core.circuits.simulators.base import Simulator, sample_one_layer
from qhn_core.kernels import states

Single = NDArray[np.float32]
CX = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], dtype=np.complex64)
GPU_MODES = {"qsim-cuda": 0, "qsim-custatevec": 1}


def _rotations(layers: Float) -> Complex:
    """RY(theta) RZ(phi) of layers (B, L, 2, n) as matrices (B, L, n, 2, 2)."""
    half = layers / 2
    c, s = np.cos(half[..., 0, :]), np.sin(half[..., 0, :])
    phase = np.exp(-1j * half[..., 1, :])
    rows = [[c * phase, -s * phase.conj()], [s * phase, c * phase.conj()]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _flat(matrices: Complex) -> list[list[float]]:
    """Each matrix of (B, d, d) as the flat list of real and imaginary parts that qsim reads."""
    as_floats = np.ascontiguousarray(matrices, dtype=np.complex64).view(np.float32)
    return as_floats.reshape(len(matrices), 2 * matrices.shape[1] ** 2).tolist()


def _gates(angles: Float) -> list[tuple[int, list[int], list[list[float]]]]:
    """(time, qsim's qubits, one flat matrix per circuit) of the fused gates of layers 2 to L."""
    n = angles.shape[-1]
    rotations = _rotations(angles[:, 1:])
    gates = []
    for k in range(rotations.shape[1]):
        pairs = cx_pairs(n, k + 2)
        paired = {q for pair in pairs for q in pair}
        for a, b in pairs:
            both = np.einsum("bij,bkl->bikjl", rotations[:, k, a], rotations[:, k, b])
            fused = CX @ both.reshape(-1, 4, 4)
            gates.append((k, [n - 1 - a, n - 1 - b], _flat(fused)))  # qsim's order is reversed
        for q in sorted(set(range(n)) - paired):
            gates.append((k, [n - 1 - q], _flat(rotations[:, k, q])))
    return gates


class QSim(Simulator):
    """The ansatz on qsim. `name` is "qsim", "qsim-cuda" or "qsim-custatevec"."""

    def __init__(self, name: str = "qsim") -> None:
        self.name = name
        if name == "qsim":
            self._module, self._gpu = qsimcirq.qsim, {}
        else:
            self._module = qsimcirq.qsim_gpu if name == "qsim-cuda" else qsimcirq.qsim_custatevec
            self._gpu = {"g": True, "gmode": GPU_MODES[name]}
        self._fast = private_module_works() if name == "qsim" else True

    @override
    def probabilities(self, angles: Float) -> Float:
        angles = check_angles(angles)
        if angles.shape[1] == 1:  # nothing is left to simulate
            return product_probabilities(angles[:, 0])
        amplitudes = self._simulate(angles) if self._fast else self._simulate_publicly(angles)
        out = np.empty((len(angles), 2 ** angles.shape[-1]))
        for row, state in zip(out, amplitudes, strict=True):
            states.born_rule(state, row)
        return out

    @override
    def state(self, angles: Float) -> Float:
        n_layers, _, n_qubits = angles.shape
        batch = check_angles(angles[None])
        amplitudes = next(self._simulate(batch) if self._fast else self._simulate_publicly(batch))
        parts = amplitudes.astype(np.float64).reshape(-1, 2).T
        parts /= np.sqrt((parts**2).sum())
        return np.array([states.entangled_copy(part, n_layers % 2, n_qubits) for part in parts])

    @override
    def sample_indices(self, angles: Float, uniforms: Float) -> Index:
        angles = check_angles(angles)
        return (
            sample_one_layer(angles, uniforms)
            if angles.shape[1] == 1
            else super().sample_indices(angles, uniforms)
        )

    def _options(self, n_qubits: int) -> dict[str, Any]:
        large = n_qubits >= 20
        threads = (os.cpu_count() or 1) if large else 1
        return {**qsimcirq.QSimOptions().as_dict(), "t": threads, "f": 3 if large else 2, **self._gpu}

    def _simulate(self, angles: Float) -> Iterator[Single]:
        n = angles.shape[-1]
        gates = _gates(angles)
        options = {**self._options(n), "s": 1}
        start = np.zeros(2 * 2**n, dtype=np.float32)
        for b, amplitudes in enumerate(product_state(angles[:, 0])):
            start[::2] = amplitudes
            circuit = self._module.Circuit()
            circuit.num_qubits = n
            for time, qubits, matrices in gates:
                self._module.add_matrix_gate(time, qubits, matrices[b], circuit)
            state = self._module.qsim_simulate_fullstate({**options, "c": circuit}, start)
            if state.size != start.size:  # qsim reports a bad circuit on stderr and returns nothing
                raise RuntimeError(f"qsim returned {state.size} numbers for {n} qubits, not {start.size}")
            yield state

    def _simulate_publicly(self, angles: Float) -> Iterator[Single]:
        n_layers, _, n_qubits = angles.shape[1:]
        circuit = brickwork_circuit(n_qubits, n_layers)
        simulator = qsimcirq.QSimSimulator(self._options(n_qubits))
        qubits = cirq.LineQubit.range(n_qubits)
        for theta in angles:
            result = simulator.simulate(circuit, parameter_resolver(theta), qubit_order=qubits)
            yield result.final_state_vector.view(np.float32)


@lru_cache(maxsize=1)
def private_module_works() -> bool:
    """Whether qsim's compiled module answers as this adapter expects; warns once where not."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (1, 3, 2, 5))
    adapter = QSim.__new__(QSim)
    adapter.name, adapter._module, adapter._gpu = "qsim", qsimcirq.qsim, {}
    try:
        reason = "its answer differs from the public simulator's"
        found = [
            abs(next(f(angles)).view(np.complex64)) for f in (adapter._simulate, adapter._simulate_publicly)
        ]
        works = bool(np.allclose(found[0], found[1], atol=1e-5))
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        works, reason = False, repr(error)
    if not works:
        warnings.warn(
            f"qsimcirq {qsimcirq.__version__}: the fast path is off ({reason}). "
            "Circuits run through the public QSimSimulator, about 8 times slower; "
            "qsimcirq >=0.22.0,<0.23 restores it.",
            RuntimeWarning,
            stacklevel=2,
        )
    return works
