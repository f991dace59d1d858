"""What a trained circuit is compared with: the best network, the exact posterior, logistic regression."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from qhn_core.bits import Float
from qhn_core.model.datasets import Dataset
from qhn_core.model.predictions import prediction_scores
from qhn_core.model.scores import ScoreTable


@dataclass(frozen=True)
class Scores:
    """BCE in nats and accuracy in [0, 1] on both sets."""

    train_bce: float
    train_accuracy: float
    test_bce: float
    test_accuracy: float


def network_scores(table: ScoreTable, index: int) -> Scores:
    """Look up the scores of one network, by its basis state."""
    return Scores(
        float(table.train_bce[index]),
        float(table.train_accuracy[index]),
        float(table.test_bce[index]),
        float(table.test_accuracy[index]),
    )


def exhaustive_search(table: ScoreTable) -> tuple[int, Scores]:
    """Find the network with the lowest training BCE of all 2**n ("MLE E.S."): its basis state and scores.

    Several bitstrings describe one function, since hidden neurons can change places; the first is returned.

    >>> from qhn_core.config import RunConfig
    >>> from qhn_core.model.scores import score_table
    >>> exhaustive_search(score_table(RunConfig()))[1].test_accuracy > 0.95
    True
    """
    best = int(np.argmin(table.train_bce))
    return best, network_scores(table, best)


def log_evidence(table: ScoreTable) -> float:
    """Compute log p(Y | X) in nats: the log of the mean over all networks of exp(log-likelihood)."""
    scores = table.train_log_likelihood
    return float(logsumexp(scores) - np.log(scores.size))


def exact_posterior(table: ScoreTable) -> Float:
    """Compute p(network | training data) (2**n,) of all networks under the uniform prior."""
    return np.exp(table.train_log_likelihood - log_evidence(table)) / table.train_log_likelihood.size


@lru_cache(maxsize=8)
def logistic_regression(data: Dataset) -> dict[str, Float]:
    """Score scikit-learn's logistic regression, each score (1,): how well a linear model does."""
    from sklearn.linear_model import LogisticRegression  # takes 1 s to import

    model = LogisticRegression(max_iter=10_000).fit(data.x_train, data.y_train)
    return prediction_scores({part: (model.predict_proba(x).T[1:], y) for part, x, y in data.parts})
