import numpy as np
import pytest

from qhn_core import RunConfig
from qhn_core.circuits.simulators.numba_states import Compiled
from qhn_core.landscape.point_terms import point_evaluator
from tests.unit import oracles


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n_qubits", [2, 3, 6, 7, 10])
def test_probabilities_are_those_of_cirq(n_layers, n_qubits):
    angles = oracles.random_angles(n_layers, 3, n_layers, 2, n_qubits) * 3 - 7
    expected = [oracles.probabilities(theta) for theta in angles]
    np.testing.assert_allclose(Compiled().probabilities(angles), expected, atol=1e-14)


def test_14_qubits():
    angles = oracles.random_angles(0, 1, 3, 2, 14)
    np.testing.assert_allclose(
        Compiled().probabilities(angles)[0], oracles.probabilities(angles[0]), atol=1e-14
    )


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_row_does_not_depend_on_the_others(n_layers):
    config = RunConfig(n_hidden=1, n_layers=n_layers)
    angles = oracles.random_angles(0, 64, *config.angle_shape)
    evaluate = point_evaluator(config)
    together = evaluate(angles)
    for rows in (slice(0, 1), slice(3, 64), slice(7, 12)):
        alone = evaluate(angles[rows])
        for name in ("expected_log_likelihood", "expected_test_log_likelihood", "entropy", "correlators"):
            assert getattr(alone, name).tobytes() == getattr(together, name)[rows].tobytes()
