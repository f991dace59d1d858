"""Check files and folders to write before the work begins, not after an hour of it."""

import os
from pathlib import Path


def check_file(option: str, file: Path | None) -> None:
    """Raise ValueError unless a file can be written; None stands for no file."""
    if file is None:
        return
    if file.is_dir() or not file.parent.is_dir():
        raise ValueError(f"{option}={str(file)!r}: must be a file in a folder that exists")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ValueError(f"{option}={str(file)!r}: can't be written, permission denied")


def check_folder(option: str, folder: Path | None) -> None:
    """Make a folder if it is missing; raise ValueError unless files can be written into it."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{option}={str(folder)!r}: the folder can't be made ({error.strerror})"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{option}={str(folder)!r}: can't be written into, permission denied")
