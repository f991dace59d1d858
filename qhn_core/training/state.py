"""Where the seeds of a run are: all that the next epoch needs, and all that a checkpoint keeps."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from qhn_core.bits import Float, Index


@dataclass(frozen=True)
class TrainingState:
    """Where S seeds are after `epoch` epochs. Arrays have the seeds on their first axis."""

    epoch: int
    seeds: Index
    angles: Float
    best_angles: Float
    best_objective: Float
    """Estimated at `best_angles`, with the λ of the last epoch, so that all epochs are judged alike."""
    learning_rate: Float
    stale_epochs: Index
    samples: Index
    """Basis states measured at `angles` (S, shots); (S, 0) for an exact run.

    With more than 63 qubits, too many for one index: packed bitstrings (S, n_words, shots), see
    `bits.words_to_bits`.
    """
    gradient: Float
    """The gradient that led to `angles`; zero before the first epoch."""
    diverged_at: Index
    """Epoch at which a seed's numbers stopped being finite, 0 where they are."""
    objective_to_beat: Float
    """An epoch without improvement is one that does not exceed this by min δ, see `RunConfig.plateau`.

    It is the objective of the epoch before, or the best so far.
    """
    moments: Float
    """What the optimiser remembers of earlier gradients (S, M, L, 2, n): M = 2 for Adam, 0 for others."""

    def take(self, rows: Any) -> "TrainingState":
        """Keep some of the seeds: rows is a slice, mask or index array."""
        kept = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "epoch"}
        return TrainingState(epoch=self.epoch, **kept)

    def put(self, rows: Index, other: "TrainingState") -> "TrainingState":
        """Replace the seeds at `rows` by those of `other`, in that order; the epoch stays."""
        merged = {f.name: getattr(self, f.name).copy() for f in fields(self) if f.name != "epoch"}
        for name, values in merged.items():
            values[rows] = getattr(other, name)
        return TrainingState(epoch=self.epoch, **merged)

    def divergence(self) -> str:
        """Say which seeds diverged and when, or return an empty string."""
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
    """Join the states of shards of the seeds, all at the same epoch."""
    joined = {
        f.name: np.concatenate([getattr(s, f.name) for s in states])
        for f in fields(TrainingState)
        if f.name != "epoch"
    }
    return TrainingState(epoch=states[0].epoch, **joined)
