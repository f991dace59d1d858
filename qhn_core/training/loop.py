"""Training as a pure function: advance(config, state, n_epochs) -> (state, history rows).

Seed i draws its first angles from SeedSequence(seed).spawn(n_seeds)[i].spawn(1)[0], and the samples
of epoch e from the stream of SeedSequence(seed).spawn(n_seeds)[i] and e (`circuits.base.Draws`). What an
optimiser draws besides depends on i and e alone, too. So its numbers do not depend on chunks, shards,
workers or the other seeds.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qhn_core.bits import Float, Index
from qhn_core.config import RunConfig
from qhn_core.model.scores import network_scores_for
from qhn_core.objectives.estimates import Estimate, Estimator, estimator_for, objective_of
from qhn_core.training.evaluation import summarize
from qhn_core.training.history import EpochRow, Rows, join_rows, tidy
from qhn_core.training.optimizers import OPTIMIZERS, moments_shape
from qhn_core.training.schedules import at_epoch, decay_on_plateau
from qhn_core.training.state import TrainingState, merge_states

LARGEST_ANGLE = 2.0**52
"""From here on neighbouring floating-point numbers are a radian apart, and an angle means nothing."""


def initial_state(config: RunConfig, seeds: Index | None = None) -> TrainingState:
    """Make the state before the first epoch: angles uniform on [0, 2 pi) or the config's, measured once.

    seeds: which of the config's seeds, default all; the numbers of one do not depend on the others.
    Raises ValueError where a run needs tables that do not fit the memory.
    """
    seeds = np.arange(config.n_seeds) if seeds is None else np.asarray(seeds)
    streams = [np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(i, 0))) for i in seeds]
    angles = np.array([rng.uniform(0, 2 * np.pi, config.angle_shape) for rng in streams])
    if config.initial_angles is not None:
        angles[:] = np.reshape(config.initial_angles, config.angle_shape)
    measured = estimator_for(config, seeds).estimate(config, angles, epoch=0)
    judged, count = _judged(config, measured), len(seeds)
    return TrainingState(
        epoch=0,
        seeds=seeds,
        angles=angles,
        best_angles=angles,
        best_objective=judged,
        learning_rate=np.full(count, config.learning_rate),
        stale_epochs=np.zeros(count, dtype=np.int64),
        samples=measured.samples,
        gradient=np.zeros_like(angles),
        diverged_at=np.zeros(count, dtype=np.int64),
        objective_to_beat=judged,
        moments=np.zeros((count, *moments_shape(config))),
    )


def advance(config: RunConfig, state: TrainingState, n_epochs: int) -> tuple[TrainingState, Rows]:
    """Train for n_epochs more, or to the config's last: (new state, history rows).

    Pure: the same arguments give the same result, bit for bit, in any process. A seed whose
    numbers stop being finite is frozen and has no further rows.

    >>> config = RunConfig(epochs=4, n_seeds=2)
    >>> state, rows = advance(config, initial_state(config), 3)
    >>> state.epoch, rows["epoch"].tolist(), rows["seed"].tolist()
    (3, [1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1])
    """
    estimator = estimator_for(config, state.seeds)
    rows: list[Rows] = []
    for _ in range(min(n_epochs, config.epochs - state.epoch)):
        if state.diverged_at.all():  # nothing moves, but the run's other shards go on counting epochs
            state = replace(state, epoch=state.epoch + 1)
            continue
        state, row = _one_epoch(config, estimator, state)
        rows.append(row.columns())
    return state, join_rows(rows)


def _one_epoch(
    config: RunConfig, estimator: Estimator, state: TrainingState
) -> tuple[TrainingState, EpochRow]:
    """Step with the seeds that are alive, and freeze those whose numbers stop being finite."""
    alive = np.flatnonzero(state.diverged_at == 0)
    moved, finite, row = _step(config, estimator.take(alive), state.take(alive))
    diverged_at = state.diverged_at.copy()
    diverged_at[alive[~finite]] = moved.epoch
    return replace(state.put(alive[finite], moved), epoch=moved.epoch, diverged_at=diverged_at), row


def _step(
    config: RunConfig, estimator: Estimator, now: TrainingState
) -> tuple[TrainingState, NDArray[np.bool_], EpochRow]:
    """Take one step: (the seeds whose numbers are finite, which those are, their row of the history)."""
    epoch = now.epoch + 1
    climbed = at_epoch(config, epoch)
    step = OPTIMIZERS[config.optimizer](climbed, estimator, now, epoch)
    finite = np.asarray((np.abs(step.angles) < LARGEST_ANGLE).all(axis=(1, 2, 3)))
    finite &= np.isfinite(step.moments).all(axis=(1, 2, 3, 4))
    measured = estimator.take(finite).estimate(climbed, step.angles[finite], epoch)
    ok = np.isfinite(objective_of(climbed, measured.terms))
    measured = measured.take(ok)
    finite[finite] = ok
    now = now.take(finite)
    moved = replace(
        now,
        epoch=epoch,
        angles=step.angles[finite],
        samples=measured.samples,
        gradient=step.gradient[finite],
        moments=step.moments[finite],
        **_progress(config, now, step.angles[finite], _judged(config, measured)),
    )
    row = EpochRow(
        seed=now.seeds,
        epoch=np.full(len(now.seeds), epoch),
        objective=objective_of(climbed, measured.terms),
        **vars(measured.terms),
        gradient_magnitude=np.abs(moved.gradient).mean(axis=(1, 2, 3)),
        learning_rate=now.learning_rate,
        **measured.scores,
        exact_objective=measured.exact_objective,
    )
    return moved, finite, row


def _judged(config: RunConfig, measured: Estimate) -> Float:
    """The objective (S,) that picks theta*: with the λ of the last epoch, so that all are judged alike."""
    return objective_of(at_epoch(config, config.epochs), measured.terms)


def _progress(config: RunConfig, now: TrainingState, angles: Float, judged: Float) -> dict[str, Any]:
    """The fields of the state that depend on whether the objective at the new angles is better."""
    better = judged > now.best_objective
    best = np.maximum(judged, now.best_objective)
    learning_rate, stale_epochs = decay_on_plateau(
        now.learning_rate,
        now.stale_epochs,
        (judged > now.objective_to_beat + config.min_delta) | (config.plateau == "none"),
        config.patience,
        config.decay_factor,
    )
    return {
        "best_angles": np.where(better[:, None, None, None], angles, now.best_angles),
        "best_objective": best,
        "learning_rate": learning_rate,
        "stale_epochs": stale_epochs,
        "objective_to_beat": judged if config.plateau == "previous-epoch" else best,
    }


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    config: RunConfig
    history: pd.DataFrame
    """One row per seed and epoch; the columns are HISTORY_COLUMNS (units: nats, radians)."""
    state: TrainingState

    @property
    def best_angles(self) -> Float:
        """theta* of each seed, the best by the estimated objective: (S, n_layers, 2, n_qubits)."""
        return self.state.best_angles

    def summary(self) -> pd.DataFrame:
        """Average BCE and accuracy over seeds, with the standard deviation; see `evaluation.summarize`."""
        return summarize(self.config, self.history, self.best_angles)


def train(config: RunConfig, progress: Callable[[TrainingState, Rows], None] | None = None) -> RunResult:
    """Train all seeds of a config, on all cores; the numbers do not depend on how many those are.

    progress(state, rows) is called after every few epochs with the state of all seeds so far and
    the new history rows; an exception that it raises stops the run.
    Raises ValueError where a run needs tables that do not fit the memory, or a simulator that is missing.

    >>> result = train(RunConfig(epochs=3, n_seeds=2))
    >>> result.history.shape, result.best_angles.shape
    ((6, 13), (2, 1, 2, 14))
    """
    network_scores_for(config)
    threads = min(os.cpu_count() or 1, config.n_seeds)
    shards = np.array_split(np.arange(config.n_seeds), threads)
    chunk = max(1, config.epochs // 50)
    rows: list[Rows] = []
    with ThreadPoolExecutor(threads) as pool:
        states = list(pool.map(lambda seeds: initial_state(config, seeds), shards))
        while states[0].epoch < config.epochs and not all(s.diverged_at.all() for s in states):
            done = list(pool.map(lambda state: advance(config, state, chunk), states))
            states = [state for state, _ in done]
            rows.append(join_rows([r for _, r in done]))
            if progress is not None:
                progress(merge_states(states), rows[-1])
    return RunResult(config, tidy(join_rows(rows)), merge_states(states))
