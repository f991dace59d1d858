import json

import numpy as np
import pytest
from pydantic import ValidationError

from qhn_core import LandscapeConfig, RunConfig
from qhn_core.config import allowed_range, explain

DEFAULTS = {  # design, section 4; objective is left open there
    "dataset_seed": 0,
    "n_train_per_class": 150,
    "n_test_per_class": 100,
    "n_hidden": 3,
    "n_layers": 1,
    "regularization": 1.0,
    "bandwidth": None,
    "likelihood": "sum",
    "shots": 100,
    "gradient": "chain-rule",
    "epochs": 200,
    "learning_rate": 1.0,
    "patience": 3,
    "min_delta": 1e-4,
    "decay_factor": 0.5,
    "n_seeds": 1,
    "seed": 0,
    "simulator": "auto",
    "dataset": "gaussian",
}
OTHER = {  # another allowed value of every field
    "dataset": "moons",
    "dataset_seed": 1,
    "n_train_per_class": 10,
    "n_test_per_class": 10,
    "dataset_noise": 0.2,
    "dataset_scale": 1.5,
    "n_hidden": 2,
    "n_layers": 2,
    "objective": "mle",
    "regularization": 0.01,
    "bandwidth": 3.5,
    "likelihood": "mean",
    "shots": None,
    "gradient": "algorithm-1",
    "epochs": 10,
    "learning_rate": 0.1,
    "patience": 4,
    "min_delta": 0.0,
    "decay_factor": 0.9,
    "n_seeds": 100,
    "seed": 1,
    "simulator": "cirq",
    "annealing": "cyclical",
    "initial_angles": (0.5,) * 28,
    "optimizer": "adam",
    "beta_1": 0.5,
    "beta_2": 0.5,
    "perturbation": 0.2,
    "damping": 0.1,
    "plateau": "none",
    "entangler": "none",
}
ALL_OTHER = RunConfig(**{**OTHER, "initial_angles": (0.5,) * 40})
FLOATS = [
    "dataset_noise",
    "dataset_scale",
    "regularization",
    "bandwidth",
    "learning_rate",
    "min_delta",
    "decay_factor",
    "beta_1",
    "beta_2",
    "perturbation",
    "damping",
]


@pytest.mark.parametrize("field", DEFAULTS)
def test_defaults_are_those_of_the_design(field):
    assert getattr(RunConfig(), field) == DEFAULTS[field]


def test_defaults_are_the_papers_table_i():
    config = RunConfig()
    assert (
        config.epochs,
        config.patience,
        config.min_delta,
        config.decay_factor,
        config.learning_rate,
    ) == (
        200,
        3,
        1e-4,
        0.5,
        1,
    )


@pytest.mark.parametrize(("n_hidden", "n_qubits"), [(1, 6), (2, 10), (3, 14), (5, 22)])
def test_qubits_and_bandwidth_follow_the_network(n_hidden, n_qubits):
    config = RunConfig(n_hidden=n_hidden, n_layers=2)
    assert config.n_qubits == n_qubits
    assert config.h == n_qubits / 4
    assert config.angle_shape == (2, 2, n_qubits)
    assert RunConfig(n_hidden=n_hidden, bandwidth=0.7).h == 0.7


@pytest.mark.parametrize("config", [RunConfig(), ALL_OTHER, LandscapeConfig(), LandscapeConfig(radius=0.1)])
def test_json_round_trip(config):
    again = type(config).model_validate_json(config.model_dump_json())
    assert again == config
    assert again.hash == config.hash
    assert type(config)(**json.loads(config.model_dump_json())) == config


def test_every_field_is_covered_here():
    assert set(OTHER) == set(RunConfig.model_fields)


@pytest.mark.parametrize("field", OTHER)
def test_the_hash_changes_with_every_field(field):
    assert RunConfig(**{field: OTHER[field]}).hash != RunConfig().hash


@pytest.mark.parametrize(("field", "value"), [("seed", 1), ("radius", 1.0), ("resolution", 51)])
def test_the_hash_of_a_landscape_changes_with_every_field(field, value):
    assert LandscapeConfig(**{field: value}).hash != LandscapeConfig().hash


