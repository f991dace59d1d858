import inspect
import subprocess
import sys

import pytest

import qhn_core as qhn

PUBLIC = {  # design, section 4: names and their parameters
    "load_dataset": ["name", "seed", "n_train_per_class", "n_test_per_class"],
    "BinaryNetwork": ["n_inputs", "n_hidden"],
    "brickwork_circuit": ["n_qubits", "n_layers"],
    "get_simulator": ["name"],
    "available_simulators": [],
    "mmd_squared_unbiased": ["x_bits", "y_bits", "bandwidth"],
    "mmd_squared_to_uniform": ["probabilities", "bandwidth"],
    "correlator_spectrum": ["probabilities"],
    "objective_gradient": ["config", "angles"],
    "objective_value": ["config", "angles"],
    "train": ["config", "progress"],
    "scan_landscape": ["config", "landscape_config", "angles"],
}
MEMBERS = {
    "RunConfig": ["hash", "model_dump_json"],
    "BinaryNetwork": ["n_bits", "logits", "log_likelihood"],
    "RunResult": ["best_angles", "summary"],
    "LandscapeScan": ["values"],
    "Dataset": [],
    "LandscapeConfig": [],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_take_the_arguments_of_the_design(name):
    parameters = list(inspect.signature(getattr(qhn, name)).parameters)
    assert parameters[: len(PUBLIC[name])] == PUBLIC[name]
    assert name in qhn.__all__


@pytest.mark.parametrize("name", MEMBERS)
def test_public_classes_have_the_members_of_the_design(name):
    assert name in qhn.__all__
    assert [m for m in MEMBERS[name] if not hasattr(getattr(qhn, name), m)] == []


def test_everything_public_exists_and_says_what_it_is():
    for name in qhn.__all__:
        assert inspect.getdoc(getattr(qhn, name)), name


def test_importing_qhn_core_imports_no_streamlit():
    program = (
        "import sys, qhn_core; print(sorted(m for m in sys.modules if m.split('.')[0] == 'streamlit'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
