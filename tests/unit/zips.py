"""A good zip of a run, and ways to make bad ones of it."""

import csv
import io
import json
import tracemalloc
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest

from qhn_core.storage.run_record import StoredRun
from qhn_core.storage.run_zip import export_zip, import_zip
from qhn_core.training.loop import advance, initial_state
from qhn_core.versions import current_versions
from tests.small_runs import small

CONFIG = small(n_seeds=2, epochs=4, shots=3, seed=7)
MEMBERS = {"about.json", "config.json", "history.csv", "history.parquet", "angles.npz", "state.npz"}
VERSIONS = current_versions()
WHEN = datetime(2025, 3, 1, 12, 30, tzinfo=UTC)


def trained(config=CONFIG, epochs=4):
    return advance(config, initial_state(config), epochs)


def exported(config=CONFIG, epochs=4):
    state, rows = trained(config, epochs)
    return export_zip(of_run(config, state, rows))


def of_run(config, state, rows, **about):
    """A StoredRun with the times that make its zip the same each time."""
    about = {
        "name": "mine",
        "created": WHEN,
        "updated": WHEN,
        "seconds": 1.5,
        "versions": VERSIONS,
        **about,
    }
    return StoredRun(config, "done", state, rows, **about)


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


def peak_of_refusing(data, match):
    tracemalloc.start()
    try:
        refused(data, match)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
