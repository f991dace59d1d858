"""The paper's run, sampled evaluations and exact gradients, each beside a naive peer in the same run."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import qhn_core as qhn
from qhn_core.bits import index_to_bits
from qhn_core.model.scores import score_table
from qhn_core.objectives.gradients import shifted_angles, value_and_gradient
from qhn_core.objectives.terms import log_likelihoods
from qhn_core.training.loop import advance, initial_state
from tests.benchmarks.bench_simulator import plain_loop
from tests.benchmarks.measure import median_seconds, row

THREADS = 2
RULES = ("algorithm-1", "chain-rule")


def command_line(*options: str) -> dict:
    """The report of `qhn train --json`."""
    command = [sys.executable, "-m", "qhn_core.cli.main", "train", "--json", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def naive_epoch_seconds(config: qhn.RunConfig) -> float:
    """One epoch of one seed as a newcomer writes it: plain circuits, numpy's choice, eq. (21) in numpy."""
    rng = np.random.default_rng(0)
    table = score_table(config)
    angles = rng.uniform(0, 2 * np.pi, (1, *config.angle_shape))
    circuits = shifted_angles(angles).reshape(-1, *config.angle_shape)
    prior = rng.integers(0, 2, (config.shots, config.n_qubits), dtype=np.uint8)
    started = time.perf_counter()
    for q in plain_loop(circuits):
        drawn = rng.choice(q.size, config.shots, p=q / q.sum())
        table.train_log_likelihood[drawn].mean()
        qhn.mmd_squared_unbiased(index_to_bits(drawn, config.n_qubits), prior, config.h)
    return time.perf_counter() - started


def paper_rows() -> list[str]:
    """Section IV's run of one method: 100 seeds, 200 epochs, 14 qubits, one layer, with its peak memory."""
    out = []
    naive = naive_epoch_seconds(qhn.RunConfig())
    for rule in RULES:
        report = command_line("--gradient", rule, "--n-seeds", "100")
        seconds = report["wall_seconds"]
        ratio = f"{naive * 200 * 100 / seconds:,.0f} x naive"
        out.append(row(f"the paper's run, SELBO λ=1, {rule}", f"{seconds:.2f} s", "<= 6 s", ratio))
        out.append(row("  its peak memory", f"{report['peak_memory_mb']:.0f} MB", "<= 600 MB"))
    return out


def sampled_rows() -> list[str]:
    """Wall time per shifted, sampled SELBO evaluation, seeds on two threads, over the first 40 epochs.

    Early epochs cost most, since all their samples are distinct.
    """
    out = []
    for n_layers, goal in ((1, "<= 5.3 µs"), (2, "<= 49 µs"), (3, "<= 96 µs")):
        naive = naive_epoch_seconds(qhn.RunConfig(n_layers=n_layers)) / (56 * n_layers)
        for rule in RULES:
            config = qhn.RunConfig(n_layers=n_layers, gradient=rule, n_seeds=16, epochs=40)
            states = [initial_state(config, seeds) for seeds in np.array_split(np.arange(16), THREADS)]
            seconds = _in_threads(lambda state, c=config: advance(c, state, 40), states)
            each = seconds / (16 * 40 * 56 * n_layers)
            name = f"sampled evaluation, L={n_layers}, {rule}"
            out.append(row(name, f"{1e6 * each:.1f} µs", goal, f"{naive / each:,.0f} x naive"))
    return out


def naive_value_and_gradient(config: qhn.RunConfig, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """ELBO and its gradient as a newcomer writes them: every shifted circuit, and the chain rule over q."""
    scores = log_likelihoods(config, score_table(config))
    q = plain_loop(theta[None])[0].astype(float)
    slope = scores - config.regularization * (np.log(q) + 1)
    value = q @ scores - config.regularization * (q @ np.log(q) + config.n_qubits * np.log(2))
    circuits = shifted_angles(theta[None]).reshape(-1, *config.angle_shape)
    shifted = plain_loop(circuits).astype(float) @ slope
    return value, ((shifted[::2] - shifted[1::2]) / 2).reshape(theta.shape)


def exact_rows() -> list[str]:
    """Exact ELBO value and gradient, wall time per seed, on two threads; first the answers agree."""
    out = []
    for n_layers, goal in ((1, "<= 82 µs"), (2, "<= 273 µs"), (3, "<= 387 µs")):
        config = qhn.RunConfig(objective="elbo", n_layers=n_layers, shots=None)
        angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (64, *config.angle_shape))
        value, gradient = value_and_gradient(config, angles[:1])
        started = time.perf_counter()
        naive_value, naive_gradient = naive_value_and_gradient(config, angles[0])
        naive = time.perf_counter() - started
        np.testing.assert_allclose(value[0], naive_value, rtol=1e-5)
        np.testing.assert_allclose(gradient[0], naive_gradient, atol=1e-4 * np.abs(gradient).max())
        halves = np.array_split(angles, THREADS)
        seconds = _in_threads(lambda some, c=config: value_and_gradient(c, some), halves) / len(angles)
        out.append(
            row(
                f"exact ELBO value and gradient, L={n_layers}",
                f"{1e6 * seconds:.0f} µs",
                goal,
                f"{naive / seconds:,.0f} x naive",
            )
        )
    return out


def _in_threads(work, parts: list) -> float:
    """Median wall time of work(part) for all parts at once, a thread each."""
    with ThreadPoolExecutor(len(parts)) as pool:
        return median_seconds(lambda: list(pool.map(work, parts)), repeats=3)


def large_rows() -> list[str]:
    """Networks without tables: seconds per epoch of one seed."""
    out = []
    for name, options in (
        ("2-8-1, 34 bits", {"n_hidden": 8}),
        ("digits 64-2-1, 134 bits", {"dataset": "digits", "n_hidden": 2}),
    ):
        config = qhn.RunConfig(**options, epochs=4)
        start, _ = advance(config, initial_state(config), 1)
        started = time.perf_counter()
        advance(config, start, 3)
        out.append(
            row(f"one epoch of one seed, {name}", f"{(time.perf_counter() - started) / 3:.2f} s", "")
        )
    return out


def rows() -> list[str]:
    """Run all of these benchmarks."""
    return [*paper_rows(), *sampled_rows(), *exact_rows(), *large_rows()]
