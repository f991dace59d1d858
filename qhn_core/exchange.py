"""A run as bytes: its arrays as npz, and the zip by which it travels to another machine.

Nothing is ever pickled. `import_zip` trusts nothing in a file: sizes, names, shapes, numbers and
their agreement with the config are all checked, and what is wrong is a ValueError that names the
member of the zip, what was found there and what is allowed.
"""

import io
import math
import platform
import stat
import zipfile
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from qhn_core.config import RunConfig, explain
from qhn_core.problem import has_tables
from qhn_core.training import HISTORY_COLUMNS, Rows, RunResult, TrainingState, samples_shape, tidy

MAX_ZIP_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 50_000_000
MAX_NAME = 120
MAX_JSON_BYTES = 65_536
MEMBERS = ("about.json", "config.json", "history.csv", "history.parquet", "angles.npz", "state.npz")
ROW = np.dtype([(c, "<i8" if c in ("seed", "epoch") else "<f8") for c in HISTORY_COLUMNS])
Layout = dict[str, tuple[Any, tuple[int, ...]]]
"""dtype and shape of each array of an npz file; the shape (-1,) is any length."""
Model = TypeVar("Model", bound=BaseModel)
Time = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]


@dataclass(frozen=True)
class StoredRun:
    """A run as it was saved: as far as it had come, with all that is needed to go on."""

    config: RunConfig
    status: str
    state: TrainingState | None
    rows: Rows
    """The history, in the order in which it was saved."""
    name: str = ""
    message: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    """How long it has run, in seconds of wall time."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of what computed it last: qhn_core, cirq, qsimcirq, numpy, python."""
    imported: bool = False
    """Whether it came in a zip, so that nobody here can vouch for its numbers."""

    def result(self) -> RunResult:
        """The run as `train` returns it; raises ValueError where it has not started."""
        if self.state is None:
            raise ValueError("this run has not started yet")
        return RunResult(self.config, tidy(self.rows), self.state)


def check_name(name: str) -> str:
    """The name of a run, unchanged; raises ValueError where it is too long or not printable."""
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"name={name[:40]!r}: allowed are up to {MAX_NAME} printable characters")
    return name


Name = Annotated[str, AfterValidator(check_name)]


