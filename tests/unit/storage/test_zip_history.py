"""Zips whose history.csv is not that of their state."""

import numpy as np
import pytest

from qhn_core.storage.run_zip import import_zip
from qhn_core.training.history import HISTORY_COLUMNS
from tests.unit.zips import edit_csv, peak_of_refusing, refused, rezip, swap, unzip, with_json, with_state


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
        (lambda t: [*t, t[-1]], "9 rows; the state needs 8"),
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
        data = swap(history_csv=lines)
        assert len(data) < 100_000
        peak = peak_of_refusing(data, r"history\.csv: \d* rows; allowed: 480769")
        assert peak < 50_000_000
