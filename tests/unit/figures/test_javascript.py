"""The modules in the browser: put together as they are sent, their numbers under node against Python's."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from qhn_core import LandscapeConfig, RunConfig, scan_landscape, train
from qhn_core.figures.javascript import ASSETS, bundle
from qhn_core.figures.landscape_page import view_data
from qhn_core.landscape.gradient_field import gradient_field
from qhn_core.landscape.trajectories import training_path
from qhn_core.objectives.terms import Objective
from tests import SECONDS

CONFIG = RunConfig(n_hidden=1, epochs=3, n_seeds=2)
VIEWS = ("landscape/landscape.js", "live_run.js")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: JavaScript can't be run")


def in_node(expression, data=None, module="landscape/maths.js"):
    """The value of a JavaScript expression that may use `data` and all names of a module."""
    code = f"{bundle(module)}\nconst data = {json.dumps(data)};\n"
    code += (
        f"console.log(JSON.stringify({expression}, (_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v));"
    )
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scan():
    angles = train(CONFIG).best_angles[0]
    return scan_landscape(CONFIG, LandscapeConfig(resolution=11), angles)


@pytest.mark.parametrize("view", VIEWS)
def test_a_bundle_is_one_module_with_one_export(view):
    text = bundle(view)
    assert text.count("export default function (component)") == 1
    assert [
        line for line in text.splitlines() if line.startswith(("import", "export {", "export const"))
    ] == []
    assert text.count("function decodeFloat64(") == 1, "a module that two others import is there once"


@needs_node
@pytest.mark.parametrize("view", VIEWS)
def test_a_bundle_can_be_loaded(view):
    """A name that two modules define would be a syntax error here."""
    assert in_node("typeof mount", module=view) == "function"


@needs_node
@pytest.mark.parametrize("path", sorted((ASSETS / "landscape").glob("*.js")), ids=lambda path: path.name)
def test_each_module_stands_on_its_own_imports(path, tmp_path):
    """Node links real modules strictly: a name that is imported and not exported is an error."""
    copy = tmp_path / "assets"
    shutil.copytree(ASSETS / "landscape", copy / "landscape")
    shutil.copy(ASSETS / "plots.js", copy)
    (copy / "package.json").write_text('{"type": "module"}')
    command = [NODE, copy / "landscape" / path.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr


@needs_node
@pytest.mark.parametrize(
    ("strength", "width"), [(0.0, 1.5), (1.0, 1.5), (40.0, 0.5), (1000.0, 6.0), (1.0, 0.01)]
)
def test_the_browser_makes_the_three_objectives_of_the_scan(scan, strength, width):
    data = view_data(scan, Objective("mle", strength, width), "words")
    found = in_node("objectiveValues(decodeGrid(data), data.regularization, data.bandwidth)", data)
    for name, values in found.items():
        expected = scan.values(name, regularization=strength, bandwidth=width).ravel()
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12, err_msg=name)


@needs_node
def test_the_browser_makes_the_gradients_of_the_field(scan):
    field = gradient_field(scan, 3)
    data = view_data(scan, Objective("mle", 7.0, 0.8), "words", field=field)
    names = ("mle", "elbo", "selbo")
    found = in_node(f"{list(names)}.map((name) => slopes(decodeGrid(data), name, 7, 0.8))", data)
    for name, values in zip(names, found, strict=True):
        expected = field.values("chain-rule", Objective(name, 7.0, 0.8)).ravel()
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@needs_node
def test_arrows_point_along_the_gradient_and_the_longest_is_nine_tenths_of_a_step():
    lines = in_node("arrowLines([-1, 0, 1], [3, 4, ...Array(15).fill(0), 1])")
    assert [x is None for x in lines["x"]] == 2 * [False, False, True, False, False, False, True]
    tail, tip = (np.array([lines["x"][i], lines["y"][i]]) for i in (0, 1))
    np.testing.assert_allclose(tip - tail, 0.9 * np.array([0.6, 0.8]))
    np.testing.assert_allclose((tip + tail) / 2, [-1, -1])


@needs_node
def test_the_path_lies_on_the_surface(scan):
    path = training_path(scan)
    data = view_data(scan, Objective("mle", 1.0, 1.5), "words", path)
    found = in_node("pathOnSurface(decodeGrid(data), decodeGrid(data).likelihood)", data)
    nearest = [np.abs(scan.axis[:, None] - xs).argmin(axis=0) for xs in (path.x, path.y)]
    heights = scan.expected_log_likelihood[nearest[1], nearest[0]]
    inside = np.maximum(np.abs(path.x), np.abs(path.y)) <= scan.axis[-1]
    np.testing.assert_array_equal(
        [np.nan if z is None else z for z in found["z"]], np.where(inside, heights, np.nan)
    )


@needs_node
def test_numbers_that_do_not_fit_together_are_refused(scan):
    data = {**view_data(scan, Objective("mle", 1.0, 1.5), "words"), "n_qubits": 5}
    caught = "(() => { try { decodeGrid(data); } catch (error) { return error.message; } })()"
    assert in_node(caught, data) == "correlators does not fit the grid 11 x 11 of 5 qubits"


@needs_node
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("significant(1234.5)", "1235"),
        ("significant(-0.012345)", "−0.0123"),
        ("significant(0.0001234)", "1.23e−4"),
        ("significant(123456, 4)", "1.235e5"),
        ("significant(NaN)", "–"),
        ("significant(0)", "0"),
        ("inPi(-Math.PI / 2)", "−0.50π"),
        ("inPi(-1e-9)", "0.00π"),
        ("piTicks([-Math.PI, 0, Math.PI]).ticktext", ["−π", "−π/2", "0", "π/2", "π"]),
        ("piTicks([-0.5, 0, 0.5]).ticktext", ["−0.125π", "0", "0.125π"]),
        ("nearest([0, 1, 3], 2.1)", 2),
        ("extent([2, 2])", [1.5, 2.5]),
        ("contourLevels([0.3, 9.2])", {"start": 1, "end": 9, "size": 1}),
        ("bandwidthNotches(14).filter((h) => h === 3.5).length", 1),
        ("[LAMBDAS[0], LAMBDAS[1], LAMBDAS[61], LAMBDAS.at(-1)]", [0, 0.001, 1, 1000]),
    ],
)
def test_words_ticks_and_stops(call, expected):
    assert in_node(call) == expected