@lru_cache(maxsize=1)
def current_versions() -> dict[str, str]:
    """Of what decides the numbers of a run."""
    import qhn_core  # not at the top: the package imports its modules

    return {
        "qhn_core": qhn_core.__version__,
        "cirq": version("cirq-core"),
        "qsimcirq": version("qsimcirq"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class About(BaseModel):
    """about.json: what the rest of the zip does not say. Times are UTC, seconds of wall time.

    format goes up when HISTORY_COLUMNS, the fields of TrainingState or the members of the zip change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    name: Name
    created: Time
    updated: Time
    seconds: Annotated[float, Field(ge=0)]
    versions: Annotated[dict[Name, Name], Field(max_length=20)]


def pack_arrays(arrays: dict[str, NDArray[Any]]) -> bytes:
    """An npz file that `np.load` reads; raises ValueError for an array of Python objects."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # not compressed, as by np.savez; with checksums
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(data: bytes, layout: Layout, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file that has exactly this layout; raises ValueError for any other."""
    names = {f"{name}.npy": len(data) for name in layout}
    members = read_members(data, names, len(data), where, methods=(zipfile.ZIP_STORED,))
    return {
        name: _read_npy(members[f"{name}.npy"], np.dtype(dtype), shape, f"{where}: {name}")
        for name, (dtype, shape) in layout.items()
    }


def _read_npy(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """The array, of this dtype and shape.

    Not np.load: that allocates what the header says before it looks for the data.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"npy version {version}; allowed: (1, 0)")
        found_shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # the header is a Python literal: its parser fails in many ways
        raise ValueError(f"{where}: not an array: {str(error)[:200]}") from error
    size = len(content) - stream.tell()
    shape = (size // dtype.itemsize,) if shape == (-1,) else shape
    if (found_shape, fortran, found) != (shape, False, dtype):
        order = ", Fortran order" if fortran else ""
        raise ValueError(
            f"{where}: found shape {found_shape}, {found}{order}; allowed: {shape}, {dtype} in C order"
        )
    if size != dtype.itemsize * math.prod(shape):
        raise ValueError(
            f"{where}: found {size} bytes of data; shape {shape} of {dtype} needs another number"
        )
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape).copy()


def read_members(
    data: bytes,
    allowed: dict[str, int],
    budget: int,
    where: str,
    methods: tuple[int, ...] = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
) -> dict[str, bytes]:
    """The members of a zip file that holds exactly the `allowed` ones (name: most bytes).

    budget: most bytes in all, unpacked. Never uses more memory than that, whatever the file says.
    Raises ValueError, and no other error, where anything is not as it should be.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.orig_filename for entry in entries]  # filename stops at a NUL
            if sorted(names) != sorted(allowed):
                found = ", ".join(name[:60] for name in names[: len(allowed) + 1])
                raise ValueError(
                    f"{where}: found members {found!r}; allowed: {', '.join(allowed)}, once each"
                )
            for entry in entries:
                _check_entry(entry, allowed[entry.orig_filename], methods, where)
            if (total := sum(entry.file_size for entry in entries)) > budget:
                raise ValueError(f"{where}: unpacks to {total} bytes; allowed: {budget}")
            return {entry.orig_filename: _read_entry(archive, entry, where) for entry in entries}
    except ValueError:
        raise
    except Exception as error:  # zipfile has no closed list of what a bad file makes it raise
        raise ValueError(f"{where}: not a sound zip file: {str(error)[:200]}") from error


def _check_entry(entry: zipfile.ZipInfo, most: int, methods: tuple[int, ...], where: str) -> None:
    """What the directory of the zip says of one member; raises ValueError where it is not allowed."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    problem = ""
    if kind not in (0, stat.S_IFREG):
        problem = f"is not a plain file (type {kind:o}); links and folders are not allowed"
    elif entry.flag_bits & 0x41:
        problem = "is encrypted; that is not allowed"
    elif entry.compress_type not in methods:
        problem = f"has compression {entry.compress_type}; allowed: {', '.join(map(str, methods))}"
    elif entry.file_size > most:
        problem = f"unpacks to {entry.file_size} bytes; allowed: {most}"
    if problem:
        raise ValueError(f"{where}: {entry.orig_filename} {problem}")


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    declared = entry.file_size
    # zipfile cuts a member off at its declared size. Let it go a block beyond, and ask for one byte
    # more, so that a header that lies shows, without unpacking all that lies behind it.
    entry.file_size = declared + 65_536
    with archive.open(entry) as member:
        content = member.read(declared + 1)
    if len(content) != declared:
        found = "more" if len(content) > declared else f"{len(content)} bytes"
        raise ValueError(f"{where}: {entry.orig_filename} holds {found}; its header says {declared} bytes")
    return content


def pack_state(state: TrainingState) -> bytes:
    """A state as npz; the same fields as TrainingState."""
    return pack_arrays({f.name: np.asarray(getattr(state, f.name)) for f in fields(state)})


def unpack_state(config: RunConfig, data: bytes, where: str = "state.npz") -> TrainingState:
    """The state, bit for bit; raises ValueError where its arrays are not those of the config."""
    arrays = unpack_arrays(data, state_layout(config), where)
    return TrainingState(epoch=int(arrays.pop("epoch")), **arrays)


def state_layout(config: RunConfig) -> Layout:
    """dtype and shape of each field of a TrainingState of all seeds of a config."""
    seeds = (config.n_seeds,)
    per_seed, angles = ("<i8", seeds), ("<f8", (*seeds, *config.angle_shape))
    return {
        "epoch": ("<i8", ()),
        "seeds": per_seed,
        "angles": angles,
        "best_angles": angles,
        "best_objective": ("<f8", seeds),
        "learning_rate": ("<f8", seeds),
        "stale_epochs": per_seed,
        "samples": ("<i8", (*seeds, *samples_shape(config))),
        "gradient": angles,
        "diverged_at": per_seed,
    }


def pack_rows(rows: Rows) -> bytes:
    """History rows as an npz of one table."""
    table = np.empty(len(rows["epoch"]), ROW)
    for column in HISTORY_COLUMNS:
        table[column] = rows[column]
    return pack_arrays({"rows": table})


def unpack_rows(data: bytes, where: str) -> Rows:
    """History rows, bit for bit; raises ValueError where the columns are others."""
    table = unpack_arrays(data, {"rows": (ROW, (-1,))}, where)["rows"]
    return {column: table[column].copy() for column in HISTORY_COLUMNS}


def pack_angles(state: TrainingState) -> bytes:
    """angles.npz: the best and the last angles of each seed, (S, n_layers, 2, n_qubits), radians."""
    return pack_arrays({"best": state.best_angles, "last": state.angles})


def export_zip(
    config: RunConfig,
    rows: Rows | pd.DataFrame,
    state: TrainingState,
    name: str = "",
    versions: dict[str, str] | None = None,
    created: datetime | None = None,
    updated: datetime | None = None,
    seconds: float = 0.0,
) -> bytes:
    """A run as a zip for people, other programs and `import_zip`; the same run gives the same bytes.

    rows: the history, all of it; its order is kept. versions: the
    versions of what computed the run, default those of this process. Times: default now.
    Raises ValueError for what `import_zip` would refuse, but for the size of the zip: a long run
    can always be taken home.
    """
    check_state(config, state)
    history = pd.DataFrame({column: np.asarray(rows[column]) for column in HISTORY_COLUMNS})
    check_history(config, state, history)
    times = {"created": created or datetime.now(UTC), "updated": updated or datetime.now(UTC)}
    about = About(name=name, versions=versions or current_versions(), seconds=seconds, **times)
    contents = {
        "about.json": about.model_dump_json(indent=2).encode(),
        "config.json": config.model_dump_json(indent=2).encode(),
        "history.csv": history.to_csv(index=False, lineterminator="\n", na_rep="nan").encode(),
        "history.parquet": history.to_parquet(index=False),
        "angles.npz": pack_angles(state),
        "state.npz": pack_state(state),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in contents.items():
            entry = zipfile.ZipInfo(member)  # its default date, 1980, keeps the bytes the same
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def import_zip(
    data: bytes, max_bytes: int = MAX_ZIP_BYTES, max_unpacked_bytes: int = MAX_UNPACKED_BYTES
) -> StoredRun:
    """The run of a zip of `export_zip`, bit for bit; its status follows from its state.

    history.parquet is not opened: it says what history.csv says, and is there for other programs.
    So no parser in C++ sees what a stranger wrote. Raises ValueError, and no other error.
    """
    if len(data) > max_bytes:
        raise ValueError(f"zip: {len(data)} bytes; allowed: {max_bytes}")
    sizes = {m: MAX_JSON_BYTES if m.endswith(".json") else max_unpacked_bytes for m in MEMBERS}
    members = read_members(data, sizes, max_unpacked_bytes, "zip")
    about = _parse(About, members, "about.json")
    config = _parse(RunConfig, members, "config.json")
    state = unpack_state(config, members["state.npz"])
    check_state(config, state)
    layout = {"best": ("<f8", state.angles.shape), "last": ("<f8", state.angles.shape)}
    angles = unpack_arrays(members["angles.npz"], layout, "angles.npz")
    for key, same in (("best", state.best_angles), ("last", state.angles)):
        if angles[key].tobytes() != same.tobytes():
            raise ValueError(f"angles.npz: {key} differs from state.npz; they must be the same")
    rows = _read_csv(members["history.csv"], max_unpacked_bytes // ROW.itemsize)
    check_history(config, state, rows)
    given = about.model_dump(exclude={"format"})
    return StoredRun(config, _status(config, state), state, rows, imported=True, **given)


def _status(config: RunConfig, state: TrainingState) -> str:
    if state.diverged_at.all():
        return "diverged"
    return "done" if state.epoch == config.epochs else "interrupted"


def _parse(model: type[Model], members: dict[str, bytes], member: str) -> Model:
    try:
        return model.model_validate_json(members[member])
    except ValidationError as error:
        raise ValueError(f"{member}: {explain(error)[:500]}") from error


def _read_csv(content: bytes, max_rows: int) -> Rows:
    """history.csv as rows: whole numbers in seed and epoch, the rest as repr wrote it."""
    header, _, body = content.partition(b"\n")
    if header != ",".join(HISTORY_COLUMNS).encode():
        raise ValueError(
            f"history.csv: found columns {header[:300]!r}; allowed: {','.join(HISTORY_COLUMNS)}"
        )
    if (lines := body.count(b"\n") + body.count(b"\r")) > max_rows:  # short ones are larger as numbers
        raise ValueError(f"history.csv: {lines} rows; allowed: {max_rows}")
    table = np.empty((0, len(HISTORY_COLUMNS)))
    try:
        if body:
            text = io.TextIOWrapper(io.BytesIO(body), "ascii")
            table = np.loadtxt(text, delimiter=",", comments=None, ndmin=2)
        if table.shape[1] != len(HISTORY_COLUMNS):
            raise ValueError(f"found {table.shape[1]} columns; allowed: {len(HISTORY_COLUMNS)}")
    except Exception as error:  # also the warnings of loadtxt, where they are errors
        raise ValueError(f"history.csv: {str(error)[:300]}") from error
    rows: Rows = dict(zip(HISTORY_COLUMNS, table.T.copy(), strict=True))
    for column in ("seed", "epoch"):
        whole = (rows[column] >= 0) & (rows[column] < 2**53) & (rows[column] == np.floor(rows[column]))
        _require(whole, rows[column], f"history.csv: {column}", "whole numbers")
        rows[column] = rows[column].astype(np.int64)
    return rows


def _require(ok: Any, values: Any, what: str, allowed: str) -> None:
    """Raise ValueError unless all are ok, showing the first value that is not."""
    bad = np.asarray(values)[~np.asarray(ok)]
    if bad.size:
        found = f"{bad.flat[0]}" + (f" and {bad.size - 1} more" if bad.size > 1 else "")
        raise ValueError(f"{what}: found {found}; allowed: {allowed}")


def check_state(config: RunConfig, state: TrainingState) -> None:
    """Raise ValueError unless the numbers of a state, of the right shapes, can be those of the config."""
    where, epochs, patience = "state.npz", config.epochs, config.patience
    _require(0 <= state.epoch <= epochs, state.epoch, f"{where}: epoch", f"0 to {epochs}")
    for f in fields(state):
        values = np.asarray(getattr(state, f.name))
        _require(np.isfinite(values), values, f"{where}: {f.name}", "finite numbers")
    for values, end, name in (
        (state.samples, 2 ** min(config.n_qubits, 63), "samples"),
        (state.stale_epochs, patience, "stale_epochs"),
        (state.diverged_at, state.epoch + 1, "diverged_at"),
    ):
        _require((values >= 0) & (values < end), values, f"{where}: {name}", f"0 to {end - 1}")
    in_order = state.seeds == np.arange(len(state.seeds))
    _require(in_order, state.seeds, f"{where}: seeds", f"0 to {config.n_seeds - 1} in order")
    rates, first = state.learning_rate, config.learning_rate
    _require((rates >= 0) & (rates <= first), rates, f"{where}: learning_rate", f"0 to {first}")


def check_history(config: RunConfig, state: TrainingState, rows: Rows | pd.DataFrame) -> None:
    """Raise ValueError unless rows are the finite numbers of every seed and epoch up to the state."""
    for column in HISTORY_COLUMNS:
        values = np.asarray(rows[column])
        single = column == "mmd_squared" and config.shots == 1  # eq. (21) needs two
        undefined = single or (column == "exact_objective" and not has_tables(config))
        ok = np.isnan(values) if undefined else np.isfinite(values)
        _require(ok, values, f"history.csv: {column}", "nan" if undefined else "finite numbers")
    # A seed has a row for every epoch, up to the one before it diverged.
    last = np.where(state.diverged_at > 0, state.diverged_at - 1, state.epoch)
    needed = sum(last.tolist())
    if len(rows["epoch"]) != needed:
        raise ValueError(
            f"history.csv: {len(rows['epoch'])} rows; the state needs {needed}, one per seed and epoch"
        )
    seeds, epochs = np.asarray(rows["seed"]), np.asarray(rows["epoch"])
    order = np.lexsort((epochs, seeds))
    found = np.stack([seeds[order], epochs[order]], axis=1)
    epochs_of_seed = np.arange(needed) - np.repeat(np.cumsum(last) - last, last) + 1
    expected = np.stack([np.repeat(state.seeds, last), epochs_of_seed], axis=1)
    wrong = np.flatnonzero((found != expected).any(axis=1))
    if wrong.size:
        (seed, epoch), (s, e) = found[wrong[0]], expected[wrong[0]]
        raise ValueError(
            f"history.csv: found seed {seed} epoch {epoch} in place of seed {s} epoch {e}; allowed: each "
            "seed and epoch up to the state, once"
        )
