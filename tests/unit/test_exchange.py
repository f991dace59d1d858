import csv
import io
import json
import stat
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qhn_core import RunConfig
from qhn_core.exchange import export_zip, import_zip, pack_arrays, state_layout
from qhn_core.training import HISTORY_COLUMNS, TrainingState, advance, initial_state, join_rows, train

CONFIG = RunConfig(n_hidden=1, n_seeds=2, epochs=4, shots=3, seed=7)
MEMBERS = {"about.json", "config.json", "history.csv", "history.parquet", "angles.npz", "state.npz"}
WHEN = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)


def bits(thing):
    """All of a state's or a history's numbers, as bytes: nothing is equal but the same."""
    items = thing if isinstance(thing, dict) else {f.name: getattr(thing, f.name) for f in fields(thing)}
    arrays = {name: np.asarray(value) for name, value in items.items()}
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def trained(config=CONFIG, epochs=4):
    return advance(config, initial_state(config), epochs)


def exported(config=CONFIG, epochs=4):
    state, rows = trained(config, epochs)
    return export_zip(config, rows, state, name="mine", created=WHEN, updated=WHEN, seconds=1.5)


GOOD = exported()


def unzip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def swap(**contents):
    """A zip like the good one but for some members; _ stands for the dot of a name."""
    return rezip({**unzip(GOOD), **{name.replace("_", "."): data for name, data in contents.items()}})


def npz(arrays, save=np.savez):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def arrays_of(member, data=GOOD):
    with np.load(io.BytesIO(unzip(data)[member]), allow_pickle=False) as arrays:
        return dict(arrays)


def with_state(**arrays):
    """A zip whose state has other arrays, and angles.npz with it."""
    state = {**arrays_of("state.npz"), **arrays}
    angles = {"best": state["best_angles"], "last": state["angles"]}
    return swap(state_npz=npz(state), angles_npz=npz(angles))


def with_json(member, **changes):
    content = {**json.loads(unzip(GOOD)[member]), **changes}
    return rezip({**unzip(GOOD), member: json.dumps(content)})


def edit_csv(edit):
    table = list(csv.reader(io.StringIO(unzip(GOOD)["history.csv"].decode())))
    return swap(history_csv="\n".join(",".join(line) for line in edit(table)) + "\n")


def refused(data, match):
    with pytest.raises(ValueError, match=match) as caught:
        import_zip(data)
    assert type(caught.value) is ValueError
    assert len(str(caught.value)) < 1500


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
    data = export_zip(
        config, rows, state, name="λ = 1", versions=versions, created=WHEN, updated=WHEN, seconds=2.5
    )
    back = import_zip(data)
    assert back.config == config
    assert back.config.hash == config.hash
    assert bits(back.state) == bits(state)
    assert type(back.state.epoch) is int
    assert bits(back.rows) == bits(rows)
    assert list(back.rows) == list(HISTORY_COLUMNS)
    assert (back.name, back.versions, back.created, back.updated) == ("λ = 1", versions, WHEN, WHEN)
    assert (back.seconds, back.imported) == (2.5, True)
    again = export_zip(
        back.config,
        back.rows,
        back.state,
        back.name,
        back.versions,
        back.created,
        back.updated,
        back.seconds,
    )
    assert again == data


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
    back = import_zip(export_zip(CONFIG, result.history, result.state))
    assert bits(dict(back.result().history)) == bits(dict(result.history))
    assert set(back.versions) == {"qhn_core", "cirq", "qsimcirq", "numpy", "python"}


def test_a_seed_that_diverged_has_fewer_rows():
    state, rows = trained()
    kept = (rows["seed"] != 1) | (rows["epoch"] < 3)
    fewer = {name: values[kept] for name, values in rows.items()}
    diverged = replace(state, diverged_at=np.array([0, 3]))
    assert bits(import_zip(export_zip(CONFIG, fewer, diverged)).rows) == bits(fewer)
    with pytest.raises(ValueError, match="8 rows; the state needs 6"):
        export_zip(CONFIG, rows, diverged)


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
    assert bits(arrays_of("state.npz")) == bits(state)
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        assert archive.testzip() is None
        assert {stat.filemode(i.external_attr >> 16) for i in archive.infolist()} == {"-rw-r--r--"}
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert exported() == GOOD