def test_equal_configs_have_equal_hashes():
    assert RunConfig(regularization=1, shots=100).hash == RunConfig().hash
    for field in ("regularization", "min_delta"):
        plus, minus = RunConfig(**{field: 0.0}), RunConfig(**{field: -0.0})
        assert plus == minus
        assert plus.hash == minus.hash


def test_the_hash_does_not_move_between_versions():
    """It is the identity of stored runs: where this fails, stored runs are no longer found."""
    assert RunConfig().hash == "c0db11fa88be2809"


def test_a_config_is_frozen_and_hashable():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().epochs = 3
    assert len({RunConfig(), RunConfig(), RunConfig(seed=1)}) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "spirals"}, ["dataset='spirals'", "'gaussian'", "'moons'", "'rings'"]),
        ({"objective": "map"}, ["objective='map'", "'mle'", "'elbo'", "'selbo'"]),
        ({"likelihood": "max"}, ["likelihood='max'", "'sum'", "'mean'"]),
        ({"gradient": "adam"}, ["gradient='adam'", "'chain-rule'", "'algorithm-1'"]),
        ({"simulator": "qiskit"}, ["simulator='qiskit'", "'auto'", "'qsim'", "'cirq'"]),
        ({"regularization": -0.5}, ["regularization=-0.5", "greater than or equal to 0"]),
        ({"bandwidth": 0}, ["bandwidth=0", "greater than 0"]),
        ({"bandwidth": -2.0}, ["bandwidth=-2.0", "greater than 0"]),
        ({"dataset_noise": -1.0}, ["dataset_noise=-1.0", "greater than or equal to 0"]),
        ({"dataset_scale": 0.0}, ["dataset_scale=0.0", "greater than 0"]),
        ({"decay_factor": 0.0}, ["decay_factor=0.0", "greater than 0"]),
        ({"decay_factor": 1.0}, ["decay_factor=1.0", "less than 1"]),
        ({"decay_factor": 1.5}, ["decay_factor=1.5", "less than 1"]),
        ({"learning_rate": 0.0}, ["learning_rate=0.0", "greater than 0"]),
        ({"learning_rate": -1.0}, ["learning_rate=-1.0", "greater than 0"]),
        ({"min_delta": -1e-9}, ["min_delta=-1e-09", "greater than or equal to 0"]),
        ({"n_layers": 0}, ["n_layers=0", "greater than or equal to 1"]),
        ({"n_seeds": 0}, ["n_seeds=0", "greater than or equal to 1"]),
        ({"epochs": 0}, ["epochs=0", "greater than or equal to 1"]),
        ({"epochs": 2.5}, ["epochs=2.5", "integer"]),
        ({"patience": 0}, ["patience=0", "greater than or equal to 1"]),
        ({"n_hidden": 0}, ["n_hidden=0", "greater than or equal to 1"]),
        ({"n_train_per_class": 0}, ["n_train_per_class=0", "greater than or equal to 1"]),
        ({"n_test_per_class": 0}, ["n_test_per_class=0", "greater than or equal to 1"]),
        ({"seed": -1}, ["seed=-1", "greater than or equal to 0"]),
        ({"dataset_seed": 2**63}, [f"dataset_seed={2**63}", "less than"]),
        ({"shots": 0}, ["shots=0", "greater than or equal to 1"]),
        ({"shots": 1, "objective": "selbo"}, ["shots=1", "at least 2"]),
        ({"optimizer": "lbfgs"}, ["optimizer='lbfgs'", "'gradient-ascent'", "'adam'", "'rotosolve'"]),
        ({"entangler": "ring"}, ["entangler='ring'", "'brickwork' or 'none'"]),
        ({"plateau": "always"}, ["plateau='always'", "'best-so-far'", "'previous-epoch'", "'none'"]),
        ({"beta_1": 1.0}, ["beta_1=1.0", "0 <= beta_1 < 1"]),
        ({"beta_2": -0.1}, ["beta_2=-0.1", "0 <= beta_2 < 1"]),
        ({"perturbation": 0.0}, ["perturbation=0.0", "0 < perturbation"]),
        ({"damping": 0}, ["damping=0", "0 < damping"]),
        (
            {"optimizer": "natural-gradient", "n_layers": 3},
            ["optimizer='natural-gradient'", "n_layers=3", "1 <= n_layers <= 2"],
        ),
        ({"optimizer": "natural-gradient", "simulator": "cirq"}, ["simulator='cirq'", "not on cirq"]),
        ({"momentum": 0.9}, ["momentum=0.9", "not permitted"]),
        ({"initial_angles": (0.5,) * 27}, ["initial_angles", "27 numbers", "needs 28"]),
        ({"initial_angles": (np.nan,) * 28}, ["initial_angles=nan", "finite"]),
        ({"initial_angles": "1,up"}, ["initial_angles='up'", "number"]),
    ],
)
def test_bad_input_is_named_with_its_value_and_range(options, said):
    with pytest.raises(ValidationError) as error:
        RunConfig(**options)
    message = explain(error.value)
    assert all(part in message for part in said), message
    assert message.count("\n") == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", FLOATS)
