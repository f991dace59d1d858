import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pytest

import qhn_core as qhn
from qhn_core import RunConfig
from qhn_core.storage.database import StoreError
from qhn_core.storage.run_record import StoredRun, state_layout
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import HISTORY_COLUMNS, join_rows, tidy
from qhn_core.training.loop import advance, initial_state
from tests import SECONDS
from tests.unit.stored import CONFIG, ask, bits, path_of, save


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 5, 5], [3, 1, 7, 1]])
def test_chunks_join_to_the_uninterrupted_run(tmp_path, whole, sizes):
    with RunStore(tmp_path) as store:
        save(store, path_of(CONFIG, sizes))
    with RunStore(tmp_path) as store:
        run = store.load("run")
    assert bits(run.state) == bits(whole[0])
    assert bits(run.rows) == bits(whole[1])
    assert list(run.rows) == list(HISTORY_COLUMNS)
    assert run.config == CONFIG
    assert len(ask(tmp_path, "SELECT 1 FROM chunks")) == len(sizes)


@pytest.mark.parametrize(
    "options",
    [
        {"shots": None, "n_layers": 2},
        {"shots": 1, "objective": "mle"},
        {"learning_rate": 1e308},
        {"learning_rate": 0.1, "regularization": 1 / 3, "bandwidth": np.pi, "seed": 2**63 - 1},
    ],
)
def test_every_kind_of_run_comes_back(store, options):
    config = CONFIG.model_copy(update=options)
    steps = path_of(config, [4, 4, 4])
    save(store, steps, config=config)
    run = store.load("run")
    assert run.config == config
    assert bits(run.state) == bits(steps[-1][0])
    assert bits(run.rows) == bits(join_rows([rows for _, rows in steps[1:]]))
    assert bits(dict(run.result().history)) == bits(dict(tidy(run.rows)))


def test_other_programs_can_read_the_file(tmp_path, store):
    steps = path_of(CONFIG, [4, 8])
    save(store, steps)
    header = (tmp_path / "runs.sqlite3").read_bytes()[:100]
    assert header[18:20] == b"\x02\x02"  # write-ahead log, by the SQLite file format
    ((config, hash_, versions),) = ask(tmp_path, "SELECT config, hash, versions FROM runs")
    assert config == CONFIG.model_dump_json()
    assert hash_ == CONFIG.hash
    assert set(json.loads(versions)) == {"qhn_core", "cirq", "qsimcirq", "numpy", "python"}
    ((npz,),) = ask(tmp_path, "SELECT npz FROM states")
    with np.load(BytesIO(npz), allow_pickle=False) as arrays:
        state = {name: getattr(steps[-1][0], name) for name in state_layout(CONFIG)}
        assert bits(dict(arrays)) == bits(state)
    chunks = ask(tmp_path, "SELECT first_epoch, last_epoch, npz FROM chunks ORDER BY first_epoch")
    assert [c[:2] for c in chunks] == [(1, 4), (5, 12)]
    with np.load(BytesIO(chunks[1][2]), allow_pickle=False) as arrays:
        table = arrays["rows"]
    assert bits({c: table[c] for c in table.dtype.names}) == bits(steps[-1][1])


@pytest.mark.parametrize("again", [[1], [2], [1, 2], [2, 1, 2], [0, 1, 2]])
def test_a_retried_chunk_is_not_doubled(store, whole, again):
    steps = path_of(CONFIG, [3, 4, 5])
    save(store, steps[:3])
    save(store, [steps[k] for k in again])
    assert bits(store.load("run").rows) == bits(join_rows([r for _, r in steps[1 : again[-1] + 1]]))
    save(store, steps[again[-1] + 1 :])
    assert bits(store.load("run").rows) == bits(whole[1])


def test_a_chunk_that_overlaps_the_saved_ones_replaces_them(tmp_path, store, whole):
    save(store, path_of(CONFIG, [3, 4]))
    five = advance(CONFIG, initial_state(CONFIG), 5)[0]
    store.checkpoint("run", CONFIG, "running", *advance(CONFIG, five, 7))
    assert bits(store.load("run").rows) == bits(whole[1])
    assert ask(tmp_path, "SELECT first_epoch, last_epoch FROM chunks") == [(1, 3), (4, 12)]


def test_all_rows_at_once_after_failures(store, whole):
    save(store, path_of(CONFIG, [3]))
    store.checkpoint("run", CONFIG, "done", *whole)
    assert bits(store.load("run").rows) == bits(whole[1])


def test_an_earlier_state_cuts_the_history(store):
    steps = path_of(CONFIG, [1, 4])
    save(store, [*steps, (steps[1][0], None)])
    assert bits(store.load("run").rows) == bits(steps[1][1])
    save(store, [steps[0]])
    assert len(store.load("run").rows["epoch"]) == 0
    assert store.runs()[0].test_bce is None


