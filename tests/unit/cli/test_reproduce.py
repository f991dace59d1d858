import pandas as pd
import pytest

from qhn_core.cli.main import main
from qhn_core.jobs.workers import thread_workers
from qhn_core.paper import load_results, paper_base
from qhn_core.paper.conventions import paper_configs

SMALL = [
    "--seeds",
    "3",
    "--epochs",
    "4",
    "--datasets",
    "gaussian",
    "--gradients",
    "chain-rule",
    "--likelihoods",
    "sum",
]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """command(options) -> exit code of `qhn reproduce`, with a store and workers of its own."""
    monkeypatch.setenv("QHN_HOME", str(tmp_path / "home"))
    workers = "qhn_core.cli.reproduce.choose_workers"
    monkeypatch.setattr(workers, lambda scheduler, count: thread_workers(2))
    monkeypatch.setattr("sys.argv", ["qhn", "reproduce", *SMALL])
    return lambda *options: main(["reproduce", *SMALL, *options])


def test_it_prints_and_writes_everything_and_goes_on(command, capsys, tmp_path):
    out, ship = tmp_path / "out", tmp_path / "ship"
    assert command("--out", str(out)) == 0
    text = capsys.readouterr().out
    assert "0.315 ± 0.123" in text
    assert "Algorithm 1" not in text  # it was not run
    assert "55 min for a typical run" in text
    results = load_results(out)
    wanted = paper_configs(paper_base(n_seeds=3, epochs=4), ["gaussian"], ["chain-rule"], ["sum"])
    assert list(results.configs) == wanted
    assert results.provenance.command == "qhn reproduce " + " ".join(SMALL)
    assert (out / "report.html").stat().st_size < 10e6
    # Once more, to ship: nothing is computed, and there is no report.
    assert command("--ship", str(ship)) == 0
    assert not (ship / "report.html").exists()
    again = load_results(ship)
    assert again.provenance.epochs_computed == 0
    pd.testing.assert_frame_equal(again.scores, results.scores, check_exact=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--seeds", "0"], "n_seeds='0'"),
        (["--epochs", "many"], "epochs='many'"),
        (["--datasets", "spirals"], "datasets='spirals'"),
        (["--beyond", "width"], "parts='width'"),
        (["--beyond", "layers", "--beyond-seeds", "0"], "beyond_seeds=0"),
    ],
)
def test_bad_options_are_named_and_nothing_is_trained(command, capsys, tmp_path, options, text):
    assert command(*options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert not (tmp_path / "home").exists()


def test_a_folder_that_can_not_be_made_is_known_before_the_training(command, capsys, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert command("--out", str(tmp_path / "file" / "out")) != 0
    assert not (tmp_path / "home").exists()


def test_a_failed_run_is_exit_code_1(command, capsys, monkeypatch):
    def broken(config, start, n_epochs):
        raise RuntimeError("no power")

    monkeypatch.setattr("qhn_core.jobs.scheduler.run_chunk", broken)
    assert command() == 1
    assert "no power" in capsys.readouterr().err
