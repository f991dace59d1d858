"""Exact landscapes, against orqviz's 2D scan of a plain cirq + qsim loss at the same points.

A scan by orqviz (pip install orqviz) gives one objective at one λ; a scan here gives all of them. If
orqviz is missing, a plain loop over the same loss replaces it.
"""

import time
from collections.abc import Callable

import cirq
import numpy as np
import qsimcirq

import qhn_core as qhn
from qhn_core.circuits.ansatz import parameter_resolver
from qhn_core.landscape.scanner import scan_in_stages
from qhn_core.model.scores import score_table
from qhn_core.paper.cost import peak_memory_mb
from tests.benchmarks.measure import median_seconds, row

RESOLUTION, PEER_RESOLUTION = 51, 11
GOALS = {1: 0.4, 2: None, 3: 1.2}
LARGE = 5
"""Hidden neurons; they need 22 qubits."""


def plain_loss(config: qhn.RunConfig) -> Callable[[np.ndarray], float]:
    """The ELBO as a newcomer writes it: resolve, simulate, square, sum."""
    circuit = qhn.brickwork_circuit(config.n_qubits, config.n_layers)
    qubits = cirq.LineQubit.range(config.n_qubits)
    simulator = qsimcirq.QSimSimulator()
    scores = score_table(config).train_log_likelihood

    def loss(flat: np.ndarray) -> float:
        resolver = parameter_resolver(flat.reshape(config.angle_shape))
        state = simulator.simulate(circuit, resolver, qubit_order=qubits).final_state_vector
        q = np.abs(state.astype(np.complex128)) ** 2
        q /= q.sum()
        kl = config.n_qubits * np.log(2) + (q * np.log(np.where(q > 0, q, 1.0))).sum()
        return float(q @ scores - config.regularization * kl)

    return loss


def peer_scan(config: qhn.RunConfig, scan: qhn.LandscapeScan) -> np.ndarray:
    """Scan the same plane, coarser, with orqviz, or with a plain loop where orqviz is missing."""
    loss, (first, second) = plain_loss(config), scan.plane.directions.reshape(2, -1)
    ends = (float(scan.axis[0]), float(scan.axis[-1]))
    center = scan.plane.center.ravel()
    try:
        from orqviz.scans import perform_2D_scan
    except ImportError:
        axis = np.linspace(*ends, PEER_RESOLUTION)
        return np.array([[loss(center + x * first + y * second) for x in axis] for y in axis])
    found = perform_2D_scan(
        center,
        loss,
        direction_x=first,
        direction_y=second,
        n_steps_x=PEER_RESOLUTION,
        end_points_x=ends,
        end_points_y=ends,
    )
    return found.values


def peer_name() -> str:
    """Name the peer."""
    try:
        import orqviz  # noqa: F401
    except ImportError:
        return "a plain loop (orqviz is not installed: pip install orqviz)"
    return "orqviz"


def rows() -> list[str]:
    """Time a scan, say how many times longer the peer takes for one objective, and time a large scan."""
    out = []
    landscape_config = qhn.LandscapeConfig(resolution=RESOLUTION)
    for n_layers, goal in GOALS.items():
        config = qhn.RunConfig(n_layers=n_layers, objective="elbo")
        center = np.random.default_rng(0).uniform(0, 2 * np.pi, config.angle_shape)
        seconds = median_seconds(lambda c=config, t=center: qhn.scan_landscape(c, landscape_config, t))
        scan = qhn.scan_landscape(config, landscape_config, center)
        ours = scan.values("elbo")[
            :: RESOLUTION // (PEER_RESOLUTION - 1), :: RESOLUTION // (PEER_RESOLUTION - 1)
        ]
        theirs = peer_scan(config, scan)
        np.testing.assert_allclose(theirs, ours, rtol=1e-5)
        peer = median_seconds(lambda c=config, s=scan: peer_scan(c, s), repeats=3)
        peer *= (RESOLUTION / PEER_RESOLUTION) ** 2
        out.append(
            row(
                f"51x51 landscape, 14 qubits, L={n_layers}",
                f"{seconds:.2f} s",
                f"<= {goal} s" if goal else "",
                f"{peer:.1f} s",
            )
        )
        out.append(row(f"  {peer_name()}, one objective, from 11x11", f"{peer / seconds:.0f} x", ">= 30 x"))
    return out + large_rows()


def large_rows() -> list[str]:
    """Measure 21x21 points at 22 qubits and three layers: time, longest wait for a cancel, memory."""
    config = qhn.RunConfig(n_hidden=LARGE, n_layers=3)
    score_table(config)  # the scores of all networks, which training has made already
    before = peak_memory_mb()
    landscape_config = qhn.LandscapeConfig(resolution=21)
    scans = scan_in_stages(config, landscape_config, np.zeros(config.angle_shape))
    waits, scan = [], None
    while sum(waits) < 20 and not (scan and scan.complete):
        started = time.perf_counter()
        scan = next(scans)
        waits.append(time.perf_counter() - started)
    started = time.perf_counter()
    scans.close()
    cancel = max(waits) + time.perf_counter() - started
    rate = scan.done.sum() / sum(waits)
    memory = peak_memory_mb() - before
    name = f"21x21 landscape, {config.n_qubits} qubits, L=3"
    return [
        row(
            name,
            f"{scan.done.size / rate:.0f} s",
            "",
            f"from {scan.done.sum()} points in {sum(waits):.0f} s",
        ),
        row("  longest time to the next step or a cancel", f"{cancel:.2f} s", "<= 1 s"),
        row("  memory on top of the problem's", f"{memory:.0f} MB", "<= 2000 MB"),
    ]
