"""Zips whose members are not what they should be: texts and arrays."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from qhn_core.storage.run_record import state_layout
from qhn_core.storage.safe_zip import pack_arrays
from tests.unit.zips import (
    CONFIG,
    GOOD,
    arrays_of,
    npz,
    peak_of_refusing,
    refused,
    rezip,
    swap,
    unzip,
    with_json,
    with_state,
)

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
