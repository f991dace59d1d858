// A landscape as a Streamlit component: the three objectives on a plane, with λ and h in the visitor's hand.

import { adoptPlotlyStyles, frameLoop, loadPlotly, mount, setAttribute, setText, watchSize, watchTheme } from "../plots.js";
import { createDrawing } from "./drawing.js";
import { createElements, placeSlider } from "./elements.js";
import { CAMERA } from "./figures.js";
import { LAMBDAS, OBJECTIVES, bandwidthNotches, decodeGrid, inPi, indexAt, nearest, objectiveValues, pointAt, significant, weightRatio } from "./maths.js";
import { listenTo } from "./pointer.js";

const SETTLE_MS = 180;
const ALL = [...OBJECTIVES, "weights", "kernel"];
const FRAME_KEYS = ["axis", "shape", "n_qubits", "axis_label_x", "axis_label_y", "points"];
const VALUE_KEYS = ["expected_log_likelihood", "entropy", "correlators", "path", "field"];
const mounted = new WeakMap();

// λ or h: the value on show, and which values of Python are answers to what was sent from here.
function createStrength() {
  let received, sent = [];
  return {
    value: 1,
    send() {
      sent.push(this.value);
      return this.value;
    },
    // Takes a value of Python, unless it is an answer to one of ours: the slider has that, or is already further.
    adopt(value, dragging) {
      if (!Number.isFinite(value) || value === received) return false;
      const first = received === undefined;
      received = value;
      const echo = sent.indexOf(value);
      if (echo >= 0) sent = sent.slice(echo + 1);
      if (!first && (dragging || echo >= 0)) return false;
      this.value = value;
      return true;
    },
  };
}

