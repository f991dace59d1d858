"""Readers of zip files and of files of arrays (npz) that trust nothing, and never unpickle.

They check sizes, names, shapes and kinds before they unpack anything. Their ValueError names the member,
what was found there and what is allowed.
"""

import io
import math
import stat
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_DIRECTORY_BYTES = 65_536
"""Of the list of members at the end of a zip: zipfile reads all of it before anybody can look."""
Layout = dict[str, tuple[Any, tuple[int, ...]]]
"""dtype and shape of each array of an npz file; the shape (-1,) is any length."""


def pack_arrays(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Pack an npz file for `np.load`; raises ValueError for an array of Python objects."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # not compressed, as by np.savez; with checksums
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(data: bytes, layout: Layout, where: str) -> dict[str, NDArray[Any]]:
    """Unpack an npz file that has exactly this layout; raises ValueError for any other."""
    names = {f"{name}.npy": len(data) for name in layout}
    members = read_members(data, names, len(data), where, methods=(zipfile.ZIP_STORED,))
    return {
        name: read_npy(members[f"{name}.npy"], f"{where}: {name}", wanted)
        for name, wanted in layout.items()
    }


def read_npy(content: bytes, where: str, layout: tuple[Any, tuple[int, ...]] | None = None) -> NDArray[Any]:
    """Return the array of an npy file; a layout is the dtype and shape that it must have, in C order.

    Raises ValueError where it has others, where the header and the data do not agree, and for Python
    objects. np.load does not do here: it allocates what the header says before it looks for the data.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"npy version {version}; allowed: (1, 0)")
        shape, fortran, found = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # the header is a Python literal: its parser fails in many ways
        raise ValueError(f"{where}: not an array: {str(error)[:200]}") from error
    size = len(content) - stream.tell()
    if layout is not None:
        dtype, allowed = np.dtype(layout[0]), layout[1]
        allowed = (size // dtype.itemsize,) if allowed == (-1,) else allowed
        if (shape, fortran, found) != (allowed, False, dtype):
            order = ", Fortran order" if fortran else ""
            raise ValueError(
                f"{where}: found shape {shape}, {found}{order}; allowed: {allowed}, {dtype} in C order"
            )
    if size != found.itemsize * math.prod(shape):
        raise ValueError(
            f"{where}: found {size} bytes of data; shape {shape} of {found} needs another number"
        )
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def read_members(
    data: bytes,
    allowed: dict[str, int],
    budget: int,
    where: str,
    methods: tuple[int, ...] = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
    *,
    only: tuple[str, ...] | None = None,
    repacked: bool = False,
) -> dict[str, bytes]:
    """Unpack a zip file that holds exactly the `allowed` members (name: most bytes).

    only: the members to unpack; default: all. repacked: whether one folder around all members is allowed,
    and what macOS adds where it packs a folder.
    budget: most bytes of all members together, unpacked. No file can make this use more memory than that.
    Raises ValueError, and no other error, where the file is anything else.
    """
    try:
        _check_directory(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = _named(archive.infolist(), repacked)
            names = [name for name, _ in entries]
            if sorted(names) != sorted(allowed):
                full = [entry.orig_filename for _, entry in entries]
                found = ", ".join(name[:60] for name in full[: len(allowed) + 1])
                raise ValueError(
                    f"{where}: found members {found!r}; allowed: {', '.join(allowed)}, once each"
                )
            for name, entry in entries:
                _check_entry(entry, allowed[name], methods, where)
            if (total := sum(entry.file_size for _, entry in entries)) > budget:
                raise ValueError(f"{where}: unpacks to {total} bytes; allowed: {budget}")
            wanted = allowed if only is None else only
            return {name: _read_entry(archive, entry, where) for name, entry in entries if name in wanted}
    except ValueError:
        raise
    except Exception as error:  # zipfile has no closed list of what a bad file makes it raise
        raise ValueError(f"{where}: not a sound zip file: {str(error)[:200]}") from error


def _check_directory(data: bytes) -> None:
    """Raise an error where the list of members is longer than six can make it (APPNOTE.TXT, 4.3.16)."""
    end = data.rfind(b"PK\5\6", max(0, len(data) - 65_557))
    size = int.from_bytes(data[end + 12 : end + 16], "little")
    large = data[max(0, end - 20) : end].startswith(b"PK\6\7")  # its 64-bit form says the size elsewhere
    if end >= 0 and (large or size > MAX_DIRECTORY_BYTES):
        raise zipfile.BadZipFile(f"its list of members is longer than {MAX_DIRECTORY_BYTES} bytes")


def _named(entries: list[zipfile.ZipInfo], repacked: bool) -> list[tuple[str, zipfile.ZipInfo]]:
    """Pair members with their names; of a repacked zip, leave out what macOS adds and the folder around."""
    named = [(entry.orig_filename, entry) for entry in entries]  # filename stops at a NUL
    if not repacked:
        return named
    named = [(name, entry) for name, entry in named if not _is_added(entry)]
    folders = {name.rpartition("/")[0] for name, _ in named}
    if len(folders) > 1:
        return named
    return [(name.rpartition("/")[2], entry) for name, entry in named]


def _is_added(entry: zipfile.ZipInfo) -> bool:
    """Whether a program that packs folders made this member: a folder, or a note of macOS's Finder."""
    name = entry.orig_filename
    folder = name.endswith("/") and not entry.file_size
    return folder or name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"


def _check_entry(entry: zipfile.ZipInfo, most: int, methods: tuple[int, ...], where: str) -> None:
    """Raise ValueError where the directory of the zip says something of a member that is not allowed."""
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
