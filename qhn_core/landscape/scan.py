"""A scan of a plane, finished or not: its arrays, its identity, its table and its file."""

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from qhn_core.archives import read_members
from qhn_core.bits import Float
from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.planes import Plane
from qhn_core.landscape.point_terms import PointTerms
from qhn_core.packing import current_versions

GRIDS = ("expected_log_likelihood", "expected_test_log_likelihood", "entropy", "correlators")
FORMAT = 1
"""Of a saved scan; goes up when its members or their meaning change."""
MAX_FILE_BYTES = 50_000_000
"""Unpacked; a 101x101 scan at 22 qubits has 2 MB."""


@dataclass(frozen=True)
class LandscapeScan(PointTerms):
    """What MLE, ELBO and SELBO at any λ and h are made of, at each point of a plane.

    Grids are (n, n), [i, j] at axis[j] along directions[0] and axis[i] along directions[1]; NaN
    where a point is not done yet.
    """

    landscape_config: LandscapeConfig
    plane: Plane
    axis: Float
    """Distances from the plane's center, (n,), radians."""
    done: NDArray[np.bool_]
    """Which points are computed, (n, n)."""
    angles: Float
    """theta* (n_layers, 2, n_qubits), by which the plane was chosen: its center, but for "optima"."""
    seed_row: int
    """The seed of the run that ended in theta*."""

    @property
    def complete(self) -> bool:
        """Whether every point is done."""
        return bool(self.done.all())

    @property
    def key(self) -> str:
        """See `scan_key`."""
        return scan_key(self.config, self.landscape_config, self.angles, self.seed_row)

    def filled(self) -> Self:
        """The scan with the nearest computed values at the points that are not done, to look at."""
        if self.complete or not self.done.any():
            return self
        i, j = distance_transform_edt(~self.done, return_distances=False, return_indices=True)
        grids = {name: getattr(self, name)[i, j] for name in GRIDS}
        return type(self)(**{**vars(self), **grids})


def scan_key(config: RunConfig, landscape_config: LandscapeConfig, angles: Float, seed_row: int) -> str:
    """The identity of a scan: a hash of all that determines it, 32 hexadecimal digits."""
    what = [
        f"{FORMAT} {current_versions()['qhn_core']}",
        config.model_dump_json(),
        landscape_config.model_dump_json(),
        np.ascontiguousarray(angles, dtype="<f8").tobytes().hex(),
        str(int(seed_row)),
    ]
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:32]


def scan_table(
    scan: LandscapeScan, regularization: float | None = None, bandwidth: float | None = None
) -> pd.DataFrame:
    """The scan in long form, a row per computed point.

    Columns: x, y (radians from the plane's center), expected_log_likelihood and
    expected_test_log_likelihood (nats, as config.likelihood says), entropy (nats), W_1 to W_N, and
    mle, elbo, selbo (nats) at λ and h, which default to the config's.
    """
    y, x = np.meshgrid(scan.axis, scan.axis, indexing="ij")
    columns = {"x": x, "y": y, **{name: getattr(scan, name) for name in GRIDS[:3]}}
    columns |= {f"W_{w}": scan.correlators[..., w] for w in range(1, scan.correlators.shape[-1])}
    columns |= {name: scan.values(name, regularization, bandwidth) for name in ("mle", "elbo", "selbo")}
    return pd.DataFrame({name: grid[scan.done] for name, grid in columns.items()})


def save_scan(path: Path | BinaryIO, scan: LandscapeScan) -> None:
    """Write the scan's arrays and both configs (as JSON text) into an npz file, without pickle."""
    np.savez_compressed(
        path,
        format=np.array(FORMAT),
        config=np.array(scan.config.model_dump_json()),
        landscape_config=np.array(scan.landscape_config.model_dump_json()),
        angles=scan.angles,
        seed_row=np.array(scan.seed_row),
        center=scan.plane.center,
        directions=scan.plane.directions,
        labels=np.array(scan.plane.labels),
        point_names=np.array([name for name, _, _ in scan.plane.points], dtype=np.str_),
        points=np.array([place for _, *place in scan.plane.points], dtype=np.float64).reshape(-1, 2),
        axis=scan.axis,
        done=scan.done,
        **{name: getattr(scan, name) for name in GRIDS},
    )


