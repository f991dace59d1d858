"""Fixtures of the tests of the store."""

import pytest

from qhn_core.store import RunStore
from qhn_core.training import advance, initial_state

from .stored import CONFIG


@pytest.fixture(scope="module")
def whole():
    """The uninterrupted run."""
    return advance(CONFIG, initial_state(CONFIG), CONFIG.epochs)


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path) as store:
        yield store
