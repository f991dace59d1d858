"""What `pip install` puts on a machine without a clone: the command, the pages, the assets."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests import SECONDS
from tests.service.browserless import Session, events, free_port

ROOT = Path(__file__).parents[2]
SOURCES = ["app.py", "pages", "assets", "qhn_core", ".streamlit", "pyproject.toml", "README.md", "LICENSE"]
SMALL = ["--n-hidden", "1", "--epochs", "2", "--resolution", "11"]


def test_every_package_is_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "qhn_core").rglob("*.py")}
    assert listed == sorted({".".join(folder.parts) for folder in folders} | {"qhn_core.dashboard"})


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The folder of the commands of a new environment that has, from here, all dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    [packages] = {path.parent for path in folder.rglob("pip") if (path / "__main__.py").exists()}
    # A line of a .pth file is a folder whose own .pth files are not read, so no clone is found there.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder / Path(sysconfig.get_path("scripts")).name


@pytest.fixture(scope="module")
def wheel(commands, tmp_path_factory):
    """The wheel of a copy of the sources, since building leaves folders beside them."""
    sources, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, sources / name)
    pip(commands, "wheel", "--no-build-isolation", "--wheel-dir", out, sources)
    [file] = out.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(commands, wheel):
    """`commands`, with those of the wheel."""
    pip(commands, "install", wheel)
    return commands


def pip(commands, action, *arguments):
    """Run pip with the setuptools of the tests: a new environment may have one that is too old."""
    command = [commands / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command += [action, "--no-deps", *arguments]
    own = environment("no home") | {"PYTHONPATH": sysconfig.get_path("purelib")}
    subprocess.run(command, check=True, timeout=SECONDS, env=own)


def environment(home):
    """As on a machine where nothing points at a clone."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return own | {"QHN_HOME": str(home)}


@pytest.mark.slow
def test_the_wheel_holds_the_dashboard_and_nothing_beside_its_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"qhn_core", "qhn_explorer"}
    for top in ("pages", "assets"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and path.suffix not in (".png", ".pyc"):
                assert f"qhn_core/dashboard/{path.relative_to(ROOT).as_posix()}" in names
    assert {"qhn_core/dashboard/app.py", "qhn_core/dashboard/.streamlit/config.toml"} <= names


@pytest.mark.slow
def test_the_command_works_where_only_the_wheel_is(installed, tmp_path):
    def qhn(*arguments):
        command = [installed / "qhn", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path / "home"), capture_output=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    program = "import qhn_core; print(qhn_core.__file__)"
    found = subprocess.run(
        [installed / "python", "-c", program], cwd=tmp_path, env=environment(tmp_path), capture_output=True
    )
    assert found.stdout.decode().startswith(str(installed.parent))
    assert json.loads(qhn("train", "--json", *SMALL[:4]))["config"]["n_hidden"] == 1
    qhn("landscape", *SMALL, "--html", "surface.html")
    assert "showLandscape" in (tmp_path / "surface.html").read_text(encoding="utf-8")
    assert "dashboard" in qhn("--help")


@pytest.mark.slow
def test_the_dashboard_opens_from_any_folder(installed, tmp_path):
    """A page is drawn without a problem, and trains."""
    port = free_port()
    options = [f"--server.port={port}", "--server.headless", "true", "--server.address=127.0.0.1"]
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [installed / "qhn", "dashboard", *options],
            cwd=tmp_path,
            env=environment(tmp_path / "home"),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_healthy(port, server)
        asyncio.run(train_one(port))
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(SECONDS)
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


def wait_until_healthy(port, server):
    give_up = time.monotonic() + SECONDS
    while True:
        assert server.poll() is None
        assert time.monotonic() < give_up
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
            return
        time.sleep(0.05)


async def train_one(port):
    async with Session(port, "n_hidden=1&epochs=3&n_seeds=1") as session:
        assert session.problems == []
        assert session.run_id
        async for _, epoch, _ in events(port, session.events_path):
            if epoch == 3:
                return