def load_scan(path: Path | BinaryIO) -> LandscapeScan:
    """The scan of a file of `save_scan`, bit for bit.

    Raises ValueError, and no other error but OSError, where the file is not a sound one.
    """
    if isinstance(path, Path):
        return unpack_scan(path.read_bytes(), str(path))
    return unpack_scan(path.read(), "scan")


def pack_scan(scan: LandscapeScan) -> bytes:
    """The file of `save_scan` as bytes."""
    buffer = io.BytesIO()
    save_scan(buffer, scan)
    return buffer.getvalue()


MEMBERS = (
    *("format", "config", "landscape_config", "angles", "seed_row", "center", "directions"),
    *("labels", "point_names", "points", "axis", "done", *GRIDS),
)


def unpack_scan(data: bytes, where: str) -> LandscapeScan:
    """The scan of the bytes of `pack_scan`; raises ValueError where they are not sound."""
    sizes = {f"{name}.npy": MAX_FILE_BYTES for name in MEMBERS}
    members = read_members(data, sizes, MAX_FILE_BYTES, where)
    try:
        arrays = {name: _array(members[f"{name}.npy"]) for name in MEMBERS}
        if arrays["format"].item() != FORMAT:
            raise ValueError(f"format {arrays['format']}; this version of qhn reads {FORMAT}")
        config = RunConfig.model_validate_json(str(arrays["config"]))
        landscape_config = LandscapeConfig.model_validate_json(str(arrays["landscape_config"]))
        _check_arrays(arrays, config, landscape_config)
    except Exception as error:  # the header of an array is a Python literal: its parser fails in many ways
        raise ValueError(f"{where}: not a sound scan: {str(error)[:300]}") from error
    names = zip(arrays["point_names"].tolist(), arrays["points"].tolist(), strict=True)
    first, second = arrays["labels"].tolist()
    plane = Plane(
        arrays["center"], arrays["directions"], (first, second), tuple((n, x, y) for n, (x, y) in names)
    )
    return LandscapeScan(
        config=config,
        landscape_config=landscape_config,
        plane=plane,
        seed_row=int(arrays["seed_row"]),
        **{name: arrays[name] for name in ("axis", "done", "angles", *GRIDS)},
    )


def _array(content: bytes) -> NDArray[Any]:
    """An npy file, of no more numbers than it holds bytes."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an npy file of an unknown version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if len(content) - stream.tell() != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{len(content)} bytes do not make an array {shape} of {dtype}")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _check_arrays(
    arrays: dict[str, NDArray[Any]], config: RunConfig, landscape_config: LandscapeConfig
) -> None:
    """Raise ValueError unless all shapes and dtypes are those of the configs, and numbers where done."""
    n, angles, named = landscape_config.resolution, config.angle_shape, len(arrays["point_names"])
    floats = {
        **dict.fromkeys(("angles", "center"), angles),
        "directions": (2, *angles),
        "points": (named, 2),
        "axis": (n,),
        **dict.fromkeys(GRIDS, (n, n)),
        "correlators": (n, n, config.n_qubits + 1),
    }
    kinds = {
        "done": ((n, n), "b1"),  # first: it says where the others must be numbers
        "seed_row": ((), "i8"),
        **{name: (shape, "f8") for name, shape in floats.items()},
    }
    for name, (shape, kind) in kinds.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.dtype(kind):
            raise ValueError(f"{name} is {array.shape} {array.dtype}; needed is {shape} {np.dtype(kind)}")
        numbers = array[arrays["done"]] if name in GRIDS else array
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} holds NaN or infinity")
    for name, shape in (("labels", (2,)), ("point_names", (named,))):
        if arrays[name].shape != shape or arrays[name].dtype.kind != "U":
            raise ValueError(f"{name} is {arrays[name].shape} {arrays[name].dtype}; needed is text {shape}")
