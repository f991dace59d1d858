// The document of a landscape: sliders, switches, and a place for each chart.

import { OBJECTIVE_COLORS, element, segmented, setAttribute, setText } from "../plots.js";
import { LAMBDAS, OBJECTIVES, nearest, significant } from "./maths.js";

function slider(label, symbol, handlers) {
  const readout = element("output", { class: "readout" });
  const input = element("input", { type: "range", min: 0, step: 1, "aria-label": label, on: handlers });
  const mark = element("span", { class: "mark", "aria-hidden": "true" });
  const node = element("div", { class: "slider" },
    element("div", { class: "caption" }, element("span", {}, element("i", { text: symbol }), ` ${label}`), readout),
    element("div", { class: "track" }, input, mark));
  return { node, input, readout, mark };
}

// Put the thumb at the stop that is nearest to a value; a thumb that is being dragged stays under the pointer.
export function placeSlider({ input, readout }, notches, value, dragging) {
  const index = nearest(notches, value), text = significant(value);
  if (!dragging && Number(input.value) !== index) input.value = index;
  input.style.setProperty("--share", Number(input.value) / (notches.length - 1));
  setText(readout, text);
  setAttribute(input, "aria-valuetext", text);
}

function panelPlace(name) {
  const readout = element("p", { class: "at", "data-readout": name });
  const heading = element("h3", { text: name.toUpperCase() });
  heading.style.setProperty("--objective", OBJECTIVE_COLORS[name]);
  const trained = element("small", { text: "trained with this", hidden: "" });
  const div = element("div", { class: "chart", "data-chart": name, role: "group", "aria-label": `${name.toUpperCase()} landscape` });
  const node = element("section", { class: "panel", "data-objective": name }, element("div", { class: "title" }, heading, trained), div, readout);
  return { name, div, readout, trained, node };
}

function smallPlace(name, title) {
  const div = element("div", { class: "chart", "data-chart": name, role: "group", "aria-label": `${title}, chart` });
  const guidance = element("p", { class: "guidance" });
  return { name, div, guidance, node: element("section", { class: "panel" }, element("h3", { text: title }), guidance, div) };
}

// events: onMove(which), onRelease, onRest, onShared, onMode(mode)
export function createElements(events) {
  const handlers = (which) => ({ input: () => events.onMove(which), change: events.onRelease, pointerup: events.onRest, blur: events.onRest });
  const lambdaSlider = slider("regularisation", "λ", handlers("lambda"));
  const hSlider = slider("kernel bandwidth", "h", handlers("h"));
  lambdaSlider.input.max = LAMBDAS.length - 1;
  hSlider.mark.textContent = "n/4";
  const sharedSwitch = element("button", { class: "switch", type: "button", role: "switch", "aria-checked": false, on: { click: events.onShared } },
    element("span", { class: "knob", "aria-hidden": "true" }), "shared colour scale");
  const modes = segmented("Landscape drawn as", [["heatmap", "heatmap"], ["3d", "3D"]], "heatmap", events.onMode);
  const caption = element("p", { class: "guidance" }), hint = element("p", { class: "at" }), message = element("p", { class: "placeholder" });
  const panels = OBJECTIVES.map(panelPlace);
  const small = [smallPlace("weights", "Kernel weight of correlators"), smallPlace("kernel", "Kernel")];
  const nodes = (places) => places.map((place) => place.node);
  const root = element("div", { class: "qhn landscape waiting", "data-draws": 0 },
    element("div", { class: "controls" }, lambdaSlider.node, hSlider.node, modes, sharedSwitch), caption,
    element("div", { class: "panels" }, ...nodes(panels)), hint, element("div", { class: "small" }, ...nodes(small)), message);
  const charts = Object.fromEntries([...panels, ...small].map((place) => [place.name, place]));
  return { root, lambdaSlider, hSlider, sharedSwitch, caption, hint, message, charts };
}
