"""The time that jobs are scheduled by."""

import threading
import time


class Clock:
    """The time of this machine; a test may set another clock that moves when the test says so."""

    def now(self) -> float:
        """Return the time in seconds, from any zero."""
        return time.monotonic()

    def wait(self, changed: threading.Condition, seconds: float) -> None:
        """Wait until `changed`, which the caller holds, is notified, or until so much time has passed."""
        changed.wait(seconds)
