"""Where the seeds of a run stand: all that the next epoch needs, and all that a checkpoint keeps."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from qhn_core.bits import Float, Index


@dataclass(frozen=True)
class TrainingState:
    """Where S seeds stand after `epoch` epochs. Arrays have the seeds on their first axis."""

    epoch: int
    seeds: Index
    angles: Float
    best_angles: Float
    best_objective: Float
    """Of `best_angles`, estimated, with the λ of the last epoch: so that all epochs are judged alike."""
    learning_rate: Float
    stale_epochs: Index
    samples: Index
    """Basis states measured at `angles` (S, shots); (S, 0) for an exact run.

    Of more than 63 qubits, which one index does not hold: packed bitstrings (S, n_words, shots), see
    `bits.words_to_bits`.
    """
    gradient: Float
    """The gradient that led to `angles`; zero before the first epoch."""
    diverged_at: Index
    """Epoch at which a seed's numbers stopped being finite, 0 where they are."""

    def take(self, rows: Any) -> "TrainingState":
        """The state of some of the seeds: rows is a slice, mask or index array."""
        kept = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "epoch"}
        return TrainingState(epoch=self.epoch, **kept)

    def divergence(self) -> str:
        """A sentence on the seeds that diverged, or an empty string."""
        bad = np.flatnonzero(self.diverged_at)
        if not len(bad):
            return ""
        first = bad[np.argmin(self.diverged_at[bad])]
        return (
            f"{len(bad)} of {len(self.seeds)} seeds diverged, first seed {self.seeds[first]} at epoch "
            f"{self.diverged_at[first]}: the angles or the objective grew beyond all bounds. "
            "Lower the learning rate or λ."
        )


def merge_states(states: list[TrainingState]) -> TrainingState:
    """The states of shards of the seeds, all at the same epoch, as one."""
    joined = {
        f.name: np.concatenate([getattr(s, f.name) for s in states])
        for f in fields(TrainingState)
        if f.name != "epoch"
    }
    return TrainingState(epoch=states[0].epoch, **joined)