def test_missing_epochs_are_refused_and_nothing_changes(store):
    steps = path_of(CONFIG, [3, 4, 5])
    save(store, steps[:2])
    for state, rows in ((steps[3][0], steps[3][1]), (steps[2][0], None)):
        with pytest.raises(StoreError, match=r"at epoch .*, but its saved history would end at 3"):
            store.checkpoint("run", CONFIG, "done", state, rows)
        assert bits(store.load("run").state) == bits(steps[1][0])
        assert store.load("run").status == "running"
    store.delete("run")
    with pytest.raises(StoreError, match="would end at 0: it was deleted"):
        save(store, steps[2:])
    assert store.load("run") is None


def test_a_run_keeps_its_config(store):
    save(store, path_of(CONFIG, []))
    with pytest.raises(ValueError, match="run: it is saved with another config"):
        store.checkpoint("run", CONFIG.model_copy(update={"seed": 6}), "running", None, None)
    with pytest.raises(ValueError, match="rows without the state"):
        store.checkpoint("run", CONFIG, "running", None, path_of(CONFIG, [1])[1][1])


def test_a_status_alone_leaves_state_and_rows(store):
    store.checkpoint("run", CONFIG, "queued", None, None)
    assert (store.load("run").state, store.runs()[0].epoch) == (None, 0)
    with pytest.raises(ValueError, match="has not started"):
        store.load("run").result()
    steps = path_of(CONFIG, [4])
    save(store, steps)
    store.checkpoint("run", CONFIG, "failed", None, None, "The run failed: no luck")
    run = store.load("run")
    assert (run.status, run.message) == ("failed", "The run failed: no luck")
    assert bits(run.state) == bits(steps[-1][0])
    assert bits(run.rows) == bits(steps[-1][1])


def test_list_of_runs(store):
    before = datetime.now(UTC)
    steps = path_of(CONFIG, [5, 7])
    save(store, steps, "first")
    store.checkpoint("second", CONFIG.model_copy(update={"seed": 1}), "queued", None, None, seconds=2.5)
    store.checkpoint("first", CONFIG, "done", *steps[-1], seconds=1.25)
    second, first = store.runs()
    assert (first.id, second.id) == ("first", "second")
    assert (first.words, first.status, first.epoch) == (CONFIG.in_words(), "done", 12)
    assert RunConfig(**first.config) == CONFIG
    last = tidy(steps[-1][1]).query("epoch == 12")
    assert first.test_bce == pytest.approx(last.test_bce.mean(), abs=1e-15)
    assert first.test_accuracy == pytest.approx(last.test_accuracy.mean(), abs=1e-15)
    assert (second.test_bce, second.epoch) == (None, 0)
    assert (first.seconds, second.seconds) == (1.25, 2.5)
    assert first.versions["qhn_core"] == qhn.__version__
    assert before <= first.created <= first.updated <= datetime.now(UTC)
    assert (store.load("first").created, store.load("first").updated) == (first.created, first.updated)


def test_seconds_count_from_the_first_checkpoint_unless_given(store):
    steps = path_of(CONFIG, [1, 1])
    save(store, steps[:1])
    earlier = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    with store.database.writing() as db:
        db.execute("UPDATE runs SET created = ?", (earlier,))
    save(store, steps[1:])
    assert store.runs()[0].seconds == pytest.approx(86400, abs=SECONDS)


def test_scores_are_of_the_seeds_that_are_left(store):
    state, rows = advance(CONFIG, initial_state(CONFIG), 4)
    kept = (rows["seed"] != 1) | (rows["epoch"] < 3)
    rows = {name: values[kept] for name, values in rows.items()}
    store.checkpoint("run", CONFIG, "running", replace(state, diverged_at=np.array([0, 3, 0])), rows)
    expected = rows["test_bce"][(rows["epoch"] == 4) & (rows["seed"] != 1)].mean()
    assert store.runs()[0].test_bce == pytest.approx(expected, abs=1e-15)


def test_a_run_whose_seeds_all_diverged(store):
    config = CONFIG.model_copy(update={"learning_rate": 1e308})
    steps = path_of(config, [1, 1, 1])
    assert steps[-1][0].diverged_at.all()
    save(store, steps, config=config, status="diverged")
    assert bits(store.load("run").state) == bits(steps[-1][0])


