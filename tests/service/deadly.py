"""Tasks that end their worker process. They import little, since every crash costs a fresh process."""

import os
import signal
import time
from pathlib import Path

from tests import SECONDS


def be_there_until_killed(mark):
    """Make the file `mark`, and then hold the worker."""
    Path(mark).touch()
    time.sleep(SECONDS)


def kill_own_worker(mark):
    """Die by SIGKILL, once the file `mark` is there."""
    give_up = time.monotonic() + SECONDS
    while not Path(mark).exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
