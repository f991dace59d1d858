"""A scan as an npz file without pickle, which is checked when it is read."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qhn_core.config import LandscapeConfig, RunConfig
from qhn_core.landscape.planes import Plane
from qhn_core.landscape.scan import FORMAT, LandscapeScan
from qhn_core.storage.safe_zip import read_members, read_npy

MAX_FILE_BYTES = 50_000_000
"""Of an unpacked scan; one of 101x101 points at 22 qubits has 2 MB."""
MEMBERS = (
    *("format", "config", "landscape_config", "angles", "seed_row", "center", "directions"),
    *("labels", "point_names", "points", "axis", "done", *LandscapeScan.FIELDS),
)


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
        **{name: getattr(scan, name) for name in LandscapeScan.FIELDS},
    )


def load_scan(path: Path | BinaryIO) -> LandscapeScan:
    """Read a file of `save_scan`, bit for bit.

    Raises ValueError where the file is not sound, OSError where it cannot be read, and no other error.
    """
    if isinstance(path, Path):
        return unpack_scan(path.read_bytes(), str(path))
    return unpack_scan(path.read(), "scan")


def pack_scan(scan: LandscapeScan) -> bytes:
    """Return what `save_scan` writes, as bytes."""
    buffer = io.BytesIO()
    save_scan(buffer, scan)
    return buffer.getvalue()


def unpack_scan(data: bytes, where: str) -> LandscapeScan:
    """Read the bytes of `pack_scan`; raises ValueError, naming `where`, unless they are sound."""
    sizes = {f"{name}.npy": MAX_FILE_BYTES for name in MEMBERS}
    members = read_members(data, sizes, MAX_FILE_BYTES, where)
    try:
        arrays = {name: read_npy(members[f"{name}.npy"], name) for name in MEMBERS}
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
        **{name: arrays[name] for name in ("axis", "done", "angles", *LandscapeScan.FIELDS)},
    )


def _check_arrays(
    arrays: dict[str, NDArray[Any]], config: RunConfig, landscape_config: LandscapeConfig
) -> None:
    """Raise ValueError unless all shapes and dtypes fit the configs, and numbers are finite where done."""
    n, angles, named = landscape_config.resolution, config.angle_shape, len(arrays["point_names"])
    floats = {
        **dict.fromkeys(("angles", "center"), angles),
        "directions": (2, *angles),
        "points": (named, 2),
        "axis": (n,),
        **dict.fromkeys(LandscapeScan.FIELDS, (n, n)),
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
            raise ValueError(f"{name} is {array.shape} {array.dtype}; it must be {shape} {np.dtype(kind)}")
        numbers = array[arrays["done"]] if name in LandscapeScan.FIELDS else array
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} holds NaN or infinity")
    for name, shape in (("labels", (2,)), ("point_names", (named,))):
        if arrays[name].shape != shape or arrays[name].dtype.kind != "U":
            raise ValueError(
                f"{name} is {arrays[name].shape} {arrays[name].dtype}; it must be text {shape}"
            )
