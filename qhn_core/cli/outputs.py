"""What a command writes: checks of files before the work begins, and a progress bar meanwhile."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm


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


@contextmanager
def epoch_bar() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of epochs on standard error, moved by calls of (epochs done, epochs in all)."""
    with tqdm(unit="epoch", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
