"""What one server takes on."""

import os
from dataclasses import dataclass, fields

from qhn_core.config import RunConfig
from qhn_core.model.capacity import (
    BYTES_PER_NETWORK,
    MOST_TABLE_BITS,
    has_tables,
    largest_network,
    tables_gb,
    way_out,
)


class ServerFullError(RuntimeError):
    """This server takes on no more now; the message says why."""


@dataclass(frozen=True)
class Limits:
    """What one server takes on. Each can be set as an environment variable, QHN_ and the name."""

    max_jobs: int = 64
    """Runs under way or waiting, of everybody."""
    max_jobs_per_session: int = 4
    max_seeds: int = 100
    max_epochs: int = 5000
    max_qubits: int = 22
    """Of runs that need all 2**n networks."""
    max_memory_gb: int = 8
    max_qubits_sampled: int = 1000
    """Of runs that are trained from samples alone, without 2**n."""
    grace_seconds: int = 60
    """A run that nobody watches goes on for so long."""

    @classmethod
    def from_environment(cls) -> "Limits":
        """The defaults, with what QHN_MAX_JOBS and so on say; raises ValueError for a bad number."""
        found = {}
        for f in fields(cls):
            variable = f"QHN_{f.name.upper()}"
            if text := os.environ.get(variable):
                if not text.isdigit():
                    raise ValueError(f"{variable}={text!r}: needed is a whole number")
                found[f.name] = int(text)
        return cls(**found)

    def check(self, config: RunConfig) -> None:
        """Raise ValueError where a run is larger than this server takes on."""
        sizes = {"n_seeds": (config.n_seeds, self.max_seeds), "epochs": (config.epochs, self.max_epochs)}
        for name, (value, most) in sizes.items():
            if value > most:
                raise ValueError(f"{name}={value}: this server allows at most {most}")
        tables = has_tables(config)
        most = self.max_qubits if tables else self.max_qubits_sampled
        if config.n_qubits > most:
            change = way_out(config) if tables and config.n_qubits > MOST_TABLE_BITS else ""
            raise ValueError(
                f"n_hidden={config.n_hidden} makes {config.n_qubits} qubits: this server allows at most "
                f"{most} {'with' if tables else 'without'} 2**n numbers, "
                f"{largest_network(config, most)}{change}"
            )
        if tables and BYTES_PER_NETWORK * 2**config.n_qubits > self.max_memory_gb * 10**9:
            raise ValueError(
                f"n_hidden={config.n_hidden} needs {tables_gb(config.n_qubits)} GB of memory: this server "
                f"allows {self.max_memory_gb} GB a run"
            )


def duration_in_words(seconds: float) -> str:
    """A time for people.

    >>> duration_in_words(42.3), duration_in_words(930.0)
    ('about 42 s', 'about 16 min')
    """
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min"