def test_finished_runs_are_found_by_their_config(tmp_path, store):
    steps = path_of(CONFIG, [12])
    save(store, steps)
    assert store.find_finished(CONFIG) is None
    for run_id in ("older", "newer"):
        save(store, steps, run_id, status="done")
    assert store.find_finished(RunConfig(**CONFIG.model_dump())) == "newer"
    assert store.find_finished(CONFIG.model_copy(update={"seed": 6})) is None
    other = json.dumps({"qhn_core": "0.0.0"})
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("UPDATE runs SET versions = ? WHERE id = 'newer'", (other,))
    assert store.find_finished(CONFIG) == "older"
    store.delete("older")
    assert store.find_finished(CONFIG) is None


def test_imported_runs_are_kept_apart(store, whole):
    when = datetime(2024, 2, 29, 12, tzinfo=UTC)
    run = StoredRun(
        CONFIG, "done", *whole, name="theirs", created=when, updated=when, seconds=3.5, imported=True
    )
    run_id = store.add(replace(run, versions={"qhn_core": qhn.__version__}))
    saved = store.load(run_id)
    assert (saved.name, saved.created, saved.seconds, saved.imported) == ("theirs", when, 3.5, True)
    assert bits(saved.rows) == bits(whole[1])
    assert store.find_finished(CONFIG) is None  # anybody may have made up its numbers
    assert store.add(run) != run_id
    store.checkpoint(run_id, CONFIG, "done", *whole)
    assert store.find_finished(CONFIG) is None


def test_rename_and_delete(tmp_path, store):
    for run_id in ("run", "other"):
        save(store, path_of(CONFIG, [2, 2]), run_id)
    store.rename("run", "λ = 10, Gauß")
    save(store, path_of(CONFIG, [4]))
    assert store.load("run").name == "λ = 10, Gauß"
    for bad in ("x" * 121, "two\nlines", "\u202e"):
        with pytest.raises(ValueError, match="120 printable characters"):
            store.rename("run", bad)
    with pytest.raises(ValueError, match="no such run"):
        store.rename("nobody", "x")
    assert store.delete("run")
    assert not store.delete("run")
    assert store.load("run") is None
    for table in ("states", "chunks"):
        assert {run_id for (run_id,) in ask(tmp_path, f"SELECT run_id FROM {table}")} == {"other"}


def test_runs_of_a_dead_server_become_interrupted(tmp_path):
    statuses = ["queued", "running", "paused", "done", "failed", "cancelled", "diverged", "interrupted"]
    with RunStore(tmp_path) as store:
        for status in statuses:
            save(store, path_of(CONFIG, [2]), run_id=f"was {status}", status=status)
    with RunStore(tmp_path) as store:
        assert store.mark_interrupted() == ["was queued", "was running", "was paused"]
        assert [r.status for r in store.runs()][::-1] == ["interrupted"] * 3 + statuses[3:]
        assert store.load("was running").state.epoch == 2
        assert store.mark_interrupted() == []


DAMAGE = {
    "config that is no JSON": "config = '{'",
    "config that is no object": "config = '[]'",
    "config that is no text": "config = 1",
    "versions": "versions = 'x'",
    "time": "created = 'yesterday'",
    "time that is no text": "updated = x'00ff'",
    "seconds": "seconds = 'long'",
    "bytes that are no text": "config = CAST(x'7b22ff22' AS TEXT)",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_is_named_and_hides_no_other_run(tmp_path, store, damage):
    steps, said = path_of(CONFIG, [12]), []
    for run_id in ("before", "damaged", "after"):
        save(store, steps, run_id, status="done")
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute(f"UPDATE runs SET {damage} WHERE id = 'damaged'")
    assert [run.id for run in store.runs(said.append)] == ["after", "before"]
    [message] = said
    assert "Run damaged is left out" in message
    assert str(tmp_path / "runs.sqlite3") in message
    assert store.find_finished(CONFIG) == "after"
    with pytest.raises(StoreError, match=r"run damaged.*cannot be read"):
        store.load("damaged")
    for run_id in ("after", "damaged"):
        assert store.delete(run_id)
    assert store.find_finished(CONFIG) == "before"
    assert [run.id for run in store.runs(pytest.fail)] == ["before"]


def test_a_name_with_a_damaged_byte_is_still_a_name(tmp_path, store):
    save(store, path_of(CONFIG, [2]))
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("UPDATE runs SET name = CAST(x'61ff62' AS TEXT)")
    assert store.runs(pytest.fail)[0].name == store.load("run").name == "a\ufffdb"


def test_a_run_whose_versions_are_damaged_is_not_found_by_its_config(tmp_path, store):
    save(store, path_of(CONFIG, [12]), status="done")
    with closing(sqlite3.connect(tmp_path / "runs.sqlite3")) as db, db:
        db.execute("UPDATE runs SET versions = '[]'")
    assert store.find_finished(CONFIG) is None
