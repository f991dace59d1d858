"""How far the circuit's distribution is from the uniform prior: entropy, KL, MMD²."""

import math

import numpy as np

from qhn_core.bits import Bits, Float
from qhn_core.kernels import transforms as kernels


def safe_log(probabilities: Float) -> Float:
    """Compute log q, nats, of any shape; where q is 0, a large negative number, so that 0 log 0 = 0."""
    return np.log(np.maximum(probabilities, np.finfo(float).tiny))


def entropy(probabilities: Float) -> Float:
    """Compute the Shannon entropy (B,) in nats of distributions (B, 2**n)."""
    return -kernels.row_dots(probabilities, safe_log(probabilities))


def kl_to_uniform(probabilities: Float) -> Float:
    """Compute KL(q || uniform) (B,) in nats, eq. (17), with its constant: n ln 2 - entropy.

    >>> kl_to_uniform(np.array([[1.0, 0.0, 0.0, 0.0]])).round(4)  # a point mass: 2 ln 2
    array([1.3863])
    """
    return np.log(probabilities.shape[-1]) - entropy(probabilities)


def kernel_at_one(bandwidth: float) -> float:
    """Compute e = exp(-1/h²), the kernel (20) at Hamming distance 1; at any distance it is e ** distance.

    Raises ValueError unless h is a finite number above 0.

    >>> round(kernel_at_one(3.5), 4)
    0.9216
    """
    if not (math.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth={bandwidth}: must be a finite number above 0")
    return math.exp(-(1 / bandwidth) / bandwidth)


def kernel_table(n_bits: int, bandwidth: float) -> Float:
    """Compute the kernel (20) at Hamming distance 0 to n_bits: (n_bits + 1,)."""
    return np.power(kernel_at_one(bandwidth), np.arange(n_bits + 1, dtype=np.float64))


def mean_kernel_to_uniform(n_bits: int, bandwidth: float) -> float:
    """Compute the mean of the kernel (20) between any bitstring x and uniform y: ((1+e)/2)**n_bits.

    It is the same for every x, since each bit of y agrees with that of x with probability 1/2. So it is
    also the mean over two uniform bitstrings.

    >>> by_distance = kernel_table(2, 1.0) @ [1 / 4, 2 / 4, 1 / 4]
    >>> round(mean_kernel_to_uniform(2, 1.0), 4), round(float(by_distance), 4)
    (0.4678, 0.4678)
    """
    return float(((1 + kernel_at_one(bandwidth)) / 2) ** n_bits)


def correlator_weights(n_bits: int, bandwidth: float) -> Float:
    """Compute the weight of the squared Z-correlators of order 0 to n in MMD² to uniform: (n_bits + 1,).

    ((1+e)/2)**(n-w) ((1-e)/2)**w, and 0 at order 0, where q and the prior agree.

    >>> weights = correlator_weights(14, 3.5)
    >>> round(float(weights[1] / weights[2]), 1)  # with this h, MMD² depends mostly on single bits
    24.5
    """
    e = kernel_at_one(bandwidth)
    order = np.arange(n_bits + 1)
    weights = ((1 + e) / 2) ** (n_bits - order) * ((1 - e) / 2) ** order
    weights[0] = 0.0
    return np.asarray(weights, dtype=np.float64)


def mmd_squared_unbiased(x_bits: Bits, y_bits: Bits, bandwidth: float) -> float:
    """Estimate MMD² without bias, eq. (21), from samples x (n, n_bits) and y (m, n_bits).

    Raises ValueError where a set has fewer than 2 samples.

    >>> same = np.array([[0, 1], [0, 1]], dtype=np.uint8)
    >>> mmd_squared_unbiased(same, same, bandwidth=1.0)
    0.0
    """
    for name, bits in (("x_bits", x_bits), ("y_bits", y_bits)):
        if bits.ndim != 2 or len(bits) < 2:
            raise ValueError(f"{name} has shape {bits.shape}; it must have at least 2 rows of bits")
    if x_bits.shape[1] != y_bits.shape[1]:
        raise ValueError(
            f"x_bits has {x_bits.shape[1]} bits and y_bits {y_bits.shape[1]}; both must have as many"
        )
    table = kernel_table(x_bits.shape[1], bandwidth)

    def kernel_sum(a: Bits, b: Bits) -> float:
        distance = (
            a.sum(1, dtype=int)[:, None] + b.sum(1, dtype=int) - 2 * (a.astype(int) @ b.T.astype(int))
        )
        return float(table[distance].sum())

    n, m = len(x_bits), len(y_bits)
    within = (kernel_sum(x_bits, x_bits) - n) / (n * (n - 1)) + (kernel_sum(y_bits, y_bits) - m) / (
        m * (m - 1)
    )
    return within - 2 * kernel_sum(x_bits, y_bits) / (n * m)


def mmd_squared_to_uniform(probabilities: Float, bandwidth: float) -> Float:
    """Compute the exact MMD² (B,), eq. (19), between distributions (B, 2**n) and the uniform prior.

    >>> point = np.eye(1, 2**14)
    >>> mmd_squared_to_uniform(point, 3.5).round(4)
    array([0.4287])
    """
    difference = probabilities - 1 / probabilities.shape[-1]
    return kernels.row_dots(difference, smooth(difference, bandwidth))


def smooth(vectors: Float, bandwidth: float) -> Float:
    """Multiply each row of vectors (B, 2**n) by the kernel matrix (20) of all bitstrings."""
    out = np.array(vectors, dtype=np.float64, order="C")
    e = kernel_at_one(bandwidth)
    kernels.apply_bitwise(out, 1.0, e, e, 1.0)
    return out


def correlator_spectrum(probabilities: Float) -> Float:
    """Sum the squared Z-correlators of distributions (B, 2**n) by order: W (B, n + 1).

    MMD² to uniform is the sum of W times `correlator_weights`, for any bandwidth.

    >>> correlator_spectrum(np.array([[0.5, 0.0, 0.0, 0.5]])).tolist()  # two bits, always equal
    [[1.0, 0.0, 1.0]]
    """
    correlators = np.array(probabilities, dtype=np.float64, order="C")
    kernels.apply_bitwise(correlators, 1.0, 1.0, 1.0, -1.0)
    return kernels.squares_by_order(correlators)
