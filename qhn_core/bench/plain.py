"""The work of the race as a newcomer writes it, with cirq, qsimcirq and numpy."""

from typing import Any

import cirq
import numpy as np
import qsimcirq

from qhn_core.bench.work import Exact, Inputs, Sampled
from qhn_core.bits import Float, Index
from qhn_core.circuits.ansatz import brickwork_circuit, parameter_resolver
from qhn_core.circuits.divergences import kernel_at_one


def mean_selbo(inputs: Inputs, drawn: Index) -> Float:
    """Estimate eq. (22) for each row of samples (batch, shots), by matrix products, numpy's fastest way."""
    bits, shots = inputs.all_bits.astype(np.float32), inputs.shots
    log_e = np.log(kernel_at_one(inputs.config.h))
    prior = bits[inputs.prior]

    def kernel_sum(x: Any, y: Any) -> Any:
        distance = x.sum(1)[:, None] + y.sum(1)[None] - 2 * x @ y.T
        return np.exp(log_e * distance).sum()

    of_prior = kernel_sum(prior, prior)
    out = []
    for row in drawn:
        x = bits[row]
        within = (kernel_sum(x, x) + of_prior - 2 * shots) / (shots * (shots - 1))
        mmd_squared = within - 2 * kernel_sum(x, prior) / shots**2
        out.append(inputs.scores[row].mean() - inputs.config.regularization * mmd_squared)
    return np.array(out)


class PlainCirq:
    """Resolve the circuit, simulate it with QSimSimulator, square; gradients by parameter shifts of q."""

    name = "cirq + qsimcirq loop"
    own_prior = False

    def __init__(self) -> None:
        self.settings = (
            f"cirq {cirq.__version__}, qsimcirq {qsimcirq.__version__}, float32, a circuit a call"
        )
        self._simulator = qsimcirq.QSimSimulator()

    def _probabilities(self, inputs: Inputs, circuit: cirq.Circuit, angles: Float) -> Float:
        qubits = cirq.LineQubit.range(inputs.n_qubits)
        found = self._simulator.simulate(circuit, parameter_resolver(angles), qubit_order=qubits)
        q = np.abs(np.asarray(found.final_state_vector, dtype=complex)) ** 2
        return q / q.sum()

    def sampled(self, inputs: Inputs) -> Sampled:
        """Prepare numpy's choice from the probabilities."""
        circuit = brickwork_circuit(inputs.n_qubits, inputs.n_layers)

        def run(seed: int) -> Any:
            rng = np.random.default_rng(seed)
            every = [self._probabilities(inputs, circuit, a) for a in inputs.angles]
            return mean_selbo(inputs, np.array([rng.choice(q.size, inputs.shots, p=q) for q in every]))

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Prepare sum_s (dF/dq_s) (q+ - q-) / 2 for every angle, one circuit at a time."""
        circuit = brickwork_circuit(inputs.n_qubits, inputs.n_layers)
        strength, constant = inputs.elbo.regularization, inputs.n_qubits * np.log(2)

        def one(angles: Float) -> tuple[float, Float]:
            q = self._probabilities(inputs, circuit, angles)
            log_q = np.log(np.where(q > 0, q, 1.0))
            slope = inputs.scores - strength * (log_q + 1)
            gradient = np.zeros_like(angles)
            for place in np.ndindex(*angles.shape):
                shift = np.zeros_like(angles)
                shift[place] = np.pi / 2
                plus, minus = (self._probabilities(inputs, circuit, angles + s * shift) for s in (1, -1))
                gradient[place] = slope @ (plus - minus) / 2
            return float(q @ inputs.scores - strength * (q @ log_q + constant)), gradient

        def run() -> Any:
            values, gradients = zip(*(one(a) for a in inputs.angles), strict=True)
            return np.array(values), np.array(gradients)

        return run
