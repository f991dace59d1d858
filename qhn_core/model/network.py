"""The binary neural network whose weights are a measured bitstring (Section II-A)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from qhn_core.bits import Bits, Float, Index


@dataclass(frozen=True)
class BinaryNetwork:
    """A network n_inputs - n_hidden - 1 with weights and biases in {-1, +1}.

    A bitstring holds W1 row-major (n_inputs, n_hidden), W2 (n_hidden), b2, b1 (n_hidden) and,
    last, the hidden activation of eq. (6): 0 = ReLU, 1 = sigmoid. Weights are 2 * bit - 1.
    The output is a sigmoid. The order is that of the original code, arXiv:2301.08292.

    >>> BinaryNetwork().n_bits
    14
    """

    n_inputs: int = 2
    n_hidden: int = 3

    def __post_init__(self) -> None:
        for field in ("n_inputs", "n_hidden"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)}: must be a whole number, 1 or more")

    @property
    def n_bits(self) -> int:
        """How many bits describe a network: (n_inputs + 2) * n_hidden + 2."""
        return self.n_hidden * (self.n_inputs + 2) + 2

    def weights(self, bits: Bits) -> tuple[Float, Float, Float, Float]:
        """Read W1 (..., n_inputs, n_hidden), W2 (..., n_hidden), b2 (...,), b1 (..., n_hidden): all ±1.

        Raises ValueError where bits (..., n_bits) has another number of columns.
        """
        if bits.shape[-1] != self.n_bits:
            raise ValueError(f"bits has {bits.shape[-1]} columns; this network needs {self.n_bits}")
        w = 2.0 * bits[..., :-1].astype(np.float64) - 1.0
        d, h = self.n_inputs, self.n_hidden
        w1 = w[..., : d * h].reshape(*bits.shape[:-1], d, h)
        return w1, w[..., d * h : d * h + h], w[..., d * h + h], w[..., d * h + h + 1 :]

    def canonical(self, bits: Bits) -> Bits:
        """Sort the hidden neurons of networks (B, n_bits): the same functions, with one bitstring each.

        Hidden neurons can change places, so up to n_hidden! bitstrings are the same function.

        >>> net = BinaryNetwork()
        >>> one, other = np.zeros((2, 1, 14), dtype=np.uint8)
        >>> one[0, 6], other[0, 7] = 1, 1  # the output weight of the first or of the second neuron
        >>> bool((net.canonical(one) == net.canonical(other)).all())
        True
        """
        d, h = self.n_inputs, self.n_hidden
        columns = np.arange(self.n_bits - 1)
        neuron_bits = np.delete(columns, d * h + h).reshape(d + 2, h)  # W1's rows, W2, b1; without b2
        place = 1 << np.arange(d + 2)[:, None]
        kinds = np.sort((bits[:, neuron_bits] * place).sum(axis=1), axis=1)
        out = bits.copy()
        out[:, neuron_bits] = (kinds[:, None, :] & place) > 0
        return out

    def logits(self, bits: Bits, x: Float) -> Float:
        """Compute the logit of class 1 at each point: bits (B, n_bits), x (n, n_inputs) -> (B, n)."""
        w1, w2, b2, b1 = self.weights(bits)
        hidden = np.matmul(x, w1) + b1[:, None, :]
        sigmoid = bits[:, -1] == 1
        active = np.maximum(hidden, 0.0)
        active[sigmoid] = expit(hidden[sigmoid])
        return np.matmul(active, w2[:, :, None])[..., 0] + b2[:, None]

    def tie(self, x: Float) -> float:
        """Bound how far rounding can lift a logit of exactly 0, at points x (n, n_inputs).

        Some networks are undecided everywhere: two sigmoids with opposite weights add up to 1, and b2 is
        -1. Rounding makes their logits a little more or less than 0. A logit up to this bound counts as
        0, which is class 0, so that the accuracy of such a network does not depend on rounding.

        >>> BinaryNetwork().tie(np.array([[1.0, -1.0]])) < 1e-13
        True
        """
        largest = self.n_hidden * (1 + np.abs(x).sum(axis=1).max()) + 1  # of all sums on the way
        terms = self.n_inputs + self.n_hidden + 2
        return float(terms * np.finfo(float).eps * largest)

    def log_likelihood(self, bits: Bits, x: Float, y: Index) -> Float:
        """Compute the Bernoulli log-likelihood (B,) in nats, summed over the points; stable for any logit.

        >>> net = BinaryNetwork()
        >>> zero = np.zeros((1, 14), dtype=np.uint8)  # all weights -1, ReLU: the logit is -1 at (1, 1)
        >>> net.log_likelihood(zero, np.array([[1.0, 1.0]]), np.array([0])).round(4)
        array([-0.3133])
        """
        return log_probabilities(self.logits(bits, x), y).sum(axis=-1)


def log_probabilities(logits: Float, y: Index) -> Float:
    """Compute log p(y | logit) (..., n) in nats for labels y (n,)."""
    return -np.logaddexp(0.0, np.where(y == 1, -logits, logits))
