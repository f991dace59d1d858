"""The race: its references, what it refuses, and that every tool here answers right."""

import json
import sys

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core.bench.ours import Epochs, Ours
from qhn_core.bench.pennylane_tool import DefaultQubit, Lightning
from qhn_core.bench.plain import PlainCirq, mean_selbo
from qhn_core.bench.qujax_tool import Qujax
from qhn_core.bench.race import (
    Line,
    WrongAnswerError,
    check_exact,
    check_sampled,
    installed,
    race,
    slope,
)
from qhn_core.bench.work import Inputs, MissingToolError, expected_elbo, expected_selbo
from qhn_core.bits import index_to_bits
from qhn_core.cli import main
from tests.unit import oracles

SMALL = Inputs(n_hidden=1, n_layers=2, batch=2, strength=50.0)
H = 6 / 4


# --- references --------------------------------------------------------------------------------------


def test_the_sampled_reference_by_sums_over_all_pairs():
    k = oracles.gram(6, H)
    prior, m = SMALL.prior, len(SMALL.prior)
    pairs = k[np.ix_(prior, prior)]
    of_prior = (pairs.sum() - np.trace(pairs)) / (m * (m - 1))
    for angles, found in zip(SMALL.angles, expected_selbo(SMALL, False), strict=True):
        q = oracles.probabilities(angles)
        mmd_squared = q @ k @ q + of_prior - 2 * (q @ k[:, prior]).mean()
        assert found == pytest.approx(q @ SMALL.scores - 50 * mmd_squared, rel=1e-6)
    for angles, found in zip(SMALL.angles, expected_selbo(SMALL, True), strict=True):
        wanted = oracles.objective("selbo", oracles.probabilities(angles), SMALL.scores, 50, H)
        assert found == pytest.approx(wanted, rel=1e-6)


def test_the_exact_reference_by_central_differences():
    value, gradient = expected_elbo(SMALL)
    angles = SMALL.angles[0]
    q = oracles.probabilities(angles)
    assert value == pytest.approx(oracles.objective("elbo", q, SMALL.scores, 50, H), rel=1e-6)
    wanted = oracles.gradient("elbo", angles, SMALL.scores, 50, H)
    np.testing.assert_allclose(gradient, wanted, atol=1e-4)


def test_the_estimate_of_the_peers_is_equation_21():
    drawn = np.random.default_rng(5).integers(64, size=(2, SMALL.shots))
    prior = index_to_bits(SMALL.prior, 6)
    for row, found in zip(drawn, mean_selbo(SMALL, drawn), strict=True):
        mmd_squared = qhn.mmd_squared_unbiased(index_to_bits(row, 6), prior, H)
        assert found == pytest.approx(SMALL.scores[row].mean() - 50 * mmd_squared)


# --- tools -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [Ours, PlainCirq, Qujax, DefaultQubit, Lightning])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_every_tool_that_is_installed_answers_right(make, n_layers):
    try:
        tool = make()
    except MissingToolError as error:
        pytest.skip(f"not installed: {error}")
    inputs = Inputs(1, n_layers, 2)
    assert "standard errors" in check_sampled(tool, inputs)
    assert "largest" in check_exact(tool, inputs)
    values, gradients = tool.exact(inputs)()
    assert values.shape == (2,)
    assert gradients.shape == inputs.angles.shape


class Wrong(Ours):
    def sampled(self, inputs):
        right = super().sampled(inputs)
        return lambda seed: right(seed) + 0.02 * inputs.strength  # MMD² off by 0.02

    def exact(self, inputs):
        values, gradients = super().exact(inputs)()
        return lambda: (values, gradients * 1.01)


@pytest.mark.parametrize("check", [check_sampled, check_exact])
def test_a_wrong_answer_is_not_timed(check):
    with pytest.raises(WrongAnswerError, match=r"qhn.*off"):
        check(Wrong(), Inputs(1, 1, 2))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("qujax", "qujax"),
        ("qujax", "jax"),
        ("default.qubit", "pennylane"),
        ("default.qubit", "jax"),
        ("lightning", "pennylane"),
    ],
)
def test_a_missing_peer_is_a_line_that_says_how_to_install_it(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    tools, [line] = installed([name])
    assert tools == {}
    assert line.startswith(f"{name} is not installed: pip install")
    assert "qhn-explorer[bench]" in line


def test_an_unknown_tool_is_named():
    with pytest.raises(ValueError, match=r"tools='abacus'.*'qujax'"):
        installed(["qhn", "abacus"])


# --- the race ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["sampled SELBO", "exact ELBO"])
def test_a_race_has_a_line_for_each_tool(monkeypatch, work):
    monkeypatch.setattr("qhn_core.bench.race.LEAST_SECONDS", 0)
    lines = list(race(work, 1, 2, {"qhn": Ours(), "cirq": PlainCirq()}, repeats=3))
    assert [line.tool for line in lines] == ["qhn", "cirq"]
    for line in lines:
        assert (line.work, line.n_qubits, line.n_layers) == (work, 6, 2)
        assert 0 < line.least_ms <= line.median_ms <= line.most_ms


def test_evaluations_of_a_training_are_counted():
    inputs = Inputs(1, 3, 2)
    # 3 layers of 12 angles, two shifts each; one estimate after each step and one at the start
    assert Epochs(inputs, n_seeds=4, epochs=5).evaluations == 4 * (5 * (2 * 36 + 1) + 1)


def test_the_slope_is_the_exponent():
    sizes = [6, 10, 14]
    lines = [Line("", n, 2, "qhn", 1, "", 3 * (n * 2**n * 2) ** 1.25, 0, 0) for n in sizes]
    assert slope(lines) == pytest.approx(1.25)


def test_the_command_prints_a_table_and_writes_json(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("qhn_core.bench.race.LEAST_SECONDS", 0)
    options = ["--tools", "qhn,cirq", "--layers", "1", "--works", "exact ELBO", "--repeats", "1"]
    assert main(["bench", *options, "--json", str(tmp_path / "bench.json")]) == 0
    out = capsys.readouterr().out
    ours, theirs = json.loads((tmp_path / "bench.json").read_text())
    assert (ours["tool"], theirs["tool"], ours["n_qubits"]) == ("qhn", "cirq", 14)
    assert f"{theirs['median_ms'] / ours['median_ms']:,.1f} x" in out
    assert "cirq + qsimcirq loop: cirq" in out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--tools", "abacus"], "tools='abacus'"),
        (["--works", "sorting"], "works='sorting'"),
        (["--layers", "0"], "layers=0"),
        (["--repeats", "0"], "repeats=0"),
    ],
)
def test_bad_options_are_named(capsys, options, text):
    assert main(["bench", *options]) == 2
    assert text in capsys.readouterr().err
