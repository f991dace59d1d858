"""Independent answers, from the paper and the conventions: plain Python, numpy, scipy and Cirq.

Nothing here goes through qhn_core.
"""

import math
from functools import lru_cache

import cirq
import numpy as np
from scipy.special import rel_entr

FULL_TURN = 2 * np.pi


def random_angles(seed, *shape):
    """Angles uniform on [0, 2 pi)."""
    return np.random.default_rng(seed).uniform(0, FULL_TURN, shape)


def random_distribution(seed, n_bits):
    """A distribution over 2**n bitstrings with a wide range of probabilities."""
    return np.random.default_rng(seed).dirichlet(np.full(2**n_bits, 0.3))


def circuit(angles):
    """Eq. (8) for angles (L, 2, n), with the paper's 1-based k, j and m; angles[:, 0] is RY."""
    n_layers, _, n = angles.shape
    qubit = dict(zip(range(1, n + 1), cirq.LineQubit.range(n), strict=True))
    out = cirq.Circuit(cirq.I.on_each(*qubit.values()))
    for k in range(1, n_layers + 1):
        ry, rz = angles[k - 1]
        out.append(cirq.rz(rz[j - 1])(qubit[j]) for j in range(1, n + 1))
        out.append(cirq.ry(ry[j - 1])(qubit[j]) for j in range(1, n + 1))
        out.append(cirq.CX(qubit[m], qubit[m + 1]) for m in range(1 + k % 2, n, 2))
    return out


def unitary(angles):
    """The matrix of eq. (8); the first qubit is the most significant bit."""
    return circuit(angles).unitary(qubit_order=cirq.LineQubit.range(angles.shape[-1]))


def state(angles):
    """Amplitudes (2**n,) in double precision."""
    simulator = cirq.Simulator(dtype=np.complex128)
    order = cirq.LineQubit.range(angles.shape[-1])
    return simulator.simulate(circuit(angles), qubit_order=order).final_state_vector


def probabilities(angles):
    """Born probabilities (2**n,); kept, since many tests ask for the same."""
    angles = np.asarray(angles, dtype=float)
    return _probabilities(angles.tobytes(), angles.shape)


@lru_cache(maxsize=4096)
def _probabilities(raw, shape):
    q = np.abs(state(np.frombuffer(raw).reshape(shape))) ** 2
    q.setflags(write=False)
    return q


def shifted_probabilities(angles, shift):
    """q at +shift and at -shift of each angle: two arrays (P, 2**n)."""
    shifts = shift * np.eye(angles.size).reshape(-1, *angles.shape)
    return [np.array([probabilities(angles + sign * s) for s in shifts]) for sign in (1, -1)]


def bits(index, n):
    """The bits of a basis state, first qubit first."""
    return [int(character) for character in format(index, f"0{n}b")]


def all_bits(n):
    """(2**n, n) uint8, in the order of the indices."""
    return np.array([bits(i, n) for i in range(2**n)], dtype=np.uint8)


def hamming(i, j):
    """Number of bits that differ between two basis states."""
    return bin(int(i) ^ int(j)).count("1")


def kernel(i, j, h):
    """Eq. (20) between two basis states."""
    return math.exp(-hamming(i, j) / h**2)


def gram(n, h):
    """The kernel (20) between all bitstrings (2**n, 2**n)."""
    b = all_bits(n).astype(float)
    return np.exp(-((b[:, None] - b[None]) ** 2).sum(axis=-1) / h**2)


def mmd_squared(q, h):
    """Eq. (19) between q and uniform: the kernel is a product over bits, so one axis at a time."""
    n = q.size.bit_length() - 1
    one_bit = np.array([[1, math.exp(-1 / h**2)], [math.exp(-1 / h**2), 1]])
    difference = (q - 1 / q.size).reshape((2,) * n)
    smooth = difference
    for axis in range(n):
        smooth = np.moveaxis(np.tensordot(one_bit, smooth, axes=(1, axis)), 0, axis)
    return float((difference * smooth).sum())


def kl(q):
    """KL(q || uniform) in nats."""
    return float(rel_entr(q, 1 / q.size).sum())


def objective(name, q, scores, strength, h):
    """Eq. (11), (15) or (22), from q and the log-likelihoods `scores` of all networks."""
    penalty = {"mle": lambda: 0.0, "elbo": lambda: kl(q), "selbo": lambda: mmd_squared(q, h)}[name]()
    return float(q @ scores) - strength * penalty


def gradient(name, angles, scores, strength, h):
    """Central differences of `objective` (L, 2, n)."""
    step = 1e-5
    plus, minus = (
        np.array([objective(name, q, scores, strength, h) for q in side])
        for side in shifted_probabilities(angles, step)
    )
    return ((plus - minus) / (2 * step)).reshape(angles.shape)


def algorithm_1(name, angles, scores, strength, h):
    """[L(theta + pi/2) - L(theta - pi/2)] / 2 (L, 2, n): line 5 of Algorithm 1, with exact terms."""
    plus, minus = (
        np.array([objective(name, q, scores, strength, h) for q in side])
        for side in shifted_probabilities(angles, np.pi / 2)
    )
    return ((plus - minus) / 2).reshape(angles.shape)


def logit(network_bits, point, n_hidden):
    """The network of Section II-A on one point, in plain Python; the last bit: 0 = ReLU, 1 = sigmoid."""
    d = len(point)
    w = [2 * int(b) - 1 for b in network_bits]
    out = w[d * n_hidden + n_hidden]  # b2
    for k in range(n_hidden):
        z = w[d * n_hidden + n_hidden + 1 + k]  # b1
        for i in range(d):
            z += w[i * n_hidden + k] * point[i]
        a = 1 / (1 + math.exp(-z)) if network_bits[-1] else max(z, 0.0)
        out += w[d * n_hidden + k] * a
    return out


def log_likelihood(network_bits, x, y, n_hidden):
    """Bernoulli log-likelihood in nats, summed over the points."""
    total = 0.0
    for point, label in zip(x.tolist(), y.tolist(), strict=True):
        z = logit(network_bits, point, n_hidden)
        total -= math.log1p(math.exp(-z if label else z))
    return total


def all_log_likelihoods(x, y, n_hidden):
    """`log_likelihood` of every network (2**n,)."""
    n = 4 * n_hidden + 2
    return np.array([log_likelihood(bits(i, n), x, y, n_hidden) for i in range(2**n)])