function createLandscape(parent) {
  const host = parent.host ?? parent;
  let component = null, inputs = {}, hNotches = [1], sizes = null, dragging = false, settling = 0, destroyed = false;
  const strengths = { lambda: createStrength(), h: createStrength() };
  const view = {
    grid: null, values: null, mode: "heatmap", shared: false, light: false, slow: false,
    hover: null, chosen: null, centre: 0, frame: 0, camera: structuredClone(CAMERA),
    get lambda() { return strengths.lambda.value; },
    get h() { return strengths.h.value; },
    get theme() { return themes.theme; },
  };
  const page = createElements({ onMove, onRelease, onRest: () => { dragging = false; }, onShared, onMode });
  const { root, charts } = page;
  root.landscapeValues = null;
  parent.append(root);
  const drawing = createDrawing(charts, view, (chart) => listenTo(chart, view, { onHover, onChoose, onTurn }));
  const request = frameLoop(drawFrame);
  const themes = watchTheme(host, () => {
    drawing.rebuild(ALL.filter((name) => charts[name].layout));
    refresh(ALL);
  });

  function refresh(names) {
    drawing.mark(names);
    request();
  }

  // λ, h or the grid changed: new values, and these charts show them.
  function changed(names) {
    setAttribute(root, "data-lambda", view.lambda);
    setAttribute(root, "data-h", view.h);
    view.values = root.landscapeValues = objectiveValues(view.grid, view.lambda, view.h);
    refresh(view.shared ? [...names, ...OBJECTIVES] : names);
  }

  // Returns what is new: "frame" (other axes: the view starts anew), "values" (others on the same axes), or "".
  function takeGrid(data) {
    const same = (keys) => keys.every((key) => JSON.stringify(inputs[key]) === JSON.stringify(data[key]));
    const frame = !same(FRAME_KEYS);
    if (!frame && same(VALUE_KEYS)) return "";
    view.grid = decodeGrid(data);
    inputs = data;
    if (frame) {
      hNotches = bandwidthNotches(view.grid.n);
      page.hSlider.input.max = hNotches.length - 1;
      page.hSlider.mark.style.setProperty("--at", nearest(hNotches, view.grid.n / 4) / (hNotches.length - 1));
      Object.assign(view, { centre: indexAt(view.grid, 0, 0), hover: null, chosen: null, frame: view.frame + 1 });
    }
    drawing.rebuild(OBJECTIVES);
    return frame ? "frame" : "values";
  }

  function drawFrame() {
    if (destroyed || !view.values) return false;
    placeSlider(page.lambdaSlider, LAMBDAS, view.lambda, dragging);
    placeSlider(page.hSlider, hNotches, view.h, dragging);
    showWords();
    if (!drawing.ready) return false;
    const { draws, more } = drawing.frame();
    setAttribute(root, "data-draws", draws);
    return more;
  }

  function showWords() {
    const { grid, h, hover, chosen } = view;
    const name = grid.points.find(([, x, y]) => x === 0 && y === 0)?.[0] ?? "the centre";
    const place = (index) => `(${pointAt(grid, index).map(inPi).join(", ")})`;
    const where = hover === null ? `at ${name}` : `at ${place(hover)}`;
    for (const objective of OBJECTIVES) {
      setText(charts[objective].readout, `${where}: ${significant(view.values[objective][hover ?? view.centre], 4)} nats`);
    }
    page.hint.hidden = component.data.point === undefined;
    setText(page.hint, chosen === null
      ? "Click a point to see its networks below, and to train from there."
      : `Chosen: ${place(chosen)}. Its networks are below.`);
    const ratio = weightRatio(h);
    setText(charts.weights.guidance, `Bars: two bits weigh 1/${ratio < 1e5 ? significant(ratio) : "∞"} of one at h = ${significant(h)}. Circles: W, the squared correlations at ${hover === null ? name : "the pointer"}.`);
    setText(charts.kernel.guidance, `Similarity of two networks that differ in d bits: it falls to 1/e at d = h² = ${significant(h * h)}.`);
  }

  // On a slow machine the contour lines wait until the slider rests.
  function onMove(which) {
    dragging = true;
    view.light = view.slow && view.mode === "heatmap";
    clearTimeout(settling);
    settling = setTimeout(() => {
      view.light = false;
      refresh(OBJECTIVES.filter((name) => charts[name].light));
    }, SETTLE_MS);
    if (which === "lambda") strengths.lambda.value = LAMBDAS[page.lambdaSlider.input.value];
    else strengths.h.value = hNotches[page.hSlider.input.value];
    if (view.grid) changed(which === "lambda" ? ["elbo", "selbo"] : ["selbo", "weights", "kernel"]);
  }

  // A drag that ends where it began sends no "change" and so does not come here; onRest ends it.
  function onRelease() {
    dragging = false;
    component.setStateValue("regularization", strengths.lambda.send());
    component.setStateValue("bandwidth", strengths.h.send());
    request();
  }

  function onShared() {
    view.shared = !view.shared;
    page.sharedSwitch.setAttribute("aria-checked", view.shared);
    refresh(OBJECTIVES);
  }

  function onMode(mode) {
    view.mode = mode;
    root.classList.toggle("three", mode === "3d");
    refresh(OBJECTIVES);
  }

  function onHover(index) {
    view.hover = index;
    refresh(["weights"]);
  }

  function choose(index) {
    if (index === view.chosen) return;
    view.chosen = index;
    drawing.rebuild(OBJECTIVES);
    request();
  }

  function onChoose(index) {
    if (component.data.point === undefined) return;  // the offline page shows nothing below
    choose(index);
    const [x, y] = pointAt(view.grid, index);
    component.setTriggerValue("point", { x, y });
  }

  function onTurn(chart, camera) {
    if (drawing.follow(chart.name, camera)) request();
  }

  function fail(text) {
    root.classList.add("waiting");
    setText(page.message, text);
  }

  function startPlotly(url) {
    loadPlotly(url).then((library) => {
      if (destroyed || drawing.ready) return;
      drawing.start(library);
      adoptPlotlyStyles(parent);
      sizes = watchSize(Object.values(charts).map((chart) => chart.div), library);
      request();
    }, (error) => fail(`The landscape cannot be drawn: ${error.message}.`));
  }

  function take(data) {
    const fresh = takeGrid(data);
    root.classList.remove("waiting");
    choose(data.point ? indexAt(view.grid, data.point[0], data.point[1]) : null);
    const newLambda = strengths.lambda.adopt(data.regularization, dragging);
    const newH = strengths.h.adopt(data.bandwidth ?? view.grid.n / 4, dragging);
    for (const name of OBJECTIVES) charts[name].trained.hidden = name !== data.objective;
    if (fresh) changed(fresh === "frame" ? ALL : OBJECTIVES);
    else if (newLambda || newH) changed(newH ? ["elbo", "selbo", "weights", "kernel"] : ["elbo", "selbo"]);
  }

  return {
    update(next) {
      component = next;
      const data = next.data ?? {};
      themes.check();
      setText(page.caption, data.caption ?? "");
      page.caption.hidden = !data.caption;
      if (!drawing.ready && data.plotly_url) startPlotly(data.plotly_url);
      if (!data.expected_log_likelihood) return fail("No landscape yet.");
      try {
        take(data);
      } catch (error) {
        inputs = {};
        fail(`The landscape cannot be drawn: ${error.message}.`);
      }
    },
    destroy() {
      destroyed = true;
      clearTimeout(settling);
      request.cancel();
      themes.stop();
      sizes?.disconnect();
      drawing.stop();
      root.remove();
    },
  };
}

export default function (component) {
  return mount(mounted, component, createLandscape);
}
