"""Every text file is read and written as UTF-8, whatever the machine's own encoding is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "app.py", *(ROOT / "qhn_core").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
TEXT_CALLS = {"read_text", "write_text"}


def unspecified(source):
    """The lines that open a text file, or read a program's output, without an encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        opens_text = name == "open" and isinstance(node.func, ast.Name) and not binary(node, named)
        decodes = getattr(named.get("text"), "value", False) is True
        if (name in TEXT_CALLS or opens_text or decodes) and "encoding" not in named:
            yield node.lineno


def binary(node, named):
    mode = named.get("mode", node.args[1] if len(node.args) > 1 else None)
    return isinstance(mode, ast.Constant) and "b" in mode.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_opened_in_the_encoding_of_the_machine(path):
    assert list(unspecified(path.read_text(encoding="utf-8"))) == []


def test_the_test_sees_every_way():
    source = """
path.read_text()
path.write_text("λ")
open(path)
open(path, "w")
subprocess.run(command, text=True)
path.read_text(encoding="utf-8")
open(path, "rb")
open(path, mode="wb")
"""
    assert list(unspecified(source)) == [2, 3, 4, 5, 6]
