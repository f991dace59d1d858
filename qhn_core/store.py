"""Finished runs as files."""

from pathlib import Path

import numpy as np

from qhn_core.training import RunResult


def save_run(folder: Path, result: RunResult) -> None:
    """Write config.json, history.parquet and angles.npz (best, last) into `folder`, made if missing.

    Raises FileExistsError where the folder already holds a run, so that none is overwritten.
    """
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} already holds a run; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    result.history.to_parquet(folder / "history.parquet", index=False)
    np.savez(folder / "angles.npz", best=result.best_angles, last=result.state.angles)
    (folder / "config.json").write_text(result.config.model_dump_json(indent=2) + "\n")
