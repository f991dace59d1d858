"""qujax, the paper's tool: jit and vmap over the batch, single precision (JAX's default), on the CPU."""

from typing import Any

import numpy as np

from qhn_core.bench.work import Exact, Inputs, MissingToolError, Sampled
from qhn_core.circuits.ansatz import cx_pairs
from qhn_core.circuits.divergences import kernel_at_one


class Qujax:
    """qujax under JAX. Functions are compiled before they are timed; a timed call ends with its numbers."""

    name = "qujax"
    own_prior = False

    def __init__(self) -> None:
        try:
            import jax
            import qujax
        except ImportError as error:
            raise MissingToolError("pip install qujax jax") from error
        self._jax, self._qujax = jax, qujax
        devices = ", ".join(sorted({d.platform for d in jax.devices()}))
        self.settings = (
            f"qujax {qujax.__version__}, jax {jax.__version__} on {devices}, float32, jit, "
            "vmap over the batch"
        )

    def _state_of(self, inputs: Inputs) -> Any:
        """Return the function from params (L * 2 * n,), in qujax's units of π, to the state tensor."""
        n = inputs.n_qubits
        gates: list[str] = []
        qubits: list[list[int]] = []
        params: list[list[int]] = []
        for layer in range(inputs.n_layers):
            for axis, gate in ((1, "Rz"), (0, "Ry")):
                gates += [gate] * n
                qubits += [[j] for j in range(n)]
                params += [[(2 * layer + axis) * n + j] for j in range(n)]
            pairs = cx_pairs(n, layer + 1)
            gates += ["CX"] * len(pairs)
            qubits += [list(pair) for pair in pairs]
            params += [[] for _ in pairs]
        return self._qujax.get_params_to_statetensor_func(gates, qubits, params)

    def _parameters(self, inputs: Inputs) -> Any:
        return self._jax.numpy.asarray(inputs.angles.reshape(inputs.batch, -1) / np.pi, dtype="float32")

    def sampled(self, inputs: Inputs) -> Sampled:
        """Prepare bits as floats, with Hamming distances by a matrix product, JAX's fastest way."""
        jax, jnp = self._jax, self._jax.numpy
        state_of, sample = self._state_of(inputs), self._qujax.sample_integers
        scores, bits = jnp.asarray(inputs.scores, "float32"), jnp.asarray(inputs.all_bits, "float32")
        prior, shots = bits[inputs.prior], inputs.shots
        log_e = float(np.log(kernel_at_one(inputs.config.h)))

        def kernel_sum(x: Any, y: Any) -> Any:
            distance = x.sum(1)[:, None] + y.sum(1)[None] - 2 * x @ y.T
            return jnp.exp(log_e * distance).sum()

        def selbo(params: Any, key: Any, prior: Any) -> Any:
            drawn = sample(key, state_of(params), shots)
            x = bits[drawn]
            within = (kernel_sum(x, x) + kernel_sum(prior, prior) - 2 * shots) / (shots * (shots - 1))
            mmd_squared = within - 2 * kernel_sum(x, prior) / shots**2
            return scores[drawn].mean() - inputs.config.regularization * mmd_squared

        batched = jax.jit(jax.vmap(selbo, in_axes=(0, 0, None)))
        params = self._parameters(inputs)

        def run(seed: int) -> Any:
            keys = jax.random.split(jax.random.key(seed), inputs.batch)
            return np.asarray(batched(params, keys, prior))

        return run

    def exact(self, inputs: Inputs) -> Exact:
        """Compile value_and_grad of the ELBO, through the state tensor."""
        jax, jnp = self._jax, self._jax.numpy
        state_of = self._state_of(inputs)
        scores = jnp.asarray(inputs.scores, "float32")
        constant = inputs.n_qubits * float(np.log(2))

        def elbo(params: Any) -> Any:
            q = jnp.square(jnp.abs(state_of(params))).reshape(-1)
            log_q = jnp.log(jnp.where(q > 0, q, 1.0))
            return q @ scores - inputs.elbo.regularization * (q @ log_q + constant)

        batched = jax.jit(jax.vmap(jax.value_and_grad(elbo)))
        params = self._parameters(inputs)

        def run() -> Any:
            values, gradients = batched(params)
            return np.asarray(values), np.asarray(gradients).reshape(inputs.angles.shape) / np.pi

        return run
