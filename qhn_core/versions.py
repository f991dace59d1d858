"""The version of this package, and of everything else that determines the numbers of a run."""

import platform
from functools import lru_cache
from importlib.metadata import version

import numpy as np

__version__ = "0.3.0"


@lru_cache(maxsize=1)
def current_versions() -> dict[str, str]:
    """Look up the versions, by name, of everything that determines the numbers of a run."""
    return {
        "qhn_core": __version__,
        "cirq": version("cirq-core"),
        "qsimcirq": version("qsimcirq"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
