"""The few loops that dominate a run, compiled with numba.

Every kernel is deterministic, works on one block of arrays and releases the GIL, so callers may run
several in threads. Each has a numpy, scipy or Cirq oracle in the tests. Bit 0 is the most
significant bit of an index (Cirq's order).

- `philox`: random numbers by counter, and uniform bitstrings.
- `transforms`: linear maps of arrays of 2**n numbers, and sums over them.
- `hamming`: distinct bitstrings, and Hamming distances between them.
- `sampling`: bitstrings from a product or a chain of bits, or from a table of probabilities.
- `groups`: circuits of one or two layers, which are products of single qubits or of pairs. For these,
  `contraction` has the means of tables, `correlators` MMD² and its parts, `group_samples` all samples.
- `states`: state vectors, layer by layer; `adjoint`: exact gradients by one backward pass.
- `light_cones`: samples of all shifted circuits from one state.
- `networks`: likelihood and accuracy of networks without a table.

Numba keeps compiled code on disk. It compiles a function again when the function's own file changes, but
not when the file of a function that it calls, or of a constant that it reads, does. So this package
deletes all compiled code whenever any of these files changes; nothing is compiled outside this folder.
Without a folder that can be written, compiled code goes to a temporary one.
"""

import atexit
import os
import shutil
import sys
import tempfile
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import numba
from numba.core.dispatcher import Dispatcher


def _find_a_folder_for_compiled_code() -> None:
    """Give numba a temporary folder if it can write neither beside this file nor into the user's cache.

    Processes that this one starts use the same folder, by the environment; it goes when this one ends.
    """
    try:
        numba.njit(cache=True)(lambda: None)
    except RuntimeError:  # numba found no place to write
        text = "compiled code can't be kept here; the first run waits for the compiler"
        try:
            folder = tempfile.mkdtemp(prefix="qhn-compiled-")
        except OSError:
            Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]
        else:
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = folder
            text += ". To keep it, set NUMBA_CACHE_DIR to a folder that can be written"
        sys.stderr.write(f"qhn: {text}.\n")


_find_a_folder_for_compiled_code()  # before the kernels are imported


def forget_stale_code(folder: Path, digest: str) -> None:
    """Delete the compiled code in a folder, unless it was made from the sources with this digest."""
    stamp = folder / "kernels.sha256"
    try:
        if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
            return
        for compiled in [*folder.glob("*.nbi"), *folder.glob("*.nbc")]:
            compiled.unlink(missing_ok=True)
        stamp.write_text(digest, encoding="utf-8")
    except OSError:  # a folder that can't be written to holds no compiled code either
        return


def _forget_ours() -> None:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    modules = [
        import_module(f"{__name__}.{source.stem}") for source in sources if source.stem != "__init__"
    ]
    kernels = [k for module in modules for k in vars(module).values() if isinstance(k, Dispatcher)]
    for folder in {kernel.stats.cache_path for kernel in kernels if kernel.stats.cache_path}:
        forget_stale_code(Path(folder), digest)


_forget_ours()
