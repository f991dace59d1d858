"""The published numbers, against the lines of the paper's own tables."""

import re

import pytest

from qhn_core.paper import METHODS, paper_base, published
from qhn_core.paper.published import EXHAUSTIVE

AS_PRINTED = {
    "test_bce": """
GAUSSIAN 0.067 0.315 ± 0.123 0.139 ± 0.073 0.129 ± 0.071 0.137 ± 0.074 0.141 ± 0.083
MOON 0.357 0.450 ± 0.062 0.378 ± 0.024 0.371 ± 0.022 0.374 ± 0.027 0.387 ± 0.033
RINGS 0.520 0.612 ± 0.070 0.608 ± 0.085 0.599 ± 0.084 0.603 ± 0.086 0.622 ± 0.085
""",
    "test_accuracy": """
GAUSSIAN 0.993 0.893 ± 0.108 0.986 ± 0.012 0.991 ± 0.011 0.990 ± 0.012 0.987 ± 0.019
MOON 0.810 0.766 ± 0.082 0.808 ± 0.008 0.810 ± 0.006 0.809 ± 0.004 0.806 ± 0.008
RINGS 0.855 0.698 ± 0.101 0.698 ± 0.141 0.712 ± 0.145 0.707 ± 0.144 0.671 ± 0.137
""",
}
COLUMNS = [EXHAUSTIVE, "MLE", "ELBO", "SELBO λ=0.01", "SELBO λ=1", "SELBO λ=100"]
NAMES = {"GAUSSIAN": "gaussian", "MOON": "moons", "RINGS": "rings"}


@pytest.mark.parametrize("score", AS_PRINTED)
def test_tables_ii_and_iii_are_as_printed(score):
    found = published().tables[score]
    lines = AS_PRINTED[score].strip().splitlines()
    assert [NAMES[line.split()[0]] for line in lines] == list(found)
    for line in lines:
        name, *cells = re.findall(r"[A-Z]+|\d\.\d+(?: ± \d\.\d+)?", line)
        row = found[NAMES[name]]
        assert list(row) == COLUMNS
        for column, cell in zip(COLUMNS, cells, strict=True):
            mean, _, std = cell.partition(" ± ")
            assert row[column] == (float(mean), float(std) if std else None)


def test_the_base_is_table_i_and_section_iv():
    base = paper_base()
    table_i = (
        base.epochs,
        base.patience,
        base.min_delta,
        base.decay_factor,
        base.learning_rate,
        base.n_seeds,
    )
    assert table_i == (200, 3, 1e-4, 0.5, 1.0, 100)
    assert (base.shots, base.n_layers, base.n_qubits, base.h) == (100, 1, 14, 14 / 4)
    assert (base.n_train_per_class, base.n_test_per_class) == (150, 100)


def test_the_cost_is_as_printed():
    cost = published().cost
    assert (cost["minutes"], cost["energy_kj"], cost["peak_gpu_memory_gb"]) == (55, 150, 12)
    assert "T4" in cost["device"]


def test_methods_are_the_columns_of_the_tables_and_the_strength_of_the_text():
    assert [*list(METHODS)[:-1]] == COLUMNS[1:]
    assert METHODS["SELBO λ=1000"]["regularization"] == 1000
    assert set(published().figures) == {"2", "3", "4", "5", "6"}
