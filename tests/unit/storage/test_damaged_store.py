"""A store file with any bytes changed or cut off: it is read, or its problem is said in words."""

import random

import pytest

from qhn_core.storage.database import StoreError
from qhn_core.storage.runs import RunStore
from tests.small_runs import small
from tests.unit.stored import path_of, save

CONFIG = small(epochs=4)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a store of three runs."""
    folder = tmp_path_factory.mktemp("sound")
    with RunStore(folder) as store:
        for run_id in "abc":
            save(store, path_of(CONFIG, [2, 2]), run_id, CONFIG, "done")
    return (folder / "runs.sqlite3").read_bytes()


def damaged(data, seed):
    """Flip a few bits, overwrite a stretch, or cut the file off."""
    chance, out = random.Random(seed), bytearray(data)
    kind = seed % 3
    if kind == 0:
        for _ in range(chance.randint(1, 8)):
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        at = chance.randrange(len(out))
        out[at : at + 64] = chance.randbytes(len(out[at : at + 64]))
    else:
        del out[chance.randrange(len(out)) :]
    return bytes(out)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_store_is_refused_in_words_or_still_read(sound, tmp_path, seed):
    (tmp_path / "runs.sqlite3").write_bytes(damaged(sound, seed))
    problems = []
    try:
        with RunStore(tmp_path) as store:
            for info in store.runs(problems.append):
                assert store.find_finished(CONFIG) in (None, "a", "b", "c", info.id)
            for run_id in "abc":
                try:
                    run = store.load(run_id)
                except StoreError as error:
                    problems.append(str(error))
                else:
                    assert run is None or run.config.n_seeds >= 1
    except StoreError as error:
        problems.append(str(error))
    assert all(len(problem) > 20 for problem in problems)
