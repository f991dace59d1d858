"""Zips that are damaged, or made to do harm."""

import io
import json
import stat
import struct
import warnings
import zipfile
import zlib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qhn_core.storage.run_record import state_layout
from qhn_core.storage.run_zip import import_zip
from tests.unit.stored import bits
from tests.unit.zips import CONFIG, GOOD, MEMBERS, peak_of_refusing, refused, rezip, swap, trained, unzip


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


def test_too_large():
    refused(b"PK" + bytes(300_000_000), "zip: 300000002 bytes; allowed: 300000000")
    bomb = swap(history_csv=bytes(310_000_000))
    assert len(bomb) < 1_000_000
    peak = peak_of_refusing(bomb, "zip: history.csv unpacks to 310000000 bytes; allowed: 300000000")
    assert peak < 10_000_000
    two = swap(history_csv=bytes(160_000_000), history_parquet=bytes(160_000_000))
    refused(two, "zip: unpacks to 3.* bytes")
    # The config says how much a run can need: here 8 rows.
    peak = peak_of_refusing(
        swap(history_csv=bytes(48_000_000)), "history.csv unpacks to 48000000 bytes; allowed: 103600"
    )
    assert peak < 10_000_000
    refused(swap(config_json=b" " * 70_000), "zip: config.json unpacks to 70000 bytes; allowed: 65536")
    with pytest.raises(ValueError, match="allowed: 1000"):
        import_zip(GOOD, max_bytes=1000)
    with pytest.raises(ValueError, match="allowed: 2000"):
        import_zip(GOOD, max_unpacked_bytes=2000)


def test_a_header_that_lies_about_the_size():
    epochs = json.dumps({**json.loads(unzip(GOOD)["config.json"]), "epochs": 10**6})
    bomb = swap(history_parquet=bytes(200_000_000), config_json=epochs)
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


@pytest.mark.parametrize("large_form", [False, True])
def test_a_list_of_members_without_end(large_form):
    """A list of 40 MB took 30 s and 390 MB before anything was looked at."""
    entry = struct.pack("<4s24xH16x", b"PK\1\2", 1) + b"a"
    listed = entry * 100_000
    end = b""
    if large_form:
        here = len(listed)
        end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 100_000, 100_000, here, 0)
        end += struct.pack("<4sIQI", b"PK\6\7", 0, here, 1)
    size = 0xFFFFFFFF if large_form else len(listed)
    end += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0)
    with zipfile.ZipFile(io.BytesIO(listed + end)) as archive:
        assert len(archive.namelist()) == 100_000, "zipfile takes it"
    assert peak_of_refusing(listed + end, "zip: not a sound zip file: its list of members") < 1_000_000


def test_not_a_zip():
    for data in (b"", b"PK", b"hello" * 100, GOOD[:-30], GOOD[: len(GOOD) // 2]):
        refused(data, "zip: not a sound zip file")
    position = GOOD.index(b"state.npz") + 200
    refused(GOOD[:position] + bytes([GOOD[position] ^ 255]) + GOOD[position + 1 :], "zip: not a sound")


def test_a_zip_that_was_packed_again_by_macos():
    """Its Archive Utility puts a folder around the members, and notes beside them."""
    members = {f"my run/{name}": content for name, content in unzip(GOOD).items()}
    notes = {
        "my run/": b"",
        "my run/.DS_Store": b"\0\0\0\1Bud1",
        "__MACOSX/": b"",
        "__MACOSX/._my run": b"\0\5\x16\7",
        "__MACOSX/my run/._state.npz": b"\0\5\x16\7",
    }
    assert bits(import_zip(rezip({**notes, **members})).state) == bits(trained()[0])
    refused(rezip({**members, "config.json": unzip(GOOD)["config.json"]}), "zip: found members")
    refused(rezip({**members, "other/config.json": b"{}"}), "zip: found members")
    refused(rezip({**members, "my run/x/": b"x"}), "zip: found members")


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


fuzz = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))


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
