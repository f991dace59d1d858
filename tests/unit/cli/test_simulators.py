import qhn_core as qhn
from qhn_core.cli.main import main


def test_simulators_are_listed_with_the_reason(capsys):
    assert main(["simulators"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == ["numba", "qsim", "cirq", "qsim-cuda", "qsim-custatevec"]
    for simulator in qhn.available_simulators():
        answer, why = lines[simulator.name].split(maxsplit=1)
        assert (answer, why) == ("yes" if simulator.available else "no", simulator.why)
    assert lines["qsim"].startswith("yes")
    assert lines["cirq"].startswith("yes")
    assert "compiled without CUDA" in lines["qsim-cuda"] or lines["qsim-cuda"].startswith("yes")
