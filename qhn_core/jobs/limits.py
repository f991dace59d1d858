"""What one server takes on."""

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from qhn_core.config import RunConfig
from qhn_core.jobs.cost import estimated_cost
from qhn_core.model.capacity import (
    BYTES_PER_NETWORK,
    MOST_TABLE_BITS,
    has_tables,
    largest_network,
    tables_gb,
    way_out,
)
from qhn_core.storage.run_zip import MAX_UNPACKED_BYTES, unpacked_bytes


class ServerFullError(RuntimeError):
    """This server takes on no more runs now; the message says why."""


class Limits(BaseModel):
    """What one server takes on. Each can be set by an environment variable: QHN_MAX_JOBS and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_jobs: NonNegativeInt = 64
    """Runs that are being trained or wait for it, of all visitors together."""
    max_jobs_per_session: NonNegativeInt = 4
    """Of these, of one visitor: a tab of a browser."""
    max_jobs_per_address: NonNegativeInt = 48
    """Of these, of one address, where it is known: less than all, but enough for a class behind one."""
    max_seeds: NonNegativeInt = 100
    max_epochs: NonNegativeInt = 5000
    max_qubits: NonNegativeInt = 22
    """Of runs that need all 2**n networks."""
    max_memory_gb: NonNegativeInt = 8
    """Of one run, in 10**9 bytes."""
    max_hours: NonNegativeInt = 48
    """Of one run, as estimated for all workers of the server and nobody else."""
    max_qubits_sampled: NonNegativeInt = 1000
    """Of runs that are trained from samples alone, without 2**n."""
    max_points_per_class: NonNegativeInt = 10_000
    """Training points, and test points, of each class."""
    max_layers: NonNegativeInt = 64
    max_shots: NonNegativeInt = 100_000
    max_run_mb: NonNegativeInt = MAX_UNPACKED_BYTES // 10**6
    """Of the results of one run, in 10**6 bytes: what is trained here can also be imported."""
    grace_seconds: NonNegativeInt = 60
    """How long a run goes on when nobody watches it."""

    @classmethod
    def from_environment(cls) -> "Limits":
        """Return the defaults, changed by QHN_MAX_JOBS and so on; raises ValueError for a bad value."""
        try:
            return cls(**_Environment().model_dump())
        except ValidationError as error:
            first = error.errors()[0]
            variable = f"QHN_{first['loc'][0]}".upper()
            raise ValueError(
                f"{variable}={first['input']!r}: it must be a whole number, 0 or more"
            ) from error

    def check(self, config: RunConfig, workers: int = 1) -> None:
        """Raise ValueError where a run on so many workers is larger than this server trains."""
        self._check_at_most(config, n_seeds=self.max_seeds, epochs=self.max_epochs)
        self._check_sizes(config)
        if (mb := unpacked_bytes(config) / 10**6) > self.max_run_mb:
            raise ValueError(
                f"n_seeds={config.n_seeds}, epochs={config.epochs}, shots={config.shots}: the results "
                f"would take {mb:.0f} MB; this server allows {self.max_run_mb} MB a run. Ask for fewer"
            )
        tables = has_tables(config)
        most = self.max_qubits if tables else self.max_qubits_sampled
        if config.n_qubits > most:
            change = way_out(config) if tables and config.n_qubits > MOST_TABLE_BITS else ""
            raise ValueError(
                f"n_hidden={config.n_hidden} makes {config.n_qubits} qubits: this server allows at most "
                f"{most} {'with' if tables else 'without'} 2**n numbers, "
                f"{largest_network(config, most)}{change}"
            )
        self._check_tables(config)
        self._check_cost(config, workers)

    def check_opening(self, config: RunConfig) -> None:
        """Raise ValueError where a run from a store or a zip is too large to be shown.

        To look at a run takes its data and its tables; how long it was trained, and for how many seeds,
        costs no more than the file that it came in.
        """
        self._check_sizes(config)
        self._check_tables(config)

    def _check_sizes(self, config: RunConfig) -> None:
        points = self.max_points_per_class
        self._check_at_most(config, n_train_per_class=points, n_test_per_class=points)
        self._check_at_most(config, n_layers=self.max_layers, shots=self.max_shots)

    def _check_at_most(self, config: RunConfig, **limits: int) -> None:
        for name, most in limits.items():
            if (value := getattr(config, name) or 0) > most:
                raise ValueError(f"{name}={value}: this server allows at most {most}")

    def _check_tables(self, config: RunConfig) -> None:
        bits = min(config.n_qubits, 10_000)  # 2**n of more would itself fill the memory
        if has_tables(config) and BYTES_PER_NETWORK * 2**bits > self.max_memory_gb * 10**9:
            raise ValueError(
                f"n_hidden={config.n_hidden} needs {tables_gb(config.n_qubits)} GB of memory: this server "
                f"allows {self.max_memory_gb} GB a run"
            )

    def _check_cost(self, config: RunConfig, workers: int) -> None:
        cost = estimated_cost(config, workers)
        if cost.bytes > self.max_memory_gb * 10**9:
            raise ValueError(
                f"shots={config.shots} of n_hidden={config.n_hidden}, n_layers={config.n_layers} need "
                f"about {cost.bytes / 1e9:,.1f} GB of memory: this server "
                f"allows {self.max_memory_gb} GB a run"
            )
        if cost.seconds > 3600 * self.max_hours:
            raise ValueError(
                f"epochs={config.epochs} with n_seeds={config.n_seeds} and shots={config.shots} take about "
                f"{cost.seconds / 3600:,.0f} hours: this server allows {self.max_hours} hours a run"
            )


def duration_in_words(seconds: float) -> str:
    """Say a time in words.

    >>> duration_in_words(42.3), duration_in_words(930.0)
    ('about 42 s', 'about 16 min')
    """
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min"


class _Environment(Limits, BaseSettings):
    """Limits that start from what the environment says."""

    model_config = SettingsConfigDict(env_prefix="QHN_", env_ignore_empty=True)
