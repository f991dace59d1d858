"""Measure how time grows with qubits and layers, for `qhn bench --growth`, and fit the exponents."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from typing_extensions import override

from qhn_core.circuits.batches import circuit_blocks
from qhn_core.circuits.simulators import get_simulator
from qhn_core.config import DatasetName, RunConfig
from qhn_core.model.scores import score_table
from qhn_core.objectives.gradients import exact_gradient
from qhn_core.objectives.terms import circuit_objective
from qhn_core.training.loop import advance, initial_state

EXACT: Final = "exact"
SMALL: Final = "gaussian"
LARGE: Final = "digits"
"""The works that are timed: an exact value and gradient, or an epoch of training on a dataset."""
QUBITS, LAYERS = range(8, 25, 2), range(1, 7)
DRAWN_LAYERS, DRAWN_QUBITS = (2, 3, 6), (14, 18, 22)
"""Layers that get a line over all QUBITS, and qubits that get a line over all LAYERS."""
TRAINED: tuple[tuple[DatasetName, int, tuple[int, ...]], ...] = (
    *((SMALL, n_layers, (2, 3, 4)) for n_layers in (1, 3)),
    (LARGE, 1, (1, 2, 4, 8, 16)),
)
"""Dataset, layers and numbers of hidden neurons: 10 to 18 qubits, and 68 to 1,058."""
ENOUGH_SECONDS, MOST_SECONDS = 0.5, 5.0
"""A point is timed for ENOUGH_SECONDS at least, and four times at least, but not beyond MOST_SECONDS."""
TEXT = (
    "Timed: one seed, medians, compilation not counted.",
    "exact: ELBO and gradient; ideally time goes with n 2^n L.",
    "gaussian, digits: an epoch of training from samples (SELBO, chain rule, 100 shots), of 2-h-1 networks "
    "to 18 qubits and 64-h-1 networks to 1,058. Training starts where all networks are equally likely. "
    "Without tables, time ideally goes with n^2: there are 4 n shifted circuits, of n bits each.",
    "Slopes are exponents of time. For exact work they are fitted from 14 qubits on, where the cost of "
    "Python's calls no longer shows, and from 3 layers on, since one or two have a closed form.",
)


@dataclass(frozen=True)
class Point:
    """One measurement."""

    work: str
    """EXACT, SMALL or LARGE."""
    n_qubits: int
    n_layers: int
    simulator: str
    seconds: float
    """Median time of a value and gradient, or of an epoch, for one seed."""

    @property
    def size(self) -> float:
        """The size that time is compared with: n 2^n L, or n if one layer is sampled without tables."""
        n = self.n_qubits
        return float(n) if self.work == LARGE else n * 2.0**n * self.n_layers

    @property
    def ideal(self) -> int:
        """The smallest exponent of `size` that can be expected."""
        return 2 if self.work == LARGE else 1

    def in_words(self) -> str:
        """Write a line for the terminal."""
        where = f"{self.n_qubits:5} qubits {self.n_layers} layers"
        return f"{self.work:8} {where}  {1e3 * self.seconds:12,.3f} ms  {self.simulator}"


class AnyQubits(RunConfig):
    """The exact ELBO of any number of qubits, even if no network has so many bits."""

    qubits: int

    @property
    @override
    def n_qubits(self) -> int:
        return self.qubits


def median_seconds(call: Callable[[int], object]) -> float:
    """Return the median time of call(0), call(1), ...; the first, a warm-up, counts only if it is alone."""
    times: list[float] = []
    while sum(times) < ENOUGH_SECONDS or (len(times) < 4 and sum(times) < MOST_SECONDS):
        started = time.perf_counter()
        call(len(times))
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:] or times)


def exact_work(n_qubits: int, n_layers: int) -> Callable[[int], object]:
    """Return a call that computes ELBO and gradient of a seed as training does, on random likelihoods."""
    config = AnyQubits(qubits=n_qubits, n_layers=n_layers, objective="elbo", shots=None)
    scores = np.random.default_rng(0).uniform(-200, -50, 2**n_qubits)
    table = replace(score_table(RunConfig(n_hidden=1)), train_log_likelihood=scores)

    def run(seed: int) -> object:
        angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (1, *config.angle_shape))
        (_, circuits), *_ = circuit_blocks(config, angles)
        return circuit_objective(config, table, circuits), exact_gradient(config, table, circuits)

    return run


def sampled_work(config: RunConfig) -> Callable[[int], object]:
    """Return a call that trains the first epoch of a run. Each call is a new run, so no score is cached."""
    half_turns = (np.pi / 2,) * int(np.prod(config.angle_shape))
    config = config.model_copy(update={"initial_angles": half_turns})

    def run(seed: int) -> object:
        one = config.model_copy(update={"seed": seed})
        return advance(one, initial_state(one), 1)

    return run


def measure() -> Iterator[Point]:
    """Measure all points, and yield each at once; points that are compared closely follow each other."""
    for n_layers in LAYERS:
        exact_work(QUBITS[0], n_layers)(0)  # compiles
    for n in QUBITS:
        for n_layers in LAYERS if n in DRAWN_QUBITS else DRAWN_LAYERS:
            yield _point(EXACT, n, n_layers, exact_work(n, n_layers))
    for dataset, n_layers, sizes in TRAINED:
        configs = [RunConfig(dataset=dataset, n_hidden=h, n_layers=n_layers) for h in sizes]
        sampled_work(configs[0])(0)
        for config in configs:
            yield _point(dataset, config.n_qubits, n_layers, sampled_work(config))


def _point(work: str, n_qubits: int, n_layers: int, call: Callable[[int], object]) -> Point:
    shallow = RunConfig(n_layers=n_layers).has_closed_form
    simulator = "closed form" if shallow else get_simulator("auto", n_qubits).name
    return Point(work, n_qubits, n_layers, simulator, median_seconds(call))


def slope(points: Sequence[Point]) -> float:
    """Fit the exponent of time against size by least squares of logarithms; at best it is `Point.ideal`.

    >>> quadratic = [Point("exact", n, 1, "", (n * 2.0**n) ** 2) for n in (8, 12, 16)]
    >>> round(slope(quadratic), 6)
    2.0
    """
    sizes = np.log([point.size for point in points])
    return float(np.polyfit(sizes, np.log([point.seconds for point in points]), 1)[0])
