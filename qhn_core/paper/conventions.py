"""The runs of Section IV under every convention that the paper leaves open, and runs beyond it."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qhn_core.config import RunConfig
from qhn_core.jobs.sweep import grid
from qhn_core.paper.published import published

METHODS: dict[str, dict[str, Any]] = {
    "MLE": {"objective": "mle"},
    "ELBO": {"objective": "elbo"},
    "SELBO λ=0.01": {"objective": "selbo", "regularization": 0.01},
    "SELBO λ=1": {"objective": "selbo", "regularization": 1.0},
    "SELBO λ=100": {"objective": "selbo", "regularization": 100.0},
    "SELBO λ=1000": {"objective": "selbo", "regularization": 1000.0},
}
"""The methods of Section IV, without the exhaustive search, as the paper names them."""
DATASETS = ("gaussian", "moons", "rings")
GRADIENTS = ("algorithm-1", "chain-rule")
LIKELIHOODS = ("sum", "mean")
NETWORKS = ("last epoch", "average", "mixture", "most probable")
"""How a trained circuit predicts; the rows of `RunResult.summary`."""
STRENGTHS = (0.0, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
BEYOND: dict[str, dict[str, Sequence[Any]]] = {
    "strength": {"objective": ("elbo", "selbo"), "regularization": STRENGTHS},
    "layers": {"objective": ("mle", "elbo", "selbo"), "n_layers": (1, 2, 3, 4)},
    "annealing": {
        "objective": ("elbo", "selbo"),
        "regularization": STRENGTHS[1:],
        "annealing": ("constant", "linear", "exponential", "cyclical"),
    },
    "shots": {
        "objective": ("mle", "elbo", "selbo"),
        "shots": (10, 30, 100, 300, 1000, 3000, 10_000, None),
    },
}
"""Variations that the paper leaves out: a part is all combinations of these values of config fields."""
COSTLY_SHARE = 4
"""Costly runs beyond the paper have this many times fewer seeds than the others."""


def check_choice(field: str, value: str, allowed: Iterable[str]) -> None:
    """Raise ValueError, which names the field and the choices, unless a value is one of them."""
    if value not in allowed:
        raise ValueError(f"{field}={value!r}: must be one of {', '.join(map(repr, allowed))}")


def is_costly(config: RunConfig) -> bool:
    """Tell whether a run takes some ten times as long as the others of its part.

    Runs with 10,000 shots do. So does ELBO by Algorithm 1 from L = 2 on, which needs the exact KL of every
    shifted circuit.

    >>> is_costly(RunConfig(shots=3000)), is_costly(RunConfig(shots=10_000))
    (False, True)
    """
    shifted_kl = config.objective == "elbo" and config.gradient == "algorithm-1" and config.n_layers > 1
    return shifted_kl or config.shots == 10_000


@dataclass(frozen=True)
class Conventions:
    """One choice of everything that the paper leaves open. Raises ValueError for an unknown word.

    >>> Conventions(mle_likelihood="mean").in_words()
    'algorithm-1, likelihood: mean for MLE, sum for the others, network: last epoch'
    """

    gradient: str = "algorithm-1"
    likelihood: str = "sum"
    """The log-likelihood of ELBO and SELBO: summed or averaged over the training set."""
    mle_likelihood: str = "sum"
    network: str = "last epoch"

    def __post_init__(self) -> None:
        allowed = {
            "gradient": GRADIENTS,
            "likelihood": LIKELIHOODS,
            "mle_likelihood": LIKELIHOODS,
            "network": NETWORKS,
        }
        for field, values in allowed.items():
            check_choice(field, getattr(self, field), values)

    def likelihood_of(self, method: str) -> str:
        """Return the scale of the likelihood, "sum" or "mean", in the training of a method."""
        return self.mle_likelihood if method == "MLE" else self.likelihood

    def in_words(self) -> str:
        """Describe the choice in one line."""
        same = self.likelihood == self.mle_likelihood
        scale = (
            self.likelihood if same else f"{self.mle_likelihood} for MLE, {self.likelihood} for the others"
        )
        return f"{self.gradient}, likelihood: {scale}, network: {self.network}"


def all_conventions(
    gradients: Sequence[str] = GRADIENTS, likelihoods: Sequence[str] = LIKELIHOODS
) -> list[Conventions]:
    """List every combination; 32 by default."""
    choices = itertools.product(gradients, likelihoods, likelihoods, NETWORKS)
    return [Conventions(*choice) for choice in choices]


def method_config(base: RunConfig, method: str) -> RunConfig:
    """Return `base` with the objective and λ of a method of `METHODS`.

    MLE takes the same steps by either gradient rule, since the parameter-shift rule is exact for it. So
    one run of MLE stands for both.
    """
    fields = METHODS[method] | ({"gradient": "chain-rule"} if method == "MLE" else {})
    return RunConfig(**{**base.model_dump(), "regularization": 1.0, **fields})


def paper_base(**fields: Any) -> RunConfig:
    """Return Table I and Section IV as a config; `fields` replace the paper's values."""
    known = {k: v for k, v in published().training.items() if k in RunConfig.model_fields}
    return RunConfig(**{**known, **fields})


def paper_configs(
    base: RunConfig,
    datasets: Sequence[str] = DATASETS,
    gradients: Sequence[str] = GRADIENTS,
    likelihoods: Sequence[str] = LIKELIHOODS,
) -> list[RunConfig]:
    """List the runs of Section IV: every dataset, method and convention of training, each run once.

    All share the seed of `base`, so seed i starts from the same angles in every run.

    >>> everything = paper_configs(paper_base())
    >>> len(everything), len(paper_configs(paper_base(), ["gaussian"], ["chain-rule"], ["sum"]))
    (66, 6)
    """
    configs: dict[str, RunConfig] = {}
    for dataset, gradient, likelihood in itertools.product(datasets, gradients, likelihoods):
        changes = {"dataset": dataset, "gradient": gradient, "likelihood": likelihood}
        chosen = RunConfig(**{**base.model_dump(), **changes})
        for method in METHODS:
            config = method_config(chosen, method)
            configs[config.hash] = config
    return list(configs.values())


def beyond_configs(
    base: RunConfig, part: str, datasets: Sequence[str] = DATASETS, gradients: Sequence[str] = GRADIENTS
) -> list[RunConfig]:
    """List the runs of one part of `BEYOND`, with the likelihood summed.

    Raises ValueError for an unknown part.

    >>> [c.shots for c in beyond_configs(paper_base(), "shots", ["moons"], ["chain-rule"])[:3]]
    [10, 30, 100]
    """
    check_choice("beyond", part, BEYOND)
    fixed = {name: [value] for name, value in base.model_dump().items()}
    fixed |= {"dataset": list(datasets), "gradient": list(gradients), "likelihood": ["sum"]}
    configs = grid(fixed | {name: list(values) for name, values in BEYOND[part].items()})
    one_mle = [c for c in configs if c.objective != "mle" or c.gradient == gradients[0]]
    return [c if c.objective != "mle" else c.model_copy(update={"gradient": "chain-rule"}) for c in one_mle]


def method_of(config: RunConfig) -> str:
    """Name the method of a config.

    >>> method_of(RunConfig(objective="elbo", regularization=10))
    'ELBO λ=10'
    """
    if config.objective == "mle":
        return "MLE"
    if config.objective == "elbo" and config.regularization == 1:
        return "ELBO"
    return f"{config.objective.upper()} λ={config.regularization:g}"