def test_zips_by_other_programs_are_read():
    state = arrays_of("state.npz")
    assert bits(import_zip(with_state()).state) == bits(trained()[0])
    assert bits(import_zip(rezip(unzip(GOOD), compresslevel=1)).rows) == bits(trained()[1])
    assert set(state) == {f.name for f in fields(TrainingState)} == set(state_layout(CONFIG))


# ---- the container


def hostile_names():
    members = unzip(GOOD)
    for name in (
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\evil",
        "sub/config.json",
        "config.jsonNUL.exe",
        "x/",
    ):
        moved = {**members, name: members["config.json"]}
        yield rezip(moved).replace(b"jsonNUL", b"json\0\0\0")  # names end at a NUL, for some
        del moved["config.json"]
        yield rezip(moved).replace(b"jsonNUL", b"json\0\0\0")
    yield rezip({name: members[name] for name in MEMBERS - {"history.parquet"}})
    yield rezip({})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        buffer = io.BytesIO(GOOD)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("config.json", b"{}")
        yield buffer.getvalue()


@pytest.mark.parametrize("data", list(hostile_names()))
def test_other_members_than_ours(data):
    refused(data, r"zip: found members '.*'; allowed: about\.json, config\.json, history\.csv.* once each")


def patch(data, name, offset, value, local_offset=None):
    """Change the directory entry (and the local header) of a member, by the zip file format."""
    data = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        local = archive.getinfo(name).header_offset
        at = archive.start_dir
    while True:
        length, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        if data[at + 46 : at + 46 + length] == name.encode():
            break
        at += 46 + length + extra + comment
    data[at + offset : at + offset + len(value)] = value
    if local_offset is not None:
        data[local + local_offset : local + local_offset + len(value)] = value
    return bytes(data)


def test_links_and_devices():
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR):
        refused(
            patch(GOOD, "config.json", 38, struct.pack("<I", (kind | 0o777) << 16)),
            "zip: config.json is not a plain file",
        )


