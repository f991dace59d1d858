"""What a trained circuit is held against: the best network, the exact posterior, logistic regression."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from qhn_core.bits import Float
from qhn_core.model.datasets import Dataset
from qhn_core.model.predictions import _prediction_scores
from qhn_core.model.scores import ScoreTable


@dataclass(frozen=True)
class Scores:
    """BCE in nats and accuracy in [0, 1] on both sets."""

    train_bce: float
    train_accuracy: float
    test_bce: float
    test_accuracy: float


def network_scores(problem: ScoreTable, index: int) -> Scores:
    """The scores of one network, by its basis state."""
    return Scores(
        float(problem.train_bce[index]),
        float(problem.train_accuracy[index]),
        float(problem.test_bce[index]),
        float(problem.test_accuracy[index]),
    )


def exhaustive_search(problem: ScoreTable) -> tuple[int, Scores]:
    """The network with the lowest training BCE of all 2**n ("MLE E.S."): its basis state and scores.

    Several bitstrings can be the same function (hidden neurons swap); the first is named.

    >>> from qhn_core.config import RunConfig
    >>> from qhn_core.model.scores import score_table
    >>> exhaustive_search(score_table(RunConfig()))[1].test_accuracy > 0.95
    True
    """
    best = int(np.argmin(problem.train_bce))
    return best, network_scores(problem, best)


def log_evidence(problem: ScoreTable) -> float:
    """log p(Y | X) in nats: the log of the mean over all networks of exp(log-likelihood)."""
    scores = problem.train_log_likelihood
    return float(logsumexp(scores) - np.log(scores.size))


def exact_posterior(problem: ScoreTable) -> Float:
    """p(network | training data) of all 2**n networks under the uniform prior."""
    return np.exp(problem.train_log_likelihood - log_evidence(problem)) / problem.train_log_likelihood.size


@lru_cache(maxsize=8)
def logistic_regression(data: Dataset) -> dict[str, Float]:
    """Scores, each (1,), of scikit-learn's logistic regression: what a linear model does."""
    from sklearn.linear_model import LogisticRegression  # 1 s to import

    model = LogisticRegression(max_iter=10_000).fit(data.x_train, data.y_train)
    parts = (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test))
    scores = _prediction_scores({part: (model.predict_proba(x)[:, 1], y) for part, x, y in parts})
    return {name: np.array([value]) for name, value in scores.items()}
