"""What circuits are worth at given angles: the objective's terms and the scores, sampled or exact."""

from dataclasses import fields

import numpy as np

from qhn_core.bits import Float, Index
from qhn_core.circuits.base import Circuits, Draws, samples_shape
from qhn_core.circuits.batches import circuit_blocks
from qhn_core.config import RunConfig
from qhn_core.model.scores import SCORES, AnyProblem, LargeProblem, Problem, build_problem
from qhn_core.objectives import Terms, circuit_objective, log_likelihoods, sampled_terms

SCORE_COLUMNS = (*SCORES, "exact_objective")


def measure(
    config: RunConfig, problem: AnyProblem, angles: Float, draws: Draws | None
) -> tuple[Index, Terms, dict[str, Float]]:
    """(state.samples, the objective's terms, the networks' scores) at angles (S, L, 2, n).

    Each seed is measured by its own draws; without draws all numbers are exact.
    """
    none = np.zeros((0, *samples_shape(config)), dtype=np.int64)
    parts = [(none, Terms(*np.zeros((3, 0))), dict.fromkeys(SCORE_COLUMNS, np.zeros(0)))]
    for rows, circuits in circuit_blocks(config, angles):
        if draws is None:
            parts.append(_exact_measurement(config, build_problem(config), circuits))
        else:
            parts.append(_sampled_measurement(config, problem, circuits, draws.take(rows)))
    samples, terms, scores = zip(*parts, strict=True)
    return (
        np.concatenate(samples),
        Terms(*(np.concatenate([getattr(t, f.name) for t in terms]) for f in fields(Terms))),
        {name: np.concatenate([s[name] for s in scores]) for name in SCORE_COLUMNS},
    )


def _exact_measurement(
    config: RunConfig, problem: Problem, circuits: Circuits
) -> tuple[Index, Terms, dict[str, Float]]:
    tables = np.array([log_likelihoods(config, problem), *(getattr(problem, name) for name in SCORES)])
    means = circuits.means(tables).T
    terms = Terms(means[0], circuits.kl(), circuits.mmd_squared())
    scores = dict(zip(SCORES, means[1:], strict=True))
    samples = np.zeros((len(means[0]), 0), dtype=np.int64)
    return samples, terms, {**scores, "exact_objective": objective_of(config, terms)}


def _sampled_measurement(
    config: RunConfig, problem: AnyProblem, circuits: Circuits, draws: Draws
) -> tuple[Index, Terms, dict[str, Float]]:
    words, prior = circuits.samples(draws), draws.prior(config.n_qubits)
    terms = sampled_terms(config, problem, words, prior, circuits.kl())
    if isinstance(problem, LargeProblem):  # E[ll] is a sum over 2**n networks
        exact_objective = np.full(len(words), np.nan)
    else:
        exact_objective = circuit_objective(config, problem, circuits)
    samples = words[:, 0] if words.shape[1] == 1 else words
    return samples, terms, {**problem.mean_scores(words), "exact_objective": exact_objective}


def objective_of(config: RunConfig, terms: Terms) -> Float:
    """The config's objective (B,), nats, of its terms."""
    return terms.value(config.objective, config.regularization)
