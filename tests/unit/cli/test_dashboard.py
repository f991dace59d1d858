import runpy
import sys

import pytest

from qhn_core.assets import DASHBOARD
from qhn_core.cli.main import main


@pytest.fixture
def started(monkeypatch):
    """The command lines that streamlit was started with."""
    found = []
    monkeypatch.setattr(runpy, "run_module", lambda name, **options: found.append([name, *sys.argv[1:]]))
    monkeypatch.setattr(sys, "argv", ["qhn"])
    return found


def test_the_dashboard_is_streamlits_with_all_further_options(started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--server.port", "8502", "--server.headless=true", "--", "--own"]
    assert main(["dashboard", *options]) == 0
    assert started == [["streamlit", "run", str(DASHBOARD / "app.py"), *options]]
    assert (DASHBOARD / "app.py").is_file()


def test_other_commands_take_no_further_options(started, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["simulators", "--server.port", "8502"])
    assert "unrecognized arguments: --server.port 8502" in capsys.readouterr().err
