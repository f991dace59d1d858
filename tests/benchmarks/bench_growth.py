"""How time grows with qubits and layers, and its slope on a log plot beside the ideal."""

import time
from collections.abc import Callable

import numpy as np

import qhn_core as qhn
from qhn_core.circuits import Draws, OneLayer, circuit_blocks, seed_keys
from qhn_core.config import RunConfig
from tests.benchmarks.measure import row

QUBITS = (8, 12, 16, 20, 22, 24)
LAYERS = (1, 2, 3, 4, 5, 6)
ONE_LAYER_QUBITS = (14, 34, 134, 530, 992)


def best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of several runs, after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def slope(x: np.ndarray, seconds: list[float]) -> float:
    """Of log time by log x, between the two largest."""
    return float(np.diff(np.log(seconds[-2:]))[0] / np.diff(np.log(x[-2:]))[0])


def qubit_rows() -> list[str]:
    """Probabilities of one circuit of three layers by each simulator; ideal: n 2**n."""
    out, times = [], {"numba": [], "qsim": []}
    for n in QUBITS:
        angles = np.random.default_rng(n).uniform(0, 2 * np.pi, (1, 3, 2, n))
        for name, seconds in times.items():
            simulator = qhn.get_simulator(name)
            seconds.append(
                best_seconds(lambda s=simulator, a=angles: s.probabilities(a), 3 if n < 22 else 1)
            )
        ours, theirs = times["numba"][-1], times["qsim"][-1]
        peer = f"qsim {1e3 * theirs:.2f} ms ({theirs / ours:.1f} x)"
        out.append(row(f"one circuit, L=3, {n} qubits", f"{1e3 * ours:.2f} ms", "", peer))
    work = np.array([n * 2.0**n for n in QUBITS])
    ours, theirs = (slope(work, seconds) for seconds in times.values())
    out.append(row("  slope in n 2**n, at the largest", f"{ours:.2f}", "1 = ideal", f"qsim {theirs:.2f}"))
    return out


def layer_rows() -> list[str]:
    """Probabilities of one circuit, and samples of all shifted ones, at 14 qubits."""
    out = []
    for n_layers in LAYERS:
        config = RunConfig(n_layers=n_layers)
        angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (1, *config.angle_shape))
        simulator = qhn.get_simulator("numba")
        state = best_seconds(lambda a=angles, s=simulator: s.probabilities(a))
        draws = Draws(seed_keys(0, np.arange(1)), 1, 100)
        _, circuits = next(circuit_blocks(config, angles))
        shifted = best_seconds(lambda c=circuits, d=draws: c.shifted_samples(0, d))
        each = f"{1e6 * shifted / (56 * n_layers):.1f} µs a shifted circuit"
        out.append(row(f"one circuit, 14 qubits, L={n_layers}", f"{1e6 * state:.0f} µs", "", each))
    return out


def one_layer_rows() -> list[str]:
    """100 samples of all 4 n shifted circuits of one layer; ideal: n**2, since each has n bits."""
    seconds = []
    out = []
    for n in ONE_LAYER_QUBITS:
        config = RunConfig().model_copy()
        angles = np.random.default_rng(n).uniform(0, 2 * np.pi, (1, 1, 2, n))
        draws = Draws(seed_keys(0, np.arange(1)), 1, 100)
        circuits = OneLayer(config, angles)
        seconds.append(best_seconds(lambda c=circuits, d=draws: c.shifted_samples(0, d)))
        each = f"{1e9 * seconds[-1] / (4 * n * n * 100):.2f} ns a bit"
        out.append(row(f"all shifted samples, L=1, {n} qubits", f"{1e3 * seconds[-1]:.2f} ms", "", each))
    steepness = slope(np.array(ONE_LAYER_QUBITS, float), seconds)
    out.append(row("  slope in n, at the largest", f"{steepness:.2f}", "2 = ideal"))
    return out


def rows() -> list[str]:
    """All of them."""
    return [*qubit_rows(), *layer_rows(), *one_layer_rows()]
