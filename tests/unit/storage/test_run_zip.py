import csv
import io
import json
import stat
import zipfile
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from qhn_core import RunConfig
from qhn_core.storage.run_record import state_layout
from qhn_core.storage.run_zip import export_zip, import_zip, save_run
from qhn_core.training.history import HISTORY_COLUMNS, join_rows
from qhn_core.training.loop import advance, train
from tests.unit.stored import bits
from tests.unit.zips import (
    CONFIG,
    GOOD,
    MEMBERS,
    WHEN,
    arrays_of,
    exported,
    of_run,
    refused,
    rezip,
    trained,
    unzip,
    with_state,
)

RUNS = {
    "sampled": ({}, 4),
    "exact, two layers": ({"shots": None, "n_layers": 2}, 4),
    "one shot": ({"shots": 1, "objective": "mle"}, 4),
    "odd numbers": (
        {"regularization": 1 / 3, "bandwidth": np.pi, "seed": 2**63 - 1, "patience": 10**30},
        4,
    ),
    "interrupted": ({"epochs": 10**30}, 3),
    "not yet begun": ({}, 0),
    "diverged": ({"learning_rate": 1e308}, 4),
    "negative zero and tiny": ({"learning_rate": 5e-324, "n_seeds": 3}, 4),
}


@pytest.mark.parametrize("run", RUNS)
def test_round_trip_is_the_same_run_bit_for_bit(run):
    options, epochs = RUNS[run]
    config = CONFIG.model_copy(update=options)
    state, rows = trained(config, epochs)
    if "zero" in run:
        rows["kl"][0], rows["objective"][1], rows["mmd_squared"][2] = -0.0, 5e-324, -1.7976931348623157e308
    versions = {"qhn_core": "0.1.0", "numpy": "2.0.0"}
    data = export_zip(of_run(config, state, rows, name="λ = 1", versions=versions, seconds=2.5))
    back = import_zip(data)
    assert back.config == config
    assert back.config.hash == config.hash
    assert bits(back.state) == bits(state)
    assert type(back.state.epoch) is int
    assert bits(back.rows) == bits(rows)
    assert list(back.rows) == list(HISTORY_COLUMNS)
    assert (back.name, back.versions, back.created, back.updated) == ("λ = 1", versions, WHEN, WHEN)
    assert (back.seconds, back.imported) == (2.5, True)
    assert export_zip(back) == data


@pytest.mark.parametrize(
    ("options", "epochs", "status"),
    [
        ({}, 4, "done"),
        ({}, 3, "interrupted"),
        ({}, 0, "interrupted"),
        ({"learning_rate": 1e308}, 4, "diverged"),
    ],
)
def test_status_follows_from_the_state(options, epochs, status):
    assert import_zip(exported(CONFIG.model_copy(update=options), epochs)).status == status


def test_an_imported_run_goes_on_as_if_it_had_stayed():
    whole_state, whole_rows = trained()
    back = import_zip(exported(CONFIG, 2))
    state, rows = advance(back.config, back.state, 2)
    assert bits(state) == bits(whole_state)
    assert bits(join_rows([back.rows, rows])) == bits(whole_rows)


def test_a_table_of_a_finished_run_can_be_exported():
    result = train(CONFIG)
    back = import_zip(export_zip(of_run(CONFIG, result.state, dict(result.history))))
    assert bits(dict(back.result().history)) == bits(dict(result.history))
    assert set(back.versions) == {"qhn_core", "cirq", "qsimcirq", "numpy", "python"}


def test_a_seed_that_diverged_has_fewer_rows():
    state, rows = trained()
    kept = (rows["seed"] != 1) | (rows["epoch"] < 3)
    fewer = {name: values[kept] for name, values in rows.items()}
    diverged = replace(state, diverged_at=np.array([0, 3]))
    assert bits(import_zip(export_zip(of_run(CONFIG, diverged, fewer))).rows) == bits(fewer)
    with pytest.raises(ValueError, match="8 rows; the state needs 6"):
        export_zip(of_run(CONFIG, diverged, rows))


def test_other_programs_can_read_all_of_it():
    state, rows = trained()
    members = unzip(GOOD)
    assert set(members) == MEMBERS
    assert RunConfig(**json.loads(members["config.json"])) == CONFIG
    about = json.loads(members["about.json"])
    assert (about["format"], about["name"], about["seconds"]) == (1, "mine", 1.5)
    assert datetime.fromisoformat(about["created"]) == WHEN
    header, *lines = csv.reader(io.StringIO(members["history.csv"].decode()))
    assert header == list(HISTORY_COLUMNS)
    for k, column in enumerate(header):
        assert [repr(value) for value in rows[column].tolist()] == [line[k] for line in lines]
    assert bits(dict(pd.read_parquet(io.BytesIO(members["history.parquet"])))) == bits(rows)
    assert bits(arrays_of("angles.npz")) == bits({"best": state.best_angles, "last": state.angles})
    assert bits(arrays_of("state.npz")) == bits(
        {name: getattr(state, name) for name in state_layout(CONFIG)}
    )
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.testzip() is None
        assert {stat.filemode(i.external_attr >> 16) for i in archive.infolist()} == {"-rw-r--r--"}
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert exported() == GOOD


def test_zips_by_other_programs_are_read():
    state = arrays_of("state.npz")
    assert bits(import_zip(with_state()).state) == bits(trained()[0])
    assert bits(import_zip(rezip(unzip(GOOD), compresslevel=1)).rows) == bits(trained()[1])
    assert set(state) == set(state_layout(CONFIG))


def test_mmd_is_undefined_for_one_shot_only():
    config = CONFIG.model_copy(update={"shots": 1, "objective": "mle"})
    members = unzip(exported(config))
    assert b",nan," in members["history.csv"]
    members["history.csv"] = members["history.csv"].replace(b",nan,", b",0.5,")
    refused(rezip(members), r"history\.csv: mmd_squared: found 0\.5.*; allowed: nan")


def test_export_refuses_what_import_would():
    state, rows = trained()
    with pytest.raises(ValueError, match=r"state\.npz: gradient: found nan"):
        export_zip(of_run(CONFIG, replace(state, gradient=state.gradient * np.nan), rows))
    with pytest.raises(ValueError, match="4 rows; the state needs 8"):
        export_zip(of_run(CONFIG, state, {name: values[:4] for name, values in rows.items()}))
    with pytest.raises(ValueError, match="printable"):
        export_zip(of_run(CONFIG, state, rows, name="\0"))
    with pytest.raises(ValueError, match="has not started yet"):
        export_zip(of_run(CONFIG, None, {}))


def test_save_run_writes_files_for_everybody(tmp_path):
    result = train(CONFIG)
    save_run(tmp_path / "new" / "run", result)
    folder = tmp_path / "new" / "run"
    assert RunConfig.model_validate_json((folder / "config.json").read_text()) == CONFIG
    with np.load(folder / "angles.npz", allow_pickle=False) as angles:
        assert bits(dict(angles)) == bits({"best": result.best_angles, "last": result.state.angles})
    pandas = pytest.importorskip("pandas")
    assert bits(dict(pandas.read_parquet(folder / "history.parquet"))) == bits(dict(result.history))
    with pytest.raises(FileExistsError, match="already holds a run"):
        save_run(folder, result)
