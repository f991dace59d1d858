"""Where the files beside the code are: the dashboard's app.py, its pages and its assets.

In a clone they are at the top, beside `qhn_core`. A wheel holds them in `qhn_core/dashboard`, so that
nothing but `qhn_core` is installed.
"""

from pathlib import Path

_HERE = Path(__file__).parent
DASHBOARD = _HERE / "dashboard" if (_HERE / "dashboard").is_dir() else _HERE.parent
"""The folder of app.py, pages and assets."""
ASSETS = DASHBOARD / "assets"


def asset_text(name: str) -> str:
    """Read a text file of the assets.

    >>> asset_text("shell.css").isprintable()
    False
    """
    return (ASSETS / name).read_text(encoding="utf-8")
