"""The order of the wings: who may import whom, and no circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOT_MODULES = ("config", "bits", "versions", "comparisons", "assets")
WINGS = {
    "kernels": set(),
    "model": {"kernels"},
    "circuits": {"kernels"},
    "objectives": {"kernels", "model", "circuits"},
    "training": {"kernels", "model", "circuits", "objectives"},
    "landscape": {"kernels", "model", "circuits", "objectives", "training"},
    "figures": {"kernels", "model", "circuits", "objectives", "training", "landscape"},
    "storage": {"kernels", "model", "circuits", "objectives", "training", "landscape"},
}
WINGS["jobs"] = WINGS["storage"] | {"storage"}
WINGS["live"] = WINGS["jobs"] | {"jobs", "figures"}
WINGS["paper"] = WINGS["bench"] = WINGS["live"] | {"live"}
WINGS["cli"] = WINGS["live"] | {"live", "paper", "bench"}
WINGS["pages"] = WINGS["cli"]
"""Each wing, and the wings that it may import."""


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for folder in ("qhn_core", "pages")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports(module):
    """The names of all modules that a module's file imports, as far in as they are modules of ours."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written out in full"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return found


def wing(module):
    """The wing of a module, or "" for those directly in qhn_core."""
    parts = module.split(".")
    if parts[0] == "pages":
        return "pages"
    return parts[1] if len(parts) > 1 and parts[1] in WINGS else ""


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: {name for name in imports(module) if name in MODULES} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_wings_before_its_own(module):
    own = wing(module)
    if module == "qhn_core":  # it hands on the public names
        return
    for name in imports(module):
        if name not in MODULES:
            continue
        if own == "":
            assert wing(name) in ("", "kernels"), f"{module} imports {name}"
        else:
            assert name != "qhn_core", f"{module} imports the package; import the module that has the name"
            assert wing(name) in {"", own, *WINGS[own]}, f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("qhn_core")])
def test_nothing_in_qhn_core_imports_streamlit(module):
    assert not any(name.split(".")[0] in ("streamlit", "pages") for name in imports(module))


def test_the_modules_directly_in_qhn_core_are_few():
    direct = {
        name.removeprefix("qhn_core.")
        for name, path in MODULES.items()
        if path.parent == ROOT / "qhn_core" and path.name != "__init__.py"
    }
    assert direct == set(ROOT_MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_module_needs_nothing_that_windows_lacks(module):
    unix = {"fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios"}
    for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            assert not unix & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in unix
