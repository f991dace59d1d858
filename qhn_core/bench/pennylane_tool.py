"""PennyLane: lightning.qubit, and default.qubit with parameter broadcasting under JAX's jit."""

from typing import Any

import numpy as np

from qhn_core.bench.plain import mean_selbo
from qhn_core.bench.work import Exact, Inputs, MissingToolError, Sampled
from qhn_core.bits import bits_to_index
from qhn_core.circuits.ansatz import cx_pairs


def _pennylane() -> Any:
    try:
        import pennylane
    except ImportError as error:
        raise MissingToolError("pip install pennylane pennylane-lightning jax") from error
    return pennylane


def _circuit(qml: Any, inputs: Inputs, params: Any) -> None:
    """Apply the circuit of eq. (8); params (L, 2, n), or (L, 2, n, batch) to broadcast."""
    for layer in range(inputs.n_layers):
        for axis, gate in ((1, qml.RZ), (0, qml.RY)):
            for j in range(inputs.n_qubits):
                gate(params[layer][axis][j], wires=j)
        for pair in cx_pairs(inputs.n_qubits, layer + 1):
            qml.CNOT(wires=pair)


class Lightning:
    """PennyLane's state vector in C++, one circuit at a time, with gradients by parameter shifts.

    Its adjoint differentiation handles expectation values of observables, but not probabilities.
    """

    name = "PennyLane lightning.qubit"
    own_prior = False

    def __init__(self) -> None:
        self._qml = _pennylane()
        try:
            self._qml.device("lightning.qubit", wires=1)
        except Exception as error:  # PennyLane's own DeviceError
            raise MissingToolError("pip install pennylane-lightning") from error
        self.settings = f"PennyLane {self._qml.__version__}, double precision, a circuit a call"

    def sampled(self, inputs: Inputs) -> Sampled:
        """Prepare qml.sample."""
        qml = self._qml
        device = qml.device("lightning.qubit", wires=inputs.n_qubits, seed=0)

        @qml.set_shots(inputs.shots)
        @qml.qnode(device, diff_method=None)
        def measure(params: Any) -> Any:
            _circuit(qml, inputs, params)
            return qml.sample()

        def run(seed: int) -> Any:
            drawn = np.array([bits_to_index(np.asarray(measure(a))) for a in inputs.angles])
            return mean_selbo(inputs, drawn)

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Prepare qml.grad of the ELBO as a function of the probabilities."""
        qml, pnp = self._qml, self._qml.numpy
        device = qml.device("lightning.qubit", wires=inputs.n_qubits)

        @qml.qnode(device, diff_method="parameter-shift")
        def probabilities(params: Any) -> Any:
            _circuit(qml, inputs, params)
            return qml.probs(wires=range(inputs.n_qubits))

        strength, constant = inputs.elbo.regularization, inputs.n_qubits * np.log(2)

        def elbo(params: Any) -> Any:
            q = probabilities(params)
            log_q = pnp.log(pnp.where(q > 0, q, 1.0))
            return pnp.sum(q * inputs.scores) - strength * (pnp.sum(q * log_q) + constant)

        gradient = qml.grad(elbo)

        def run() -> Any:
            values, gradients = [], []
            for angles in inputs.angles:
                gradients.append(gradient(pnp.array(angles, requires_grad=True)))
                values.append(gradient.forward)
            return np.array(values, dtype=float), np.array(gradients)

        return run


class DefaultQubit:
    """PennyLane's reference simulator: the whole batch in one broadcast call, compiled by JAX."""

    name = "PennyLane default.qubit"
    own_prior = False

    def __init__(self) -> None:
        self._qml = _pennylane()
        try:
            import jax
        except ImportError as error:
            raise MissingToolError("pip install jax") from error
        self._jax = jax
        self.settings = (
            f"PennyLane {self._qml.__version__}, jax {jax.__version__}, float32, jit, broadcast batch"
        )

    def _probabilities(self, inputs: Inputs) -> Any:
        qml = self._qml
        device = qml.device("default.qubit", wires=inputs.n_qubits)

        @qml.qnode(device, interface="jax", diff_method="backprop")
        def probabilities(params: Any) -> Any:
            _circuit(qml, inputs, params)
            return qml.probs(wires=range(inputs.n_qubits))

        return probabilities

    def sampled(self, inputs: Inputs) -> Sampled:
        """Compile the probabilities of the batch; numpy samples by their inverse CDF."""
        compiled = self._jax.jit(self._probabilities(inputs))
        params = self._jax.numpy.asarray(np.moveaxis(inputs.angles, 0, -1), "float32")

        def run(seed: int) -> Any:
            rng = np.random.default_rng(seed)
            q = np.cumsum(np.asarray(compiled(params), dtype=float), axis=1)
            uniforms = rng.random((inputs.batch, inputs.shots)) * q[:, -1:]
            drawn = np.array(
                [np.searchsorted(c, u, side="right") for c, u in zip(q, uniforms, strict=True)]
            )
            return mean_selbo(inputs, drawn)

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Compile backpropagation through the broadcast circuit; values of the batch are independent."""
        jax, jnp = self._jax, self._jax.numpy
        probabilities = self._probabilities(inputs)
        scores = jnp.asarray(inputs.scores, "float32")
        constant = inputs.n_qubits * float(np.log(2))

        def elbos(params: Any) -> Any:
            q = probabilities(params).reshape(inputs.batch, -1)
            log_q = jnp.log(jnp.where(q > 0, q, 1.0))
            values = q @ scores - inputs.elbo.regularization * ((q * log_q).sum(axis=1) + constant)
            return values.sum(), values

        compiled = jax.jit(jax.value_and_grad(elbos, has_aux=True))
        params = jnp.asarray(np.moveaxis(inputs.angles, 0, -1), "float32")

        def run() -> Any:
            (_, values), gradients = compiled(params)
            return np.asarray(values), np.moveaxis(np.asarray(gradients), -1, 0)

        return run
