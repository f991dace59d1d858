"""What a run costs in time and memory, estimated before it is trained."""

import numpy as np

from qhn_core.bits import Index
from qhn_core.config import RunConfig
from qhn_core.model.capacity import has_tables

EPOCH_SECONDS = 0.3
"""An epoch of one shard should not hold a worker for much longer."""


def shard_seeds(config: RunConfig, workers: int) -> list[Index]:
    """Split the seeds of a run into shards that can be trained apart.

    There are as many shards as workers, and more where an epoch of a shard would hold a worker for longer
    than EPOCH_SECONDS.

    >>> [len(shard) for shard in shard_seeds(RunConfig(n_seeds=7), workers=2)]
    [4, 3]
    """
    shards = max(workers, int(np.ceil(config.n_seeds * epoch_seconds(config) / EPOCH_SECONDS)))
    return np.array_split(np.arange(config.n_seeds), min(shards, config.n_seeds))


def epoch_seconds(config: RunConfig) -> float:
    """Estimate the seconds that an epoch of one seed takes on one core, to a factor of two or three."""
    circuits = 2 * int(np.prod(config.angle_shape)) + 1
    if has_tables(config):
        per_circuit = 1.5e-5 if config.has_closed_form else 3e-4 * config.n_layers / 2
        per_circuit *= 2.0 ** min(max(0, config.n_qubits - 14), 40)
    else:  # most sampled networks are new and have to be scored
        per_circuit = 1e-5 * (config.shots or 0)
    return circuits * per_circuit


def setup_seconds(config: RunConfig) -> float:
    """Estimate the seconds that a worker needs before its first epoch: the scores of all networks."""
    return 1.5e-6 * 2.0 ** min(config.n_qubits, 60) if has_tables(config) else 0.0