@pytest.mark.parametrize("flag", [1, 0x40, 0x41])
def test_encrypted_members(flag):
    refused(patch(GOOD, "state.npz", 8, struct.pack("<H", flag), 6), "zip: state.npz is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 97])
def test_other_compressions(method):
    data = patch(GOOD, "state.npz", 10, struct.pack("<H", method), 8)
    refused(data, f"zip: state.npz has compression {method}; allowed: 0, 8")


def peak_of_refusing(data, match):
    tracemalloc.start()
    try:
        refused(data, match)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_too_large():
    refused(b"PK" + bytes(5_000_000), "zip: 5000002 bytes; allowed: 5000000")
    bomb = swap(history_csv=bytes(200_000_000))
    assert len(bomb) < 1_000_000
    peak = peak_of_refusing(bomb, "zip: history.csv unpacks to 200000000 bytes; allowed: 50000000")
    assert peak < 10_000_000
    refused(
        swap(history_csv=bytes(30_000_000), history_parquet=bytes(30_000_000)), "zip: unpacks to 6.* bytes"
    )
    refused(swap(config_json=b" " * 70_000), "zip: config.json unpacks to 70000 bytes; allowed: 65536")
    with pytest.raises(ValueError, match="allowed: 1000"):
        import_zip(GOOD, max_bytes=1000)
    with pytest.raises(ValueError, match="allowed: 2000"):
        import_zip(GOOD, max_unpacked_bytes=2000)


def test_a_header_that_lies_about_the_size():
    bomb = swap(history_parquet=bytes(200_000_000))
    # With a checksum that fits the start, so that only the size can tell.
    for declared in (0, 1, 1000, 40_000_000):
        lie = struct.pack("<I", declared)
        data = patch(bomb, "history.parquet", 24, lie, 22)
        data = patch(data, "history.parquet", 16, struct.pack("<I", zlib.crc32(bytes(declared))), 14)
        peak = peak_of_refusing(data, f"zip: history.parquet holds more; its header says {declared} bytes")
        assert peak < 5_000_000 + 3 * declared
    short = unzip(GOOD)["config.json"]
    data = patch(GOOD, "config.json", 24, struct.pack("<I", len(short) + 5), 22)
    refused(data, f"config.json holds {len(short)} bytes; its header says {len(short) + 5}")


def test_not_a_zip():
    for data in (b"", b"PK", b"hello" * 100, GOOD[:-30], GOOD[: len(GOOD) // 2]):
        refused(data, "zip: not a sound zip file")
    position = GOOD.index(b"state.npz") + 200
    refused(GOOD[:position] + bytes([GOOD[position] ^ 255]) + GOOD[position + 1 :], "zip: not a sound")


# ---- about.json and config.json


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 2}, r"about\.json: format=2"),
        ({"format": "1"}, r"about\.json: format='1'"),
        ({"name": "two\nlines"}, "printable"),
        ({"name": "x" * 121}, "120 printable"),
        ({"name": "\u202egnp.exe"}, "printable"),
        ({"created": "yesterday"}, r"about\.json: created='yesterday'"),
        ({"created": "2025-01-01T00:00:00"}, "created=.*timezone"),
        ({"created": "9999-12-31T23:59:59-12:00"}, "created"),
        ({"seconds": -1}, r"about\.json: seconds=-1"),
        ({"seconds": float("nan")}, "seconds"),
        ({"versions": {str(k): "1" for k in range(21)}}, "versions"),
        ({"versions": {"numpy": "x" * 200}}, "versions"),
        ({"versions": {"x" * 200: "1"}}, "versions"),
        ({"more": 1}, r"about\.json: more=1"),
    ],
)
def test_about(changes, match):
    refused(with_json("about.json", **changes), match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_hidden": 0}, r"config\.json: n_hidden=0.*allowed: 1 <= n_hidden"),
        ({"regularization": float("nan")}, r"config\.json: regularization"),
        ({"learning_rate": float("inf")}, r"config\.json: learning_rate"),
        ({"objective": "x" * 60_000}, r"config\.json: objective='xxx"),
        ({"unknown": 1}, r"config\.json: unknown=1"),
        ({"n_hidden": 2}, r"state\.npz: angles: found shape \(2, 1, 2, 6\).*allowed: \(2, 1, 2, 10\)"),
        ({"n_layers": 10**12}, r"state\.npz: angles: found shape"),
        ({"n_hidden": 10**30}, r"state\.npz: angles: found shape"),
        ({"n_seeds": 10**30}, r"state\.npz: seeds: found shape \(2,\)"),
        ({"shots": 10**30}, r"state\.npz: samples: found shape \(2, 3\)"),
        ({"shots": None}, r"state\.npz: samples"),
        ({"epochs": 3}, r"state\.npz: epoch: found 4; allowed: 0 to 3"),
        ({"learning_rate": 1e-9}, r"state\.npz: learning_rate: found .*; allowed: 0 to 1e-09"),
        ({"patience": 1}, r"state\.npz: stale_epochs: found .*; allowed: 0 to 0"),
    ],
)
def test_config(changes, match):
    refused(with_json("config.json", **changes), match)


