"""Whole runs of Table I, each `qhn train` in a process of its own, against a naive epoch."""

import json
import subprocess
import sys
import time

import numpy as np

import qhn_core as qhn
from qhn_core.bits import index_to_bits
from qhn_core.gradients import shifted_angles
from qhn_core.problem import build_problem
from tests.benchmarks.bench_simulator import plain_loop
from tests.benchmarks.measure import row


def command_line(*options: str) -> dict:
    """The report of `qhn train --json`."""
    command = [sys.executable, "-m", "qhn_core.cli", "train", "--json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def naive_epoch_seconds(config: qhn.RunConfig) -> float:
    """One epoch of one seed as a newcomer writes it: plain circuits, numpy's choice, eq. (21) in numpy."""
    rng = np.random.default_rng(0)
    problem = build_problem(config)
    angles = rng.uniform(0, 2 * np.pi, (1, *config.angle_shape))
    circuits = shifted_angles(angles).reshape(-1, *config.angle_shape)
    prior = rng.integers(0, 2, (config.shots, config.n_qubits), dtype=np.uint8)
    started = time.perf_counter()
    for q in plain_loop(circuits):
        drawn = rng.choice(q.size, config.shots, p=q / q.sum())
        problem.train_log_likelihood[drawn].mean()
        qhn.mmd_squared_unbiased(index_to_bits(drawn, config.n_qubits), prior, config.h)
    return time.perf_counter() - started


def rows() -> list[str]:
    """One seed and a hundred, by each gradient rule, with their peak memory."""
    out = []
    naive = naive_epoch_seconds(qhn.RunConfig())
    for rule in ("chain-rule", "algorithm-1"):
        for n_seeds, goal in ((1, 2), (100, 60)):
            reports = [
                command_line("--gradient", rule, "--n-seeds", str(n_seeds))
                for _ in range(3 if n_seeds == 1 else 1)
            ]
            seconds = float(np.median([r["wall_seconds"] for r in reports]))
            ratio = naive * 200 * n_seeds / seconds
            out.append(
                row(
                    f"SELBO λ=1, {rule}, {n_seeds} seeds",
                    f"{seconds:.2f} s",
                    f"<= {goal} s",
                    f"{ratio:,.0f} x naive",
                )
            )
            out.append(
                row(
                    "  its peak memory", f"{max(r['peak_memory_mb'] for r in reports):.0f} MB", "<= 1500 MB"
                )
            )
    return out
