import io
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.landscape.scan import scan_table
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.objectives.terms import Objective
from qhn_core.storage.database import SCHEMA, StoreError
from qhn_core.storage.runs import RunStore
from qhn_core.storage.scan_file import load_scan, pack_scan, save_scan
from qhn_core.storage.scans import scan_with_store
from tests.unit import oracles

CONFIG = RunConfig(n_hidden=1, epochs=5, regularization=3.0, bandwidth=1.1)
PLANE = LandscapeConfig(resolution=11, plane="optima")
ANGLES = oracles.random_angles(0, *CONFIG.angle_shape)


@pytest.fixture(scope="module")
def scan():
    return scan_landscape(CONFIG, PLANE, ANGLES, seed_row=2)


@pytest.fixture
def partial(scan):
    done = np.zeros((11, 11), dtype=bool)
    done[1::4, 1::4] = True
    grids = {
        name: np.where(done[..., None] if name == "correlators" else done, getattr(scan, name), np.nan)
        for name in PointTerms.FIELDS
    }
    return type(scan)(**{**vars(scan), **grids, "done": done})


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as store:
        yield store


def same(one, other):
    for name in ("axis", "done", "angles", *PointTerms.FIELDS):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    for name in ("center", "directions"):
        assert getattr(one.plane, name).tobytes() == getattr(other.plane, name).tobytes(), name
    assert (one.plane.labels, one.plane.points) == (other.plane.labels, other.plane.points)
    assert (one.config, one.landscape_config, one.seed_row) == (
        other.config,
        other.landscape_config,
        other.seed_row,
    )


def test_a_table_has_a_row_for_each_point(scan):
    table = scan_table(scan, Objective("mle", 7.0, 2.0))
    assert len(table) == 121
    row = table.iloc[3 * 11 + 8]
    angles = scan.plane.center + row.x * scan.plane.directions[0] + row.y * scan.plane.directions[1]
    q = oracles.probabilities(angles)
    assert (row.x, row.y) == (scan.axis[8], scan.axis[3])
    assert row.entropy == pytest.approx(6 * np.log(2) - oracles.kl(q), rel=1e-9)
    assert row.selbo == pytest.approx(row.mle - 7 * oracles.mmd_squared(q, 2.0), rel=1e-9)
    assert row.elbo == pytest.approx(row.mle - 7 * oracles.kl(q), rel=1e-9)
    signs = 1 - 2.0 * oracles.all_bits(6)
    assert pytest.approx(((q @ signs) ** 2).sum(), rel=1e-9) == row.W_1
    assert (set(table.regularization), set(table.bandwidth)) == ({7.0}, {2.0})
    assert list(table.columns) == [
        *("x", "y", *PointTerms.FIELDS[:3], *(f"W_{w}" for w in range(1, 7))),
        *("regularization", "bandwidth", "mle", "elbo", "selbo"),
    ]


def test_a_table_of_a_part_has_only_what_is_done(partial):
    table = scan_table(partial)
    assert len(table) == partial.done.sum() == 9
    assert np.isfinite(table.to_numpy()).all()


def test_a_file_holds_the_scan_bit_for_bit(tmp_path, scan, partial):
    for which in (scan, partial):
        save_scan(tmp_path / "scan.npz", which)
        same(load_scan(tmp_path / "scan.npz"), which)
        same(load_scan(io.BytesIO(pack_scan(which))), which)
        assert load_scan(tmp_path / "scan.npz").key == which.key


def altered(scan, **changes):
    with np.load(io.BytesIO(pack_scan(scan)), allow_pickle=False) as arrays:
        members = dict(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in {**members, **changes}.items() if v is not None})
    return io.BytesIO(buffer.getvalue())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entropy": None}, "found members"),
        ({"entropy": np.zeros((11, 12))}, r"entropy is \(11, 12\)"),
        ({"entropy": np.zeros((11, 11), dtype=np.float32)}, "float32"),
        ({"entropy": np.full((11, 11), np.nan)}, "entropy holds NaN"),
        ({"directions": np.full((2, 1, 2, 6), np.inf)}, "directions holds NaN or infinity"),
        ({"done": np.ones((11, 11))}, "done is"),
        ({"config": np.array("{}{")}, "not a sound scan"),
        ({"landscape_config": np.array('{"resolution": 1000}')}, "not a sound scan"),
        ({"labels": np.array(["one"])}, "labels is"),
        ({"points": np.zeros((2, 2))}, "points is"),
        ({"format": np.array(99)}, "format 99"),
        ({"axis": np.array([{}] * 11, dtype=object)}, "not a sound scan"),
    ],
)
def test_a_file_that_is_not_sound_is_refused(scan, changes, message):
    with pytest.raises(ValueError, match=message):
        load_scan(altered(scan, **changes))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + b"x" * 100])
