"""The race: its references, its refusals, and the answers of every tool that is installed."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import pytest

import qhn_core as qhn
from qhn_core.bench import growth, growth_report
from qhn_core.bench.ours import Epochs, Ours
from qhn_core.bench.pennylane_tool import DefaultQubit, Lightning
from qhn_core.bench.plain import PlainCirq, mean_selbo
from qhn_core.bench.qujax_tool import Qujax
from qhn_core.bench.race import (
    WrongAnswerError,
    check_exact,
    check_sampled,
    installed,
    race,
)
from qhn_core.bench.work import Inputs, MissingToolError, expected_elbo, expected_selbo
from qhn_core.bits import index_to_bits
from qhn_core.cli.main import main
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


def test_the_command_prints_a_table_and_writes_json(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("qhn_core.bench.race.LEAST_SECONDS", 0)
    options = ["--tools", "qhn,cirq", "--layers", "1", "--works", "exact ELBO", "--repeats", "1"]
    assert main(["bench", *options, "--json", str(tmp_path / "bench.json")]) == 0
    out = capsys.readouterr().out
    ours, theirs = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
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
        (["--growth", "no/such/folder/growth.html"], "growth='no/such/folder/growth.html'"),
        (["--growth", "."], "growth='.'"),
        (["--growth", "growth.html", "--json", "."], "json='.'"),
    ],
)
def test_bad_options_are_named(capsys, options, text):
    assert main(["bench", *options]) == 2
    assert text in capsys.readouterr().err


# --- growth ------------------------------------------------------------------------------------------


def made_up(exponent, factor=1e-9):
    """Points of a machine whose time is exactly a power of what `growth` calls ideal."""
    points = [
        growth.Point("exact", n, n_layers, "here", factor * (n * 2**n * n_layers) ** exponent)
        for n_layers in growth.LAYERS
        for n in (10, 14, 18, 22)
    ]
    points += [growth.Point("gaussian", n, 2, "there", 1e-3 * n) for n in (10, 14, 18)]
    return points + [growth.Point("digits", n, 1, "none", factor * n ** (2 * exponent)) for n in (68, 530)]


def drawn(figure):
    go.Figure(figure)  # valid for plotly
    return {trace["name"]: trace for trace in figure["data"]}


def test_slopes_are_the_exponents_of_exact_powers():
    points = made_up(1.25)
    assert growth.slope([p for p in points if p.work == "exact"]) == pytest.approx(1.25)
    assert growth.slope([p for p in points if p.work == "digits"]) == pytest.approx(2.5)
    labels = [line.label for panel in growth_report.lines(points).values() for line in panel]
    assert labels == [
        *(f"L={n_layers}: slope 1.25, ideal 1" for n_layers in (2, 3, 6)),
        *(f"n={n}: slope 1.25, ideal 1" for n in (14, 18, 22)),
        "2-h-1, L=2",
        "64-h-1, L=1: slope 2.50, ideal 2",
    ]


def test_small_sizes_are_shown_but_not_fitted():
    points = [
        growth.Point("exact", p.n_qubits, p.n_layers, "", 1.0) if p.n_qubits == 10 else p
        for p in made_up(1)
    ]
    line = growth_report.lines(points)["qubits"][0]
    assert line.label == "L=2: slope 1.00, ideal 1"
    assert line.points[0].seconds == 1.0


def test_measured_points_lie_over_the_ideal_line_through_the_last():
    figures = growth_report.figures(made_up(1.25))
    traces = drawn(figures["qubits"])
    n = np.array([10, 14, 18, 22])
    size = n * 2.0**n * 6
    np.testing.assert_allclose(traces["L=6"]["x"], n)
    np.testing.assert_allclose(traces["L=6"]["y"], 1e-9 * size**1.25)
    np.testing.assert_allclose(traces["ideal, L=6"]["y"], 1e-9 * size[-1] ** 0.25 * size)
    assert traces["L=6"]["text"] == ["", "", "", " L=6: slope 1.25, ideal 1"]
    traces = drawn(figures["layers"])
    np.testing.assert_allclose(traces["n=14"]["x"], range(1, 7))
    layers = np.arange(1, 7)
    np.testing.assert_allclose(traces["ideal, n=14"]["y"], traces["n=14"]["y"][-1] * layers / 6)
    traces = drawn(figures["sampled"])
    np.testing.assert_allclose(
        traces["ideal, 64-h-1, L=1"]["y"], 1e-9 * 530**0.5 * np.array([68, 530]) ** 2
    )
    assert "ideal, 2-h-1, L=2" not in traces
    assert figures["qubits"]["layout"]["yaxis"]["type"] == "log"
    assert figures["sampled"]["layout"]["xaxis"]["type"] == "log"


def test_what_is_timed_is_the_elbo_and_its_gradient():
    [value], [gradient] = growth.exact_work(5, 2)(7)
    angles = np.random.default_rng(7).uniform(0, 2 * np.pi, (2, 2, 5))
    scores = np.random.default_rng(0).uniform(-200, -50, 32)
    assert value == pytest.approx(oracles.objective("elbo", oracles.probabilities(angles), scores, 1, 1))
    np.testing.assert_allclose(gradient, oracles.gradient("elbo", angles, scores, 1, 1), atol=1e-4)


def test_each_timed_epoch_is_a_run_of_its_own_from_a_uniform_start():
    run = growth.sampled_work(qhn.RunConfig(n_hidden=1, epochs=3))
    for seed in (0, 1):
        state, _ = run(seed)
        start = (np.pi / 2,) * 12
        same = qhn.train(qhn.RunConfig(n_hidden=1, epochs=1, seed=seed, initial_angles=start))
        np.testing.assert_array_equal(state.angles, same.state.angles)


def test_the_median_leaves_out_the_first_call_unless_it_is_long(monkeypatch):
    def clock(*spent):
        ticks = iter(np.repeat(np.cumsum([0, *spent]), 2)[1:-1].tolist())
        monkeypatch.setattr(growth, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))

    clock(2.0, 0.3, 0.1, 0.2)
    assert growth.median_seconds(lambda seed: seed) == pytest.approx(0.2)
    clock(6.0)
    assert growth.median_seconds(lambda seed: seed) == pytest.approx(6.0)


def test_growth_is_printed_as_it_is_measured_and_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "QUBITS", (4, 5))
    monkeypatch.setattr(growth, "DRAWN_QUBITS", (4,))
    monkeypatch.setattr(growth, "TRAINED", (("gaussian", 1, (1,)),))
    monkeypatch.setattr(growth, "ENOUGH_SECONDS", 1e-9)
    page, data = tmp_path / "growth.html", tmp_path / "growth.json"
    assert main(["bench", "--growth", str(page), "--json", str(data)]) == 0
    points = json.loads(data.read_text(encoding="utf-8"))
    grid = {(p["n_qubits"], p["n_layers"]) for p in points if p["work"] == "exact"}
    assert grid == {(4, n_layers) for n_layers in range(1, 7)} | {(5, n_layers) for n_layers in (2, 3, 6)}
    assert [p["n_qubits"] for p in points if p["work"] == "gaussian"] == [6]
    assert {p["simulator"] for p in points if p["n_layers"] > 2} == {"numba"}
    out = capsys.readouterr().out
    assert all(f"{p['n_qubits']:5} qubits {p['n_layers']} layers" in out for p in points)
    assert "How time grows" in page.read_text(encoding="utf-8")
