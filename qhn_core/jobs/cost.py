"""What a run costs in time and memory, estimated before it is trained."""

from dataclasses import dataclass

import numpy as np

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.kernels.hamming import WORD_BITS
from qhn_core.model.capacity import BYTES_PER_NETWORK, has_tables
from qhn_core.model.scores import MOST_AT_ONCE, MOST_KNOWN
from qhn_core.training.optimizers import circuits_per_epoch

EPOCH_SECONDS = 0.3
"""An epoch of one shard should not hold a worker for much longer."""
PROCESS_BYTES = 2e8
"""Of a worker that does nothing: Python and the libraries."""


def shard_seeds(config: RunConfig, workers: int) -> list[Index]:
    """Split the seeds of a run into shards that can be trained apart.

    There are as many shards as workers, and more where an epoch of a shard would hold a worker for longer
    than EPOCH_SECONDS.

    >>> [len(shard) for shard in shard_seeds(RunConfig(n_seeds=7), workers=2)]
    [4, 3]
    """
    shards = max(workers, int(np.ceil(config.n_seeds * epoch_seconds(config) / EPOCH_SECONDS)))
    return np.array_split(np.arange(config.n_seeds), min(shards, config.n_seeds))


@dataclass(frozen=True)
class Cost:
    """What a whole run costs."""

    epoch_seconds: float
    """Of an epoch of all seeds."""
    seconds: float
    """Of the whole run, as fast as it goes."""
    bytes: float
    """Of one worker, at the peak."""


def estimated_cost(config: RunConfig, workers: int = 1) -> Cost:
    """Estimate what a run costs on so many free workers; any config has an estimate, however large.

    >>> cost = estimated_cost(RunConfig(n_layers=6, n_hidden=5, shots=10_000, n_seeds=100), workers=2)
    >>> cost.seconds > 3600, cost.bytes < 2e9
    (True, True)
    """
    epoch = epoch_seconds(config) * -(-config.n_seeds // min(workers, config.n_seeds))
    return Cost(epoch, setup_seconds(config) + config.epochs * epoch, peak_bytes(config))


def epoch_seconds(config: RunConfig) -> float:
    """Estimate the seconds that an epoch of one seed takes on one core.

    The constants were fitted by hand to single runs of 1 to 6 layers, with and without tables; for those
    runs estimate / actual is about 0.9 to 1.7. No other runs were compared.
    """
    circuits = float(circuits_per_epoch(config))
    samples = circuits * (config.shots or 0)
    if not has_tables(config):  # most sampled networks are new and have to be scored
        points = 2 * config.n_train_per_class
        return samples * (1.5e-6 + 3.7e-9 * (1 + config.n_inputs / 32) * config.n_hidden * points)
    states = 2.0 ** min(config.n_qubits, 60)
    if config.has_closed_form:
        return circuits * 3.5e-6 + samples * 6e-8 + states * 1.5e-8
    outside_cache = 1 + 1.5 * max(0, config.n_qubits - 18)
    cones = 2.0 ** min(config.n_qubits, 4 * config.n_layers - 4)
    shifts = circuits * (2e-5 + 6e-9 * cones)
    return shifts + samples * 1.4e-7 + states * config.n_layers * 1.6e-8 * outside_cache


def setup_seconds(config: RunConfig) -> float:
    """Estimate the seconds that a worker needs before its first epoch: the scores of all networks."""
    return 2e-6 * 2.0 ** min(config.n_qubits, 60) if has_tables(config) else 0.0


def peak_bytes(config: RunConfig) -> float:
    """Estimate the memory of one worker at its peak.

    The samples of all circuits of a seed are there at once, packed and with copies; networks without a
    table are scored in blocks, and so many are remembered.
    """
    circuits = float(circuits_per_epoch(config))
    words = -(-config.n_qubits // WORD_BITS)
    samples = 4 * 8.0 * words * circuits * (config.shots or 0)
    if has_tables(config):
        return PROCESS_BYTES + samples + BYTES_PER_NETWORK * 2.0 ** min(config.n_qubits, 200)
    remembered = min(circuits * (config.shots or 0), MOST_KNOWN + MOST_AT_ONCE)
    return PROCESS_BYTES + samples + remembered * (200 + 8 * words)