def test_no_file_of_a_scan(data):
    with pytest.raises(ValueError, match="not a sound zip file"):
        load_scan(io.BytesIO(data))


def test_the_key_changes_with_everything_that_determines_a_scan(scan):
    others = [
        type(scan)(**{**vars(scan), **change})
        for change in (
            {"config": CONFIG.model_copy(update={"dataset_seed": 1})},
            {"landscape_config": PLANE.model_copy(update={"radius": 1.0})},
            {"angles": np.nextafter(scan.angles, 9)},
            {"seed_row": 0},
        )
    ]
    assert len({scan.key, *(other.key for other in others)}) == 5
    assert scan.key == type(scan)(**vars(scan)).key


# --- in the store --------------------------------------------------------------------------------------


def test_the_store_keeps_scans(tmp_path, store, scan, partial):
    assert store.scans.load(scan.key) is None
    store.scans.save(partial)
    same(store.scans.load(scan.key), partial)
    store.scans.save(scan)
    with RunStore(tmp_path) as other:
        same(other.scans.load(scan.key), scan)


def test_old_scans_make_room_for_new_ones(monkeypatch, store, scan):
    size = len(pack_scan(scan))
    monkeypatch.setattr("qhn_core.storage.scans.MAX_SCANS_BYTES", int(2.5 * size))
    scans = [type(scan)(**{**vars(scan), "seed_row": k}) for k in range(4)]
    for one in (*scans[:2], scans[0], *scans[2:]):  # the first is renewed
        store.scans.save(one)
    assert [store.scans.load(one.key) is not None for one in scans] == [False, False, True, True]


def test_a_store_of_the_first_version_gets_the_new_table_and_keeps_its_runs(tmp_path, scan):
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.executescript(SCHEMA + "PRAGMA user_version = 1")
        values = (
            "old",
            "",
            CONFIG.model_dump_json(),
            CONFIG.hash,
            "",
            "queued",
            "",
            "2024-01-01",
            "2024-01-01",
        )
        db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,0,'{}',0)", values)
    with RunStore(tmp_path) as store:
        assert [run.id for run in store.runs()] == ["old"]
        store.scans.save(scan)
        assert store.scans.load(scan.key) is not None
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def damage(folder):
    with closing(sqlite3.connect(folder / "runs.sqlite3")) as db, db:
        (npz,) = db.execute("SELECT npz FROM scans").fetchone()
        middle = len(npz) // 2
        db.execute("UPDATE scans SET npz = ?", (npz[:middle] + b"????" + npz[middle + 4 :],))


def test_a_damaged_scan_is_told_and_scanned_again(tmp_path, store, scan):
    store.scans.save(scan)
    damage(tmp_path)
    with pytest.raises(StoreError, match=f"landscape {scan.key}.*can be scanned again"):
        store.scans.load(scan.key)
    said = []
    again = list(scan_with_store(store.scans, CONFIG, PLANE, ANGLES, 2, said.append))[-1]
    assert [scan.key in text for text in said] == [True]
    same(again, scan)
    same(store.scans.load(scan.key), scan)


def test_a_scan_under_anothers_key_is_refused(tmp_path, store, scan):
    store.scans.save(scan)
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("UPDATE scans SET key = 'other'")
    with pytest.raises(StoreError, match="holds another one"):
        store.scans.load("other")


def test_a_stopped_scan_goes_on_from_the_store(monkeypatch, store, scan, partial):
    seen = []

    def stages(*arguments):
        seen.append(arguments[-1])
        if arguments[-1] is None:
            yield partial
            raise AssertionError("iterated on after it was closed")
        yield from scan_in_stages(*arguments)

    monkeypatch.setattr("qhn_core.storage.scans.scan_in_stages", stages)
    first = scan_with_store(store.scans, CONFIG, PLANE, ANGLES, 2)
    next(first)
    assert store.scans.load(scan.key) is None  # not every stage is worth a write
    first.close()
    same(store.scans.load(scan.key), partial)
    same(list(scan_with_store(store.scans, CONFIG, PLANE, ANGLES, 2))[-1], scan)
    assert [start if start is None else int(start.done.sum()) for start in seen] == [None, 9]
    assert len(list(scan_with_store(store.scans, CONFIG, PLANE, ANGLES, 2))) == 1


def test_a_store_that_can_not_save_does_not_stop_the_scan(store, scan):
    store.database.close()
    said = []
    same(list(scan_with_store(store.scans, CONFIG, PLANE, ANGLES, 2, said.append))[-1], scan)
    assert len(said) == 2
    assert "The scan is not saved" in said[1]
