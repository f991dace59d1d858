"""What circuits are worth at given angles: the objective's terms and the scores, sampled or exact."""

from dataclasses import fields

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws, samples_shape
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.circuits.divergences import kernel_table
from qhn_core.config import RunConfig
from qhn_core.kernels import hamming
from qhn_core.model.scores import SCORES, NetworkScores, SampledScores, ScoreTable, score_table
from qhn_core.objectives.terms import Objective, Terms, circuit_objective, log_likelihoods

SCORE_COLUMNS = (*SCORES, "exact_objective")


def estimate(
    config: RunConfig, problem: NetworkScores, angles: Float, draws: Draws | None
) -> tuple[Index, Terms, dict[str, Float]]:
    """(state.samples, the objective's terms, the networks' scores) at angles (S, L, 2, n).

    Each seed is measured by its own draws; without draws all numbers are exact.
    """
    none = np.zeros((0, *samples_shape(config)), dtype=np.int64)
    parts = [(none, Terms(*np.zeros((3, 0))), dict.fromkeys(SCORE_COLUMNS, np.zeros(0)))]
    for rows, circuits in circuit_blocks(config, angles):
        if draws is None:
            parts.append(_exact_measurement(config, score_table(config), circuits))
        else:
            parts.append(_sampled_measurement(config, problem, circuits, draws.take(rows)))
    samples, terms, scores = zip(*parts, strict=True)
    return (
        np.concatenate(samples),
        Terms(*(np.concatenate([getattr(t, f.name) for t in terms]) for f in fields(Terms))),
        {name: np.concatenate([s[name] for s in scores]) for name in SCORE_COLUMNS},
    )


def _exact_measurement(
    config: RunConfig, problem: ScoreTable, circuits: Circuits
) -> tuple[Index, Terms, dict[str, Float]]:
    tables = np.array([log_likelihoods(config, problem), *(getattr(problem, name) for name in SCORES)])
    means = circuits.means(tables).T
    terms = Terms(means[0], circuits.kl(), circuits.mmd_squared())
    scores = dict(zip(SCORES, means[1:], strict=True))
    samples = np.zeros((len(means[0]), 0), dtype=np.int64)
    return samples, terms, {**scores, "exact_objective": objective_of(config, terms)}


def _sampled_measurement(
    config: RunConfig, problem: NetworkScores, circuits: Circuits, draws: Draws
) -> tuple[Index, Terms, dict[str, Float]]:
    words, prior = circuits.samples(draws), draws.prior(config.n_qubits)
    terms = sampled_terms(config, problem, words, prior, circuits.kl())
    if isinstance(problem, SampledScores):  # E[ll] is a sum over 2**n networks
        exact_objective = np.full(len(words), np.nan)
    else:
        exact_objective = circuit_objective(config, problem, circuits)
    samples = words[:, 0] if words.shape[1] == 1 else words
    return samples, terms, {**problem.mean_scores(words), "exact_objective": exact_objective}


def objective_of(config: RunConfig, terms: Terms) -> Float:
    """The config's objective (B,), nats, of its terms."""
    return terms.value(Objective.of(config))


def sampled_terms(
    config: RunConfig, problem: ScoreTable | SampledScores, samples: Index, prior: Index, kl: Float
) -> Terms:
    """The terms as measured: samples and prior samples (S, n_words, shots), the exact KL (S,).

    KL needs the amplitudes, so it is exact here too (Section III-A); MMD² is eq. (21), and NaN
    for a single shot.
    """
    scale = 1.0 if config.likelihood == "sum" else 1 / len(problem.dataset.y_train)
    expected = scale * problem.mean_log_likelihood(samples)
    if samples.shape[2] < 2:
        return Terms(expected, kl, np.full(len(samples), np.nan))
    table = kernel_table(config.n_qubits, config.h)
    found, rest = hamming.distinct(samples), hamming.distinct(prior)
    mmd_squared = hamming.mean_kernel_within(*found, table) + hamming.mean_kernel_within(*rest, table)
    for i in range(len(samples)):
        one = slice(i, i + 1)
        own = [part[one] for part in found]
        others, weights = rest[0][i], rest[1][i]
        size = rest[2][i]
        mmd_squared[i] -= 2 * hamming.mean_kernel_between(*own, others, weights[:size], table)[0]
    return Terms(expected, kl, mmd_squared)
