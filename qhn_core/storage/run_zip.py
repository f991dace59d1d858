"""The zip by which a run travels to another machine.

`import_zip` trusts nothing in a file: it checks sizes, names, shapes, numbers and whether they agree with
the config. Its ValueError names the member of the zip, what was found there and what is allowed.
"""

import io
import math
import stat
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from qhn_core.config import RunConfig, explain
from qhn_core.storage.run_record import (
    ROW,
    StoredRun,
    check_name,
    pack_angles,
    pack_state,
    state_layout,
    unpack_state,
)
from qhn_core.storage.safe_zip import read_members, unpack_arrays
from qhn_core.storage.validation import check_history, check_state, require
from qhn_core.training.history import HISTORY_COLUMNS, Rows
from qhn_core.training.loop import RunResult
from qhn_core.training.state import TrainingState

MAX_ZIP_BYTES = 300_000_000
"""Also in .streamlit/config.toml. A run of 100 seeds and 5,000 epochs, the default limits, has 70 MB."""
MAX_UNPACKED_BYTES = 300_000_000
"""Of any run; one of few seeds and epochs may have no more than its own config asks for."""
MAX_JSON_BYTES = 65_536
BYTES_PER_ROW = 350
"""Of the history of one seed and epoch, as text and as Parquet together, where 262 were measured."""
MAX_LINE = 400
"""Characters of a line of history.csv; 13 numbers have at most 24 each."""
SPARE_BYTES = 100_000
"""What the headers of an array file or of a Parquet file may take."""
MEMBERS = ("about.json", "config.json", "history.csv", "history.parquet", "angles.npz", "state.npz")
Model = TypeVar("Model", bound=BaseModel)
Time = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))
]
Name = Annotated[str, AfterValidator(check_name)]


