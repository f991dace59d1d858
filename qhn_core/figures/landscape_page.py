"""A landscape as one HTML file that works without a server or a network, sliders and all."""

import base64
import json
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from qhn_core.assets import asset_text
from qhn_core.bits import Float
from qhn_core.figures.javascript import bundle
from qhn_core.landscape.gradient_field import GradientField, Rule
from qhn_core.landscape.scan import LandscapeScan
from qhn_core.landscape.trajectories import TrainingPath
from qhn_core.objectives.terms import Objective

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Loss landscape of a quantum hypernetwork</title>
<style>
:root { color-scheme: light dark; --st-font: system-ui, sans-serif; --st-primary-color: #B5399B;
  --st-text-color: #1F2430; --st-background-color: #FFFFFF; --st-secondary-background-color: #F4F5F7;
  --st-border-color: #DDE1E7; --st-base-radius: 0.3rem; }
@media (prefers-color-scheme: dark) { :root { --st-primary-color: #D65FBD; --st-text-color: #E4E7EC;
  --st-background-color: #14171C; --st-secondary-background-color: #1E232B; --st-border-color: #333A45; } }
body { margin: 1.5rem; font-family: var(--st-font); color: var(--st-text-color);
  background: var(--st-background-color); }
</style>
<div id="landscape"></div>
<script>%(plotly)s</script>
<script type="module">
%(component)s
const root = document.getElementById("landscape").attachShadow({ mode: "open" });
const style = document.createElement("style");
style.textContent = %(css)s;
root.append(style);
window.__qhnPlotly = new Map([["inline", Promise.resolve(window.Plotly)]]);
showLandscape({ data: %(data)s, parentElement: root, setStateValue() {}, setTriggerValue() {} });
</script>
</html>
"""


def encoded(values: Float) -> str:
    """Return float64 numbers, little-endian, as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def view_data(
    scan: LandscapeScan,
    objective: Objective,
    caption: str,
    path: TrainingPath | None = None,
    field: GradientField | None = None,
    rule: Rule = "chain-rule",
) -> dict[str, Any]:
    """Collect what the browser needs to draw the surfaces at any λ and h, and a path or arrows on them.

    objective: that of the training, with the λ and h that the sliders start at. rule: whose arrows the
    field gives.
    """
    scan = scan.filled()
    data = {
        "axis": encoded(scan.axis),
        "axis_label_x": scan.plane.labels[0],
        "axis_label_y": scan.plane.labels[1],
        "points": [list(point) for point in scan.plane.points or (("θ*", 0.0, 0.0),)],
        "shape": list(scan.entropy.shape),
        "expected_log_likelihood": encoded(scan.expected_log_likelihood),
        "entropy": encoded(scan.entropy),
        "correlators": encoded(scan.correlators[..., 1:]),
        "n_qubits": scan.config.n_qubits,
        "regularization": objective.strength,
        "bandwidth": objective.bandwidth,
        "objective": objective.kind,
        "caption": caption,
    }
    if path is not None:
        data["path"] = {"x": encoded(path.x), "y": encoded(path.y)}
    if field is not None:
        data["field"] = {
            "axis": encoded(field.axis),
            "expected_log_likelihood": encoded(field.expected_log_likelihood),
            "entropy": encoded(field.entropy[rule]),
            "correlators": encoded(field.correlators[rule][..., 1:]),
        }
    return data


def caption(scan: LandscapeScan, seed: int) -> str:
    """Say in one line what is drawn."""
    n, kind = len(scan.axis), scan.landscape_config.plane
    drawn = f" (seed {scan.landscape_config.seed})" if kind in ("random", "random-ry", "gradient") else ""
    return (
        f"θ* of seed {seed}, {scan.config.in_words()}. "
        f"Plane: {kind}{drawn}, orthonormal directions, "
        f"radius {scan.axis[-1] / np.pi:.3g}π, {n}×{n} points, exact."
    )


def landscape_html(data: dict[str, Any]) -> str:
    """Return the page, with Plotly and all numbers inside: about 5 MB. data: from `view_data`."""
    css = "\n".join(asset_text(name) for name in ("plots.css", "landscape.css"))
    component = bundle("landscape/landscape.js")
    return PAGE % {
        "plotly": get_plotlyjs(),
        "component": component.replace("export default function", "function showLandscape", 1),
        "css": json.dumps(css),
        "data": json.dumps({"plotly_url": "inline", **data}).replace("</", "<\\/"),
    }