@pytest.mark.parametrize("member", ["about.json", "config.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000]
)
def test_not_json(member, content):
    refused(rezip({**unzip(GOOD), member: content}), member)


# ---- state.npz and angles.npz


def changed(name, index, value):
    array = arrays_of("state.npz")[name].copy()
    array[index] = value
    return {name: array}


@pytest.mark.parametrize("name", [f for f, (d, _) in state_layout(CONFIG).items() if d == "<f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(name, value):
    refused(with_state(**changed(name, 0, value)), rf"state\.npz: {name}: found {value}.*; allowed: finite")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epoch", -1, "0 to 4"),
        ("epoch", 5, "0 to 4"),
        ("seeds", [0, 0], "0 to 1 in order"),
        ("seeds", [1, 0], "0 to 1 in order"),
        ("seeds", [0, 2], "0 to 1 in order"),
        ("samples", -1, "0 to 63"),
        ("samples", 64, "0 to 63"),
        ("stale_epochs", -1, "0 to 2"),
        ("stale_epochs", 3, "0 to 2"),
        ("diverged_at", -1, "0 to 4"),
        ("diverged_at", 5, "0 to 4"),
        ("learning_rate", -1e-9, "0 to 1.0"),
        ("learning_rate", 2.0, "0 to 1.0"),
    ],
)
def test_numbers_out_of_range(name, value, allowed):
    index = ... if isinstance(value, list) else (() if name == "epoch" else 1)
    refused(with_state(**changed(name, index, value)), rf"state\.npz: {name}: found .*; allowed: {allowed}")


def state_variants():
    state = arrays_of("state.npz")
    angles = state["angles"]
    for name, array in {
        "one seed less": angles[:1],
        "flat": angles.ravel(),
        "single precision": angles.astype("f4"),
        "other byte order": angles.astype(">f8"),
        "whole numbers": angles.astype("i8"),
        "complex": angles.astype(complex),
        "text": angles.astype("U30"),
        "Fortran order": np.asfortranarray(angles),
        "scalar": np.float64(1),
        "empty": angles[:0],
    }.items():
        yield pytest.param(npz({**state, "angles": array}), r"state\.npz: angles: found shape", id=name)
    yield pytest.param(npz({**state, "more": angles}), r"state\.npz: found members", id="more")
    del state["gradient"]
    yield pytest.param(npz(state), r"state\.npz: found members", id="less")
    yield pytest.param(
        npz(arrays_of("state.npz"), np.savez_compressed), "has compression 8", id="compressed"
    )
    yield pytest.param(b"", r"state\.npz: not a sound zip", id="nothing")


@pytest.mark.parametrize(("content", "match"), list(state_variants()))
def test_arrays_that_are_not_the_configs(content, match):
    refused(swap(state_npz=content), match)


def test_other_angles_than_best_and_last():
    arrays = {"best": np.zeros((2, 1, 2, 6)), "more": np.zeros(3)}
    refused(swap(angles_npz=npz(arrays)), r"angles\.npz: found members")


class Bomb:
    """Unpickling this would fail the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_not_loaded():
    state = arrays_of("state.npz")
    state["angles"] = np.array([Bomb(), Bomb()], dtype=object)
    refused(swap(state_npz=npz(state)), r"state\.npz: angles: found shape \(2,\), object")
    refused(
        swap(angles_npz=npz({"best": state["angles"], "last": state["angles"]})),
        r"angles\.npz: best: found",
    )


def test_pickles_are_not_written():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        pack_arrays({"x": np.array([Bomb()], dtype=object)})


def npy(header, body=b"", version=b"\x01\x00"):
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy(b"", b""),
        npy(b"{"),
        npy(b"(" * 9000),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1, 2, 6), }", bytes(192), b"\x02\x00"),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1, 2, 6), }", bytes(184)),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1, 2, 6), }", bytes(200)),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 1L, 2L, 6L), }", bytes(184)),
        npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999,), }"),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04."),
        npy(b"{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,), }"),
        npy(b"{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }"),
    ],
)
def test_hand_made_arrays(content):
    with zipfile.ZipFile(io.BytesIO(unzip(GOOD)["state.npz"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, good in members.items():
            archive.writestr(name, content if name == "angles.npy" else good)
    peak = peak_of_refusing(swap(state_npz=buffer.getvalue()), r"state\.npz: angles: ")
    assert peak < 10_000_000


def test_huge_shapes_that_the_config_asks_for():
    """A header and a config that agree on more memory than there is; the product wraps to 0 in 64 bits."""
    config = json.loads(unzip(GOOD)["config.json"])
    config.update(n_layers=2**62)
    with zipfile.ZipFile(io.BytesIO(unzip(GOOD)["state.npz"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, %d, 2, 6), }" % 2**62
    members.update({f"{name}.npy": npy(header) for name in ("angles", "best_angles", "gradient")})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = swap(state_npz=buffer.getvalue(), config_json=json.dumps(config))
    refused(data, r"state\.npz: angles: found 0 bytes of data")


def test_angles_must_be_those_of_the_state():
    angles = arrays_of("angles.npz")
    for name in ("best", "last"):
        other = angles[name].copy()
        other[1, 0, 1, 5] = np.nextafter(other[1, 0, 1, 5], 9)
        refused(
            swap(angles_npz=npz({**angles, name: other})), rf"angles\.npz: {name} differs from state\.npz"
        )


# ---- history.csv


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


def test_mmd_is_undefined_for_one_shot_only():
    config = CONFIG.model_copy(update={"shots": 1, "objective": "mle"})
    members = unzip(exported(config))
    assert b",nan," in members["history.csv"]
    members["history.csv"] = members["history.csv"].replace(b",nan,", b",0.5,")
    refused(rezip(members), r"history\.csv: mmd_squared: found 0\.5.*; allowed: nan")


def test_export_refuses_what_import_would():
    state, rows = trained()
    with pytest.raises(ValueError, match=r"state\.npz: gradient: found nan"):
        export_zip(CONFIG, rows, replace(state, gradient=state.gradient * np.nan))
    with pytest.raises(ValueError, match="4 rows; the state needs 8"):
        export_zip(CONFIG, {name: values[:4] for name, values in rows.items()}, state)
    with pytest.raises(ValueError, match="printable"):
        export_zip(CONFIG, rows, state, name="\0")


# ---- any other damage


@st.composite
def mutations(draw):
    """A few bytes changed, removed or put in, at any places."""
    edits = st.tuples(
        st.floats(0, 1), st.sampled_from(["set", "flip", "cut", "insert", "end"]), st.binary(max_size=8)
    )
    return draw(st.lists(edits, min_size=1, max_size=4))


def mutate(data, edits):
    out = bytearray(data)
    for place, kind, value in edits:
        at = int(place * len(out))
        if kind == "set":
            out[at : at + len(value)] = value
        elif kind == "flip" and at < len(out):
            out[at] ^= 1 << (len(value) % 8)
        elif kind == "cut":
            del out[at : at + 1 + len(value)]
        elif kind == "insert":
            out[at:at] = value
        elif kind == "end":
            del out[at:]
    return bytes(out)


fuzz = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.data_too_large])


@fuzz
@given(mutations())
def test_a_damaged_zip_is_refused_or_the_same_run(edits):
    try:
        back = import_zip(mutate(GOOD, edits))
    except ValueError:
        return
    assert bits(back.state) == bits(trained()[0])
    assert bits(back.rows) == bits(trained()[1])
    assert (back.config, back.name) == (CONFIG, "mine")


@fuzz
@given(st.sampled_from(sorted(MEMBERS - {"history.parquet"})), mutations())
def test_a_damaged_member_is_refused_or_sane(member, edits):
    """With good checksums around it, so that the damage gets as far as it can."""
    check_sane(rezip({**unzip(GOOD), member: mutate(unzip(GOOD)[member], edits)}))


@fuzz
@given(st.sampled_from(sorted(state_layout(CONFIG))), mutations())
def test_a_damaged_array_is_refused_or_sane(name, edits):
    with zipfile.ZipFile(io.BytesIO(unzip(GOOD)["state.npz"])) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members[f"{name}.npy"] = mutate(members[f"{name}.npy"], edits)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for n, content in members.items():
            archive.writestr(n, content)
    check_sane(swap(state_npz=buffer.getvalue()))


def check_sane(data):
    try:
        back = import_zip(data)
    except ValueError:
        return
    config = back.config
    assert back.state.angles.shape == (config.n_seeds, *config.angle_shape)
    assert sorted(zip(back.rows["seed"], back.rows["epoch"], strict=True)) == [
        (seed, epoch) for seed in range(config.n_seeds) for epoch in range(1, back.state.epoch + 1)
    ]
    assert all(np.isfinite(values).all() for values in back.rows.values())
    assert all(np.isfinite(getattr(back.state, f.name)).all() for f in fields(back.state))