def test_numbers_must_be_finite(field, bad):
    with pytest.raises(ValidationError) as error:
        RunConfig(**{field: bad})
    assert explain(error.value).startswith(f"{field}={bad!r}: ")
    with pytest.raises(ValidationError):
        RunConfig.model_validate_json(f'{{"{field}": {json.dumps(bad)}}}')


def test_every_float_field_is_covered_here():
    assert {name for name, f in RunConfig.model_fields.items() if "float" in str(f.annotation)} == {
        *FLOATS,
        "initial_angles",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius": 0.0}, ["radius=0.0", "greater than 0"]),
        ({"radius": np.nan}, ["radius=nan"]),
        ({"radius": np.inf}, ["radius=inf"]),
        ({"resolution": 10}, ["resolution=10", "greater than or equal to 11"]),
        ({"resolution": 102}, ["resolution=102", "less than or equal to 101"]),
        ({"seed": -1}, ["seed=-1", "greater than or equal to 0"]),
        ({"plane": "spherical"}, ["plane='spherical'", "'random'"]),
    ],
)
def test_bad_landscapes_are_named_with_value_and_range(options, said):
    with pytest.raises(ValidationError) as error:
        LandscapeConfig(**options)
    assert all(part in explain(error.value) for part in said)


def test_one_shot_is_enough_where_no_mmd_is_estimated():
    assert RunConfig(shots=1, objective="mle").shots == 1
    assert RunConfig(shots=1, objective="elbo").shots == 1


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("decay_factor", "0 < decay_factor < 1"),
        ("regularization", "0 <= regularization"),
        ("bandwidth", "0 < bandwidth"),
        ("shots", "1 <= shots"),
        ("resolution", "11 <= resolution <= 101"),
        ("radius", "0 < radius <= 100"),
        ("objective", ""),
        ("no such field", ""),
    ],
)
def test_allowed_ranges_in_words(field, said):
    assert allowed_range(field) == (f"allowed: {said}" if said else "")
    if field in ("decay_factor", "bandwidth", "shots"):  # and in the message of a mistake
        with pytest.raises(ValidationError) as error:
            RunConfig(**{field: -1})
        assert said in explain(error.value)


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ValidationError) as error:
        RunConfig(epochs=0, decay_factor=2, dataset="spirals")
    assert [line.split("=")[0] for line in explain(error.value).splitlines()] == [
        "dataset",
        "epochs",
        "decay_factor",
    ]


def test_other_errors_are_explained_by_their_message():
    assert explain(ValueError("no such thing")) == "no such thing"


def test_in_words_tells_runs_apart():
    assert RunConfig(objective="mle", shots=None).in_words().startswith("gaussian, MLE, chain-rule, exact")
    words = RunConfig(
        objective="elbo", regularization=0.01, likelihood="mean", n_layers=2, n_hidden=1
    ).in_words()
    assert words == "gaussian, ELBO λ=0.01, chain-rule, 100 shots, mean likelihood, L=2, 6 qubits, 1 seed"
