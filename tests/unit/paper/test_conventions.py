import itertools

import numpy as np
import pandas as pd
import pytest

import qhn_core as qhn
from qhn_core.paper import METHODS, Conventions, Study, all_conventions, paper_base
from qhn_core.paper.conventions import BEYOND, beyond_configs, method_config, method_of, paper_configs
from qhn_core.training.loop import initial_state


def test_every_method_of_section_iv_starts_from_the_same_angles():
    configs = paper_configs(paper_base(n_seeds=3))
    starts = [initial_state(config) for config in configs]
    assert len({c.objective for c in configs}) == 3
    for start in starts:
        np.testing.assert_array_equal(start.angles, starts[0].angles)
    assert len(np.unique(starts[0].angles)) == 3 * 2 * 14
    assert starts[0].angles.min() >= 0
    assert starts[0].angles.max() < 2 * np.pi


def test_section_iv_is_every_dataset_method_and_convention_once():
    found = [(c.dataset, method_of(c), c.gradient, c.likelihood) for c in paper_configs(paper_base())]
    assert len(found) == len(set(found))
    every = itertools.product(
        ["gaussian", "moons", "rings"],
        ["MLE", "ELBO", "SELBO λ=0.01", "SELBO λ=1", "SELBO λ=100", "SELBO λ=1000"],
        ["algorithm-1", "chain-rule"],
        ["sum", "mean"],
    )
    assert set(found) == {row for row in every if row[1] != "MLE" or row[2] == "chain-rule"}


def test_mle_is_the_same_run_by_either_gradient_rule():
    """Why Section IV has one MLE run for both."""
    base = {"objective": "mle", "n_hidden": 1, "n_seeds": 2, "epochs": 8}
    one, other = (qhn.train(qhn.RunConfig(**base, gradient=g)) for g in ("algorithm-1", "chain-rule"))
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_keeps_the_base_and_has_its_name(method):
    base = paper_base(dataset="moons", n_seeds=7, gradient="algorithm-1", regularization=5)
    config = method_config(base, method)
    assert method_of(config) == method
    assert (config.dataset, config.n_seeds, config.shots) == ("moons", 7, 100)
    assert config.gradient == ("chain-rule" if method == "MLE" else "algorithm-1")


def test_conventions_are_all_combinations_and_refuse_others():
    assert len(set(all_conventions())) == 2 * 2 * 2 * 4
    with pytest.raises(ValueError, match=r"network='median'.*'most probable'"):
        Conventions(network="median")
    with pytest.raises(ValueError, match=r"mle_likelihood='max'.*'sum', 'mean'"):
        Conventions(mle_likelihood="max")


@pytest.mark.parametrize("part", BEYOND)
def test_beyond_varies_only_its_own_fields(part):
    base = paper_base(n_seeds=2)
    configs = beyond_configs(base, part, ["rings"])
    assert len(set(configs)) == len(configs)
    fields = {*BEYOND[part], "dataset", "gradient"}
    for config in configs:
        changed = {f for f in qhn.RunConfig.model_fields if getattr(config, f) != getattr(base, f)}
        assert changed <= fields
    for field, values in BEYOND[part].items():
        assert {getattr(c, field) for c in configs} == set(values)


def test_a_study_runs_nothing_twice():
    study = Study(paper_base(n_seeds=50), parts=("strength", "layers", "shots"), beyond_seeds=10)
    runs = [c.model_copy(update={"n_seeds": 1}) for c in (*study.paper(), *study.beyond())]
    assert len(runs) == len(set(runs))
    assert {c.n_seeds for c in study.paper()} == {50}
    assert {c.n_seeds for c in study.beyond()} == {10, 2}
    assert study.slice() in study.paper()


def test_only_costly_runs_have_fewer_seeds():
    study = Study(paper_base(), parts=tuple(BEYOND))
    few = [c for c in study.beyond() if c.n_seeds == 5]
    assert {c.n_seeds for c in study.beyond()} == {5, 20}
    many_shots = [c for c in few if c.shots == 10_000]
    shifted_kl = [c for c in few if c.n_layers > 1]
    assert len(many_shots) == 3 * (1 + 2 * 2)  # datasets; MLE, and two objectives by two rules
    assert len(shifted_kl) == 3 * 3  # datasets, L = 2, 3, 4
    assert {(c.objective, c.gradient) for c in shifted_kl} == {("elbo", "algorithm-1")}
    assert len(few) == len(many_shots) + len(shifted_kl)
    assert {c.n_seeds for c in Study(paper_base(n_seeds=1), parts=("shots",)).beyond()} == {1}


def test_annealing_has_every_strength_and_schedule():
    found = {
        (c.regularization, c.annealing)
        for c in beyond_configs(paper_base(), "annealing", ["moons"], ["chain-rule"])
        if c.objective == "elbo"
    }
    schedules = ("constant", "linear", "exponential", "cyclical")
    assert found == set(itertools.product((0.001, 0.01, 0.1, 1, 10, 100, 1000), schedules))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"datasets": ("spirals",)}, "datasets=.*spirals.*'gaussian'"),
        ({"gradients": ("adjoint",)}, "gradients=.*adjoint.*'chain-rule'"),
        ({"likelihoods": ()}, r"likelihoods=\(\): .*'sum', 'mean'"),
        ({"parts": ("width",)}, "parts=.*width.*'strength'"),
    ],
)
def test_a_study_refuses_what_it_does_not_know(fields, text):
    with pytest.raises(ValueError, match=text):
        Study(paper_base(), **fields)
    with pytest.raises(ValueError, match="beyond='width'"):
        beyond_configs(paper_base(), "width")
