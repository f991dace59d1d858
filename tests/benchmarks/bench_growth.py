"""How time grows with qubits and layers, and its exponents beside the ideal ones: `qhn bench --growth`."""

from collections.abc import Iterator

from qhn_core.bench import growth, growth_report
from tests.benchmarks.measure import row


def rows() -> Iterator[str]:
    """A line for each point as it is measured, then one for each exponent."""
    points = []
    for point in growth.measure():
        points.append(point)
        what = f"{point.work}, {point.n_qubits} qubits, L={point.n_layers}"
        yield row(what, f"{1e3 * point.seconds:,.3f} ms", "", point.simulator)
    yield from growth_report.slopes(points)
