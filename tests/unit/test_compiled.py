import numpy as np
import oracles
import pytest

from qhn_core import RunConfig
from qhn_core.simulators.compiled import Compiled
from qhn_core.terms import PointEvaluator, product_terms


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
    evaluate = PointEvaluator(config)
    together = evaluate(angles)
    for rows in (slice(0, 1), slice(3, 64), slice(7, 12)):
        alone = evaluate(angles[rows])
        for name in ("expected_log_likelihood", "expected_test_log_likelihood", "entropy", "correlators"):
            assert getattr(alone, name).tobytes() == getattr(together, name)[rows].tobytes()


@pytest.mark.parametrize("n_qubits", [1, 2, 5, 6])
def test_entropy_and_spectrum_of_one_layer_in_closed_form(n_qubits):
    """Against the definitions: a sum over outcomes, and one parity of bits after the other."""
    angles = oracles.random_angles(3, 2, 2, n_qubits)
    angles[1, 0, 0] = 0.0  # a bit that is certain
    entropies, spectra = product_terms(angles)
    signs = 1 - 2.0 * oracles.all_bits(n_qubits)
    for theta, entropy, spectrum in zip(angles, entropies, spectra, strict=True):
        q = oracles.probabilities(theta[None])
        assert entropy == pytest.approx(n_qubits * np.log(2) - oracles.kl(q), abs=1e-12)
        expected = np.zeros(n_qubits + 1)
        for subset in oracles.all_bits(n_qubits).astype(bool):
            expected[subset.sum()] += (q @ signs[:, subset].prod(axis=1)) ** 2
        np.testing.assert_allclose(spectrum, expected, atol=1e-12)
