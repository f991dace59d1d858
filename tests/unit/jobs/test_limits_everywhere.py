"""Limits hold for every config, whichever way it reaches the server."""

import io
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qhn_core.jobs.job import Status
from qhn_core.jobs.limits import Limits
from qhn_core.storage.run_record import StoredRun
from qhn_core.storage.run_zip import MAX_ZIP_BYTES, export_zip, import_zip, unpacked_bytes
from qhn_core.storage.runs import RunStore
from qhn_core.training.history import join_rows
from qhn_core.training.loop import advance, initial_state
from tests.manual_executor import ManualExecutor
from tests.small_runs import small

LIMITS = Limits(max_seeds=3, max_epochs=10, max_points_per_class=20, max_layers=2, max_shots=25)
MOST = {
    "n_seeds": 3,
    "epochs": 10,
    "n_train_per_class": 20,
    "n_test_per_class": 20,
    "n_layers": 2,
    "shots": 25,
}
SHOWN_ANYWAY = {"n_seeds", "epochs"}


def sizes(name):
    """Sizes at both sides of a limit; those that take no memory here may be without measure."""
    far = st.just(10**15) if name in ("epochs", "n_train_per_class", "n_test_per_class") else st.nothing()
    return st.integers(2, MOST[name] + 2) | far


CONFIGS = st.fixed_dictionaries({name: sizes(name) for name in MOST}).map(lambda sizes: small(**sizes))


def too_large(config, but=()):
    return [name for name, most in MOST.items() if getattr(config, name) > most and name not in but]


def submitted(service, store, config):
    service.submit(config)


def stored(service, store, config):
    """A row that this server wrote when it had other limits, killed before its first epoch."""
    store.checkpoint("old", config, Status.INTERRUPTED, None, None)
    service.resume("old")


def stepped(service, store, config):
    store.checkpoint("old", config, Status.PAUSED, None, None)
    service.resume("old", n_epochs=1, session="a")


def imported(service, store, config):
    run = StoredRun(
        config, Status.INTERRUPTED, initial_state(small(**sizes_of_state(config))), join_rows([])
    )
    run = import_zip(export_zip(run))
    service.check_opening(run.config)
    service.resume(store.add(run))


def sizes_of_state(config):
    """What the arrays of a state depend on; the data, which may be huge, is not among it."""
    return {name: getattr(config, name) for name in ("n_seeds", "n_layers", "shots")}


@pytest.mark.parametrize("arrive", [submitted, stored, stepped, imported])
@given(config=CONFIGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_too_large_is_never_trained(arrive, serve, tmp_path_factory, config):
    hand = ManualExecutor()
    store = RunStore(tmp_path_factory.mktemp("store"))
    service = serve(hand, store, limits=LIMITS)
    if too_large(config):
        with pytest.raises((ValueError, KeyError)):
            arrive(service, store, config)
        assert not hand.work()
    else:
        arrive(service, store, config)
        assert hand.next_task().config == config


@given(config=CONFIGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_trained_elsewhere_can_be_opened_within_memory(serve, tmp_path_factory, config):
    store = RunStore(tmp_path_factory.mktemp("store"))
    store.checkpoint("old", config, Status.INTERRUPTED, None, None)
    job = serve(ManualExecutor(), store, limits=LIMITS).get("old")
    assert (job is None) == bool(too_large(config, SHOWN_ANYWAY))


def test_a_huge_data_set_from_a_zip_is_refused_in_words(serve, hand):
    config = small(n_train_per_class=500_000)
    with pytest.raises(ValueError, match=r"n_train_per_class=500000: this server allows at most 10000"):
        serve(hand).check_opening(config)


def test_tables_beyond_all_memory_are_refused_without_computing_their_size(serve, hand):
    with pytest.raises(ValueError, match="GB of memory"):
        serve(hand).check_opening(small(n_hidden=10**30, shots=None))


def test_a_run_that_is_done_is_shown_whatever_its_length(serve, hand, tmp_path):
    store = RunStore(tmp_path)
    config = small(epochs=11, n_train_per_class=5, n_test_per_class=5)
    store.checkpoint("old", config, Status.DONE, initial_state(config), None)
    assert serve(hand, store, limits=LIMITS).resume("old").status == Status.DONE


@pytest.mark.parametrize(
    "options",
    [
        {"n_seeds": 1, "epochs": 1},
        {"n_seeds": 20, "epochs": 300},
        {"n_seeds": 3, "epochs": 1, "dataset": "digits", "n_hidden": 1, "shots": 400},
    ],
)
def test_a_zip_unpacks_to_no_more_than_the_limits_reckon_with(options):
    config = small(**options)
    state, rows = advance(config, initial_state(config), config.epochs)
    data = export_zip(StoredRun(config, Status.DONE, state, rows))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    assert size <= unpacked_bytes(config)
    assert len(data) <= unpacked_bytes(config)


def test_no_run_is_trained_that_could_not_be_brought_back():
    """100,000 shots of 992 qubits for 100 seeds were 1,285 MB of samples."""
    assert Limits().max_run_mb * 10**6 <= MAX_ZIP_BYTES
    Limits().check(small(n_seeds=100, epochs=5000, shots=1000))
    large = small(dataset="digits", n_hidden=15, n_seeds=100, shots=100_000)
    with pytest.raises(ValueError, match=r"the results would take .* MB; this server allows 300 MB a run"):
        Limits().check(large)
    Limits(max_run_mb=3000, max_memory_gb=1000, max_hours=10**6).check(large)