class Header(BaseModel):
    """about.json: what the other members of the zip do not say.

    Times are in UTC, and seconds are wall time. The format goes up when HISTORY_COLUMNS, the fields of
    TrainingState or the members of the zip change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    name: Name
    created: Time
    updated: Time
    seconds: Annotated[float, Field(ge=0)]
    versions: Annotated[dict[Name, Name], Field(max_length=20)]


def export_zip(run: StoredRun) -> bytes:
    """Pack a run for people, for other programs and for `import_zip`; the same run gives the same bytes.

    Raises ValueError for a run without a state, and for what `import_zip` would refuse, except for the size
    of the zip: a long run can always be taken home.
    """
    config, state = run.config, run.state
    if state is None:
        raise ValueError("this run has not started yet; there is nothing to export")
    check_state(config, state)
    history = pd.DataFrame({column: np.asarray(run.rows[column]) for column in HISTORY_COLUMNS})
    check_history(config, state, history)
    header = Header(**{name: getattr(run, name) for name in Header.model_fields if name != "format"})
    contents = {
        "about.json": header.model_dump_json(indent=2).encode(),
        "config.json": config.model_dump_json(indent=2).encode(),
        "history.csv": history.to_csv(index=False, lineterminator="\n", na_rep="nan").encode(),
        "history.parquet": history.to_parquet(index=False),
        "angles.npz": pack_angles(state),
        "state.npz": pack_state(config, state),
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
    """Unpack a zip of `export_zip`, bit for bit; the run's status follows from its state.

    history.parquet is not opened: it says what history.csv says and is there for other programs, and no
    parser in C++ shall see what a stranger wrote. Raises ValueError, and no other error.
    """
    if len(data) > max_bytes:
        raise ValueError(f"zip: {len(data)} bytes; allowed: {max_bytes}")
    sizes = {m: MAX_JSON_BYTES if m.endswith(".json") else max_unpacked_bytes for m in MEMBERS}
    only = ("config.json",)
    first = read_members(data, sizes, max_unpacked_bytes, "zip", only=only, repacked=True)
    config = _parse(RunConfig, first, "config.json")
    sizes = {member: min(size, _most_bytes(config, member)) for member, size in sizes.items()}
    members = read_members(data, sizes, max_unpacked_bytes, "zip", repacked=True)
    header = _parse(Header, members, "about.json")
    most_rows = max_unpacked_bytes // ROW.itemsize
    state = unpack_state(config, members["state.npz"])
    check_state(config, state)
    layout = {"best": ("<f8", state.angles.shape), "last": ("<f8", state.angles.shape)}
    angles = unpack_arrays(members["angles.npz"], layout, "angles.npz")
    for key, same in (("best", state.best_angles), ("last", state.angles)):
        if angles[key].tobytes() != same.tobytes():
            raise ValueError(f"angles.npz: {key} differs from state.npz; they must be the same")
    rows = _read_csv(members["history.csv"], min(config.n_seeds * config.epochs, most_rows))
    check_history(config, state, rows)
    given = header.model_dump(exclude={"format"})
    return StoredRun(config, _status(config, state), state, rows, imported=True, **given)


def unpacked_bytes(config: RunConfig) -> int:
    """Return how many bytes the zip of a finished run of this config unpacks to, rather too many.

    >>> unpacked_bytes(RunConfig(n_seeds=100, epochs=5000)) // 10**6
    175
    """
    arrays = 2 * _most_bytes(config, "state.npz")  # angles.npz is never the larger
    return arrays + BYTES_PER_ROW * config.n_seeds * config.epochs + 2 * MAX_JSON_BYTES


def _most_bytes(config: RunConfig, member: str) -> int:
    """How large a member of this run can be: what is larger was not made by `export_zip`."""
    if member.endswith(".json"):
        return MAX_JSON_BYTES
    if member.startswith("history"):
        return MAX_LINE * (1 + config.n_seeds * config.epochs) + SPARE_BYTES
    layout = state_layout(config).values()
    return sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout) + SPARE_BYTES


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
    """Parse history.csv: seed and epoch are whole numbers, the others are as repr wrote them."""
    header, _, body = content.partition(b"\n")
    if header != ",".join(HISTORY_COLUMNS).encode():
        raise ValueError(
            f"history.csv: found columns {header[:300]!r}; allowed: {','.join(HISTORY_COLUMNS)}"
        )
    # Short lines take more memory as numbers than as text.
    if (lines := body.count(b"\n") + body.count(b"\r")) > max_rows:
        raise ValueError(f"history.csv: {lines} rows; allowed: {max_rows}")
    table = np.empty((0, len(HISTORY_COLUMNS)))
    try:
        if body:
            table = np.loadtxt(_lines(body), delimiter=",", comments=None, ndmin=2)
    except Exception as error:  # also the warnings of loadtxt, where they are errors
        raise ValueError(f"history.csv: {str(error)[:300]}") from error
    rows: Rows = dict(zip(HISTORY_COLUMNS, table.T.copy(), strict=True))
    for column in ("seed", "epoch"):
        whole = (rows[column] >= 0) & (rows[column] < 2**53) & (rows[column] == np.floor(rows[column]))
        require(whole, rows[column], f"history.csv: {column}", "whole numbers")
        rows[column] = rows[column].astype(np.int64)
    return rows


def _lines(body: bytes) -> Iterator[str]:
    """Yield the lines of history.csv; raises ValueError where one is too long or has too many numbers."""
    text = io.TextIOWrapper(io.BytesIO(body), "ascii")
    while line := text.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise ValueError(f"found a line of more than {MAX_LINE} characters")
        if (found := line.count(",") + 1) != len(HISTORY_COLUMNS):
            raise ValueError(f"found {found} columns; allowed: {len(HISTORY_COLUMNS)}")
        yield line


def save_run(folder: Path, result: RunResult) -> None:
    """Write config.json, history.parquet and angles.npz (best, last) into `folder`, made if missing.

    Raises FileExistsError where the folder already holds a run, so that none is overwritten.
    """
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a run; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    result.history.to_parquet(folder / "history.parquet", index=False)
    (folder / "angles.npz").write_bytes(pack_angles(result.state))
    (folder / "config.json").write_text(result.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
