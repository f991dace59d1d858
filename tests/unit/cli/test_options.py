import pytest

from qhn_core.cli.main import main

from .small_training import SMALL

# Options of a bad run -> what standard error must name: the field with its value, and what is allowed.
BAD = {
    ("--dataset", "spirals"): ["dataset='spirals'", "'gaussian'", "'moons'", "'rings'"],
    ("--objective", "vae"): ["objective='vae'", "'mle'", "'elbo'", "'selbo'"],
    ("--gradient", "adjoint"): ["gradient='adjoint'", "'chain-rule'", "'algorithm-1'"],
    ("--likelihood", "max"): ["likelihood='max'", "'sum'", "'mean'"],
    ("--regularization=-1",): ["regularization='-1'", "0 <= regularization"],
    ("--regularization", "nan"): ["regularization='nan'", "finite", "0 <= regularization"],
    ("--regularization", "inf"): ["regularization='inf'", "finite", "0 <= regularization"],
    ("--bandwidth", "0"): ["bandwidth='0'", "0 < bandwidth"],
    ("--bandwidth=-2",): ["bandwidth='-2'", "0 < bandwidth"],
    ("--bandwidth", "nan"): ["bandwidth='nan'", "finite", "0 < bandwidth"],
    ("--optimizer", "lbfgs"): ["optimizer='lbfgs'", "'gradient-ascent'", "'adam'", "'spsa'"],
    ("--entangler", "ring"): ["entangler='ring'", "'brickwork' or 'none'"],
    ("--plateau", "always"): ["plateau='always'", "'best-so-far'", "'previous-epoch'", "'none'"],
    ("--beta-1", "1"): ["beta_1='1'", "0 <= beta_1 < 1"],
    ("--learning-rate", "0"): ["learning_rate='0'", "0 < learning_rate"],
    ("--learning-rate", "inf"): ["learning_rate='inf'", "finite", "0 < learning_rate"],
    ("--decay-factor", "2"): ["decay_factor='2'", "0 < decay_factor < 1"],
    ("--decay-factor", "0"): ["decay_factor='0'", "0 < decay_factor < 1"],
    ("--decay-factor", "1"): ["decay_factor='1'", "0 < decay_factor < 1"],
    ("--min-delta", "nan"): ["min_delta='nan'", "finite", "0 <= min_delta"],
    ("--shots", "1"): ["shots=1", "at least 2 shots"],
    ("--shots", "0"): ["shots='0'", "1 <= shots"],
    ("--shots", "many"): ["shots='many'", "1 <= shots"],
    ("--n-layers", "0"): ["n_layers='0'", "1 <= n_layers"],
    ("--n-seeds", "0"): ["n_seeds='0'", "1 <= n_seeds"],
    ("--epochs", "0"): ["epochs='0'", "1 <= epochs"],
    ("--epochs", "2.5"): ["epochs='2.5'", "1 <= epochs"],
    ("--seed=-1",): ["seed='-1'", "0 <= seed"],
    ("--n-hidden", "0"): ["n_hidden='0'", "1 <= n_hidden"],
    ("--n-hidden", "20", "--n-layers", "3"): [
        "n_hidden=20",
        "82 qubits",
        "GB",
        "n_hidden may be 1 to",
        "n_layers=3 by 1 or 2",
    ],
    ("--simulator", "abacus"): ["simulator='abacus'", "'qsim'", "'cirq'"],
    ("--simulator", "qsim-cuda"): ["qsim-cuda", "CUDA"],
}


@pytest.mark.parametrize("bad", BAD, ids=" ".join)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_bad_input_names_field_value_and_range(capsys, bad, form):
    assert main(["train", *SMALL, *form, *bad]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qhn train: ")
    assert [text for text in BAD[bad] if text not in err] == []
    assert "Traceback" not in err


def test_all_that_is_wrong_is_said_at_once(capsys):
    assert main(["train", "--epochs", "0", "--decay-factor", "2"]) == 2
    err = capsys.readouterr().err
    assert "epochs='0'" in err
    assert "decay_factor='2'" in err


def test_bad_input_trains_and_writes_nothing(capsys, tmp_path):
    assert main(["train", *SMALL, "--epochs", "0", "--out", str(tmp_path / "run")]) == 2
    assert list(tmp_path.iterdir()) == []


def helped(capsys, monkeypatch, command):
    """The help of a command, in one line: the words of an option stand together."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_help_tells_the_defaults_that_the_command_has(capsys, monkeypatch):
    study, landscape = (helped(capsys, monkeypatch, command) for command in ("study", "landscape"))
    assert "independent initialisations (default: 20)" in study
    assert "(default: random-ry)" in study
    assert "independent initialisations (default: 1)" in landscape
    assert "(default: random)" in landscape
    assert "distance in angle space, radians (default: 6.2832)" in landscape
    assert "--shots N|exact N_qc, samples of each circuit, or exact (default: 100)" in landscape
