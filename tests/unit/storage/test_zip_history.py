"""Zips whose history.csv is not that of their state."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qhn_core.storage.run_zip import MAX_ZIP_BYTES, export_zip, import_zip
from qhn_core.training.history import HISTORY_COLUMNS
from qhn_core.training.loop import initial_state
from tests.unit.stored import bits
from tests.unit.zips import (
    CONFIG,
    edit_csv,
    of_run,
    peak_of_refusing,
    refused,
    rezip,
    swap,
    unzip,
    with_json,
    with_state,
)


def replaced(line, column, value):
    def edit(table):
        table[line][HISTORY_COLUMNS.index(column)] = value
        return table

    return edit


@pytest.mark.parametrize("column", HISTORY_COLUMNS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_history_that_is_not_finite(column, value):
    refused(
        edit_csv(replaced(3, column, value)), rf"history\.csv: {column}: found .*; allowed: (finite|whole)"
    )


@pytest.mark.parametrize("value", ["", "x", "1_000", "0x10", "1j", '"1"', "1 2", "#1", "True", "٣"])
def test_history_that_is_not_numbers(value):
    refused(edit_csv(replaced(3, "kl", value)), r"history\.csv: ")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (replaced(0, "kl", "KL"), "found columns .*KL"),
        (lambda t: [line[::-1] for line in t], "found columns"),
        (lambda t: [line[:-1] for line in t], "found columns"),
        (lambda t: [[*line, "0"] for line in t], "found columns"),
        (lambda t: [t[0], *(line[:-1] for line in t[1:])], "found 12 columns; allowed: 13"),
        (lambda t: [t[0], *([*line, "0"] for line in t[1:])], "found 14 columns; allowed: 13"),
        (lambda t: [*t[:4], t[4][:-1], *t[5:]], "columns"),
        (lambda t: t[:-1], "7 rows; the state needs 8"),
        (lambda t: t[:1], "0 rows; the state needs 8"),
        (lambda t: [t[0], [""]], r"history\.csv"),
        (lambda t: [*t, t[-1]], "9 rows; allowed: 8"),
        (lambda t: [*t[:-1], t[1]], "found seed .* epoch .*; allowed: each seed and epoch"),
        (replaced(2, "seed", "2"), "found seed .* epoch"),
        (replaced(2, "seed", "-1"), "seed: found -1.0; allowed: whole numbers"),
        (replaced(2, "seed", "0.5"), "seed: found 0.5; allowed: whole numbers"),
        (replaced(2, "seed", "1e300"), "seed: found 1e.300; allowed: whole numbers"),
        (replaced(2, "epoch", "5"), "found seed 1 epoch 2 in place of seed 1 epoch 1"),
        (replaced(2, "epoch", "0"), "found seed 1 epoch 0"),
        (replaced(2, "epoch", "1.5"), "epoch: found 1.5; allowed: whole numbers"),
    ],
)
def test_history_of_another_form(edit, match):
    refused(edit_csv(edit), match)


def test_epochs_without_rows():
    """A state that claims more rows than memory holds."""
    data = with_json("config.json", epochs=2**62)
    with pytest.raises(ValueError, match="the state needs 9223372036854775806"):
        import_zip(
            rezip(
                {**unzip(with_state(epoch=np.int64(2**62 - 1))), "config.json": unzip(data)["config.json"]}
            )
        )


def test_short_lines_that_become_many_numbers():
    for newline in ("\n", "\r"):
        lines = newline.join([",".join(HISTORY_COLUMNS) + "\n", *[",".join("0" * 13)] * 600_000])
        epochs = unzip(with_json("config.json", epochs=200_000))["config.json"]
        data = swap(history_csv=lines, config_json=epochs)
        assert len(data) < 100_000
        peak = peak_of_refusing(data, r"history\.csv: \d* rows; allowed: 400000")
        assert peak < 50_000_000


@pytest.mark.parametrize("line", ["0" * 48_000_000, "0," * 24_000_000, "0" * 500])
def test_a_line_that_is_longer_than_any_of_ours(line):
    """A zip of 52 kB, which took 917 MB."""
    epochs = unzip(with_json("config.json", epochs=200_000))["config.json"]
    csv = ",".join(HISTORY_COLUMNS) + "\n" + line
    peak = peak_of_refusing(
        swap(history_csv=csv, config_json=epochs), r"history\.csv: found a line of more than 400"
    )
    assert peak < 4 * len(csv) + 10_000_000


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("test_accuracy", "7", "0 to 1"),
        ("train_accuracy", "-0.1", "0 to 1"),
        ("test_bce", "-5", "0 to inf"),
        ("train_bce", "-0.001", "0 to inf"),
        ("gradient_magnitude", "-1", "0 to inf"),
        ("expected_log_likelihood", "0.5", "-inf to 0"),
        ("learning_rate", "1.5", "0 to 1"),
        ("learning_rate", "-1", "0 to 1"),
    ],
)
def test_numbers_that_cannot_be_what_their_column_says(column, value, allowed):
    refused(edit_csv(replaced(3, column, value)), rf"history\.csv: {column}: found {value}.*: {allowed}")


@pytest.mark.parametrize("name", ["angles", "best_angles"])
def test_angles_beyond_all_that_training_reaches(name):
    refused(with_state(**{name: np.full((2, 1, 2, 6), -1e308)}), rf"state\.npz: {name}: found -1e\+308")


def test_a_run_of_many_seeds_and_epochs_comes_back():
    """As large as was refused before: 40,000 rows, whose numbers do not compress."""
    config = CONFIG.model_copy(update={"n_seeds": 100, "epochs": 400})
    state = replace(initial_state(config), epoch=400)
    rng = np.random.default_rng(0)
    rows = {name: rng.random(40_000) * 1e-3 for name in HISTORY_COLUMNS}
    rows["expected_log_likelihood"] *= -1
    rows["epoch"], rows["seed"] = np.repeat(np.arange(1, 401), 100), np.tile(np.arange(100), 400)
    data = export_zip(of_run(config, state, rows))
    assert len(data) > 5_000_000
    assert bits(import_zip(data).rows) == bits(rows)


def test_the_page_takes_what_import_takes():
    root = Path(__file__).parents[3]
    settings = tomllib.loads((root / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["maxUploadSize"] * 10**6 >= MAX_ZIP_BYTES
