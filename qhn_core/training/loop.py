"""Training as a pure function: advance(config, state, n_epochs) -> (state, history rows).

Seed i draws its first angles from SeedSequence(seed).spawn(n_seeds)[i].spawn(1)[0], and the samples
of epoch e from the stream that SeedSequence(seed).spawn(n_seeds)[i] and e make (`circuits.Draws`); so
its numbers do not depend on chunks, shards, workers or the other seeds.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Draws, Keys, as_words, seed_keys
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.config import RunConfig
from qhn_core.model.scores import NetworkScores, network_scores_for, score_table
from qhn_core.objectives.estimates import estimate, objective_of
from qhn_core.objectives.gradients import exact_gradient, sampled_gradient
from qhn_core.training.evaluation import summarize
from qhn_core.training.history import Rows, join_rows, tidy
from qhn_core.training.schedules import ascend, at_epoch, decay_on_plateau
from qhn_core.training.state import TrainingState, merge_states

LARGEST_ANGLE = 2.0**52
"""From here on neighbouring numbers are a radian apart: an angle means nothing any more."""


def initial_state(config: RunConfig, seeds: Index | None = None) -> TrainingState:
    """The state before the first epoch: angles uniform on [0, 2 pi) or the config's, measured once.

    seeds: which of the config's seeds, default all; the numbers of one do not depend on the others.
    """
    seeds = np.arange(config.n_seeds) if seeds is None else np.asarray(seeds)
    streams = [np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(i, 0))) for i in seeds]
    angles = np.array([rng.uniform(0, 2 * np.pi, config.angle_shape) for rng in streams])
    if config.initial_angles is not None:
        angles[:] = np.reshape(config.initial_angles, config.angle_shape)
    draws = None if config.shots is None else Draws(seed_keys(config.seed, seeds), 0, config.shots)
    samples, terms, _ = estimate(config, network_scores_for(config), angles, draws)
    count = len(seeds)
    return TrainingState(
        epoch=0,
        seeds=seeds,
        angles=angles,
        best_angles=angles,
        best_objective=objective_of(at_epoch(config, config.epochs), terms),
        learning_rate=np.full(count, config.learning_rate),
        stale_epochs=np.zeros(count, dtype=np.int64),
        samples=samples,
        gradient=np.zeros_like(angles),
        diverged_at=np.zeros(count, dtype=np.int64),
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
    problem, keys = network_scores_for(config), seed_keys(config.seed, state.seeds)
    rows: list[Rows] = []
    for _ in range(min(n_epochs, config.epochs - state.epoch)):
        if state.diverged_at.all():  # nothing moves, but other shards of the run count on
            state = replace(state, epoch=state.epoch + 1)
            continue
        state, row = _one_epoch(config, problem, keys, state)
        rows.append(row)
    return state, join_rows(rows)


def _one_epoch(
    config: RunConfig, problem: NetworkScores, keys: Keys, state: TrainingState
) -> tuple[TrainingState, Rows]:
    epoch = state.epoch + 1
    alive = np.flatnonzero(state.diverged_at == 0)
    now = state.take(alive)
    draws = None if config.shots is None else Draws(keys[alive], epoch, config.shots)
    climbed = at_epoch(config, epoch)
    gradient = _gradient(climbed, problem, now, draws)
    angles = ascend(now.angles, gradient, now.learning_rate)
    finite = np.asarray((np.abs(angles) < LARGEST_ANGLE).all(axis=(1, 2, 3)))
    samples, terms, scores = estimate(climbed, problem, angles[finite], draws and draws.take(finite))
    objective = objective_of(climbed, terms)
    ok = np.isfinite(objective)
    judged = objective_of(at_epoch(config, config.epochs), terms)[ok]  # all epochs by one λ, the last one's
    finite[finite] = ok

    diverged_at = state.diverged_at.copy()
    diverged_at[alive[~finite]] = epoch
    now = now.take(finite)
    best_angles = np.where(
        (judged > now.best_objective)[:, None, None, None], angles[finite], now.best_angles
    )
    learning_rate, stale_epochs = decay_on_plateau(
        now.learning_rate,
        now.stale_epochs,
        judged > now.best_objective + config.min_delta,
        config.patience,
        config.decay_factor,
    )
    new = replace(
        now,
        angles=angles[finite],
        best_angles=best_angles,
        best_objective=np.maximum(judged, now.best_objective),
        learning_rate=learning_rate,
        stale_epochs=stale_epochs,
        samples=samples[ok],
        gradient=gradient[finite],
    )
    row = {
        "seed": now.seeds,
        "epoch": np.full(len(now.seeds), epoch),
        "objective": objective[ok],
        "expected_log_likelihood": terms.expected_log_likelihood[ok],
        "kl": terms.kl[ok],
        "mmd_squared": terms.mmd_squared[ok],
        "gradient_magnitude": np.abs(new.gradient).mean(axis=(1, 2, 3)),
        "learning_rate": now.learning_rate,
        **{name: values[ok] for name, values in scores.items()},
    }
    return _put_back(state, alive[finite], new, epoch, diverged_at), row


def _gradient(config: RunConfig, problem: NetworkScores, now: TrainingState, draws: Draws | None) -> Float:
    """The gradient (S, L, 2, n) at now.angles: exact without draws."""
    gradient = np.empty_like(now.angles)
    measured = as_words(now.samples)
    for rows, circuits in circuit_blocks(config, now.angles):
        if draws is None:
            gradient[rows] = exact_gradient(config, score_table(config), circuits)
        else:
            gradient[rows] = sampled_gradient(config, problem, circuits, draws.take(rows), measured[rows])
    return gradient


def _put_back(
    state: TrainingState, rows: Index, new: TrainingState, epoch: int, diverged_at: Index
) -> TrainingState:
    """`state` with the given rows replaced by `new`; the other seeds stay as they are."""
    merged: dict[str, Any] = {}
    for f in fields(state):
        if f.name not in ("epoch", "diverged_at"):
            merged[f.name] = getattr(state, f.name).copy()
            merged[f.name][rows] = getattr(new, f.name)
    return TrainingState(epoch=epoch, diverged_at=diverged_at, **merged)


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
        """Mean and standard deviation over seeds of BCE and accuracy; see `evaluation.summarize`."""
        return summarize(self.config, self.history, self.best_angles)


def train(config: RunConfig, progress: Callable[[TrainingState, Rows], None] | None = None) -> RunResult:
    """Train all seeds of a config, on all cores; the numbers do not depend on how many those are.

    progress(state, rows) is called after every few epochs with the state of all seeds so far and
    the new history rows; an exception that it raises stops the run.

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
