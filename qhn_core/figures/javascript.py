"""JavaScript modules of `assets/` as one text: Streamlit and an offline page take no more than one."""

import re
from pathlib import Path

from qhn_core.assets import ASSETS

IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.MULTILINE)
"""The one form of import that the modules use."""


def bundle(name: str) -> str:
    """Return a module of `assets/` as one text, with every module that it imports in front of it.

    Lines that import go, and so does the word `export`, except in `export default`. The modules then share
    one scope, so no two of them may define the same name: the browser refuses the text if they do.

    >>> "import" in bundle("landscape/maths.js") or "export" in bundle("landscape/maths.js")
    False
    """
    texts: dict[Path, str] = {}

    def add(path: Path) -> None:
        if path in texts:
            return
        text = path.read_text(encoding="utf-8")
        for imported in IMPORT.findall(text):
            add((path.parent / imported).resolve())
        texts[path] = re.sub(r"^export (?!default)", "", IMPORT.sub("", text), flags=re.MULTILINE)

    add((ASSETS / name).resolve())
    return "\n".join(texts.values())
