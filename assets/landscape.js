const OBJECTIVES = ["mle", "elbo", "selbo"];
const PANEL_MARGIN = { l: 44, r: 58, t: 10, b: 36, autoexpand: false };
const SCENE_MARGIN = { l: 0, r: 58, t: 0, b: 4, autoexpand: false };
const SMALL_MARGIN = { l: 52, r: 10, t: 6, b: 36, autoexpand: false };
const CAMERA = { eye: { x: 1.85, y: -1.85, z: 1.3 }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: -0.12 } };
const SMALLEST_WEIGHT = 1e-12;
const LARGEST_RANGE = 1e300;
const FRAME_BUDGET_MS = 16;
const SLOW_PANEL_MS = 14;
const SETTLE_MS = 180;
const views = new WeakMap();

const LAMBDAS = [0, ...Array.from({ length: 121 }, (_, i) => Number((10 ** (-3 + i / 20)).toPrecision(3)))];

function bandwidthNotches(n) {
  const low = 0.25, high = Math.max(14, n), quarter = n / 4, count = 200;
  const notches = Array.from({ length: count + 1 }, (_, i) => Number((low * (high / low) ** (i / count)).toPrecision(3)));
  notches[nearest(notches, quarter)] = quarter;
  return notches;
}

function nearest(values, target) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - target) < Math.abs(values[best] - target)) best = i;
  return best;
}

function figures(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e").replaceAll("-", "−");
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(decimals).replace("-", "−");
}

function piTicks(axis) {
  const low = axis[0], high = axis[axis.length - 1], span = high - low;
  const step = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4].find((s) => span / (s * Math.PI) <= 5) ?? 8;
  const tickvals = [], ticktext = [];
  for (let k = Math.ceil(low / (step * Math.PI) - 1e-9); k * step * Math.PI <= high + 1e-9; k++) {
    const share = k * step;
    const size = Math.abs(share);
    const body = size >= 1 ? `${size === 1 ? "" : size}π` : size * 2 === 1 ? "π/2" : size * 4 === 1 ? "π/4" : `${Number(size.toFixed(3))}π`;
    tickvals.push(share * Math.PI);
    ticktext.push(share === 0 ? "0" : `${share < 0 ? "−" : ""}${body}`);
  }
  return { tickvals, ticktext };
}

function slider(label, symbol, onInput, onChange, onRest) {
  const readout = element("output", { class: "readout" });
  const input = element("input", { type: "range", min: 0, step: 1, "aria-label": label, on: { input: onInput, change: onChange, pointerup: onRest, blur: onRest } });
  const mark = element("span", { class: "mark", "aria-hidden": "true" });
  const node = element("div", { class: "slider" },
    element("div", { class: "caption" }, element("span", {}, element("i", { text: symbol }), ` ${label}`), readout),
    element("div", { class: "track" }, input, mark));
  return { node, input, readout, mark };
}

function createLandscape(parent) {
  const host = parent.host ?? parent;
  let component = null, Plotly = null, sizes = null, destroyed = false, draws = 0;
  let mode = "heatmap", shared = false, dragging = false, light = false, slow = false, settling = 0, hover = null, chosen = null;
  let path = null, field = null;
  let inputs = {}, axis = null, nx = 0, ny = 0, n = 0, ell = null, entropy = null, correlators = null, centre = 0;
  let lambda = 1, h = 1, hNotches = [1], grid = 0;
  const fromPython = {}, sentToPython = { lambda: [], h: [] };
  let camera = structuredClone(CAMERA), syncing = false, pendingCamera = null;
  const stale = new Set();

  const lambdaSlider = slider("regularisation", "λ", () => moved("lambda"), released, rested);
  const hSlider = slider("kernel bandwidth", "h", () => moved("h"), released, rested);
  lambdaSlider.input.max = LAMBDAS.length - 1;
  hSlider.mark.textContent = "n/4";
  const sharedSwitch = element("button", { class: "switch", type: "button", role: "switch", "aria-checked": false, on: { click: toggleShared } },
    element("span", { class: "knob", "aria-hidden": "true" }), "shared colour scale");
  const controls = element("div", { class: "controls" }, lambdaSlider.node, hSlider.node,
    segmented("Landscape drawn as", [["heatmap", "heatmap"], ["3d", "3D"]], "heatmap", setMode),
    sharedSwitch);
  const caption = element("p", { class: "guidance" });

  const charts = {};
  const panels = element("div", { class: "panels" });
  for (const name of OBJECTIVES) {
    const div = element("div", { class: "chart", "data-chart": name, role: "group", "aria-label": `${name.toUpperCase()} landscape` });
    const readout = element("p", { class: "at", "data-readout": name });
    const heading = element("h3", { text: name.toUpperCase() });
    heading.style.setProperty("--objective", OBJECTIVE_COLORS[name]);
    const trained = element("small", { text: "trained with this", hidden: "" });
    panels.append(element("section", { class: "panel", "data-objective": name }, element("div", { class: "title" }, heading, trained), div, readout));
    charts[name] = { name, div, readout, trained };
  }
  const hint = element("p", { class: "at" });
  const small = element("div", { class: "small" });
  for (const [name, title] of [["weights", "Kernel weight of correlators"], ["kernel", "Kernel"]]) {
    const div = element("div", { class: "chart", "data-chart": name, role: "group", "aria-label": `${title}, chart` });
    const guidance = element("p", { class: "guidance" });
    small.append(element("section", { class: "panel" }, element("h3", { text: title }), guidance, div));
    charts[name] = { name, div, guidance };
  }
  const message = element("p", { class: "placeholder" });
  const root = element("div", { class: "qhn landscape waiting", "data-draws": 0 }, controls, caption, panels, hint, small, message);
  root.landscapeValues = null;
  parent.append(root);

  const themes = watchTheme(host, () => {
    for (const chart of Object.values(charts)) if (chart.layout) chart.rebuild = true;
    refresh(Object.keys(charts));
  });
  const request = frameLoop(drawFrame);

  function refresh(names) {
    names.forEach((name) => stale.add(name));
    request();
  }

  // What is new: "frame" (other axes: the view starts anew), "values" (other numbers on the same axes), or "".
  function decode(data) {
    const same = (...keys) => keys.every((key) => JSON.stringify(inputs[key]) === JSON.stringify(data[key]));
    const frame = !same("axis", "shape", "n_qubits", "axis_label_x", "axis_label_y", "points");
    if (!frame && same("expected_log_likelihood", "entropy", "correlators", "path", "field")) return "";
    inputs = data;
    axis = decodeFloat64(data.axis);
    n = data.n_qubits;
    [ny, nx] = data.shape;
    ell = decodeFloat64(data.expected_log_likelihood);
    entropy = decodeFloat64(data.entropy);
    correlators = decodeFloat64(data.correlators);
    const problem = axis.length !== nx ? "axis" : ell.length !== nx * ny ? "expected_log_likelihood"
      : entropy.length !== nx * ny ? "entropy" : correlators.length !== nx * ny * n ? "correlators" : null;
    if (problem) throw new Error(`${problem} does not fit the grid ${ny} x ${nx} of ${n} qubits`);
    const unpacked = (part) => part && Object.fromEntries(Object.entries(part).map(([key, text]) => [key, decodeFloat64(text)]));
    path = unpacked(data.path);
    field = unpacked(data.field);
    if (frame) {
      const origin = nearest(axis, 0);
      centre = origin * nx + origin;
      hNotches = bandwidthNotches(n);
      hSlider.input.max = hNotches.length - 1;
      hSlider.mark.style.setProperty("--at", nearest(hNotches, n / 4) / (hNotches.length - 1));
      root.landscapeValues = Object.fromEntries(OBJECTIVES.map((name) => [name, new Float64Array(nx * ny)]));
      hover = chosen = null;
      grid++;
    }
    root.landscapeValues.mle.set(ell);
    for (const name of OBJECTIVES) charts[name].rebuild = true;
    return frame ? "frame" : "values";
  }

  function correlatorWeights() {
    const e = Math.exp(-1 / (h * h));
    return Array.from({ length: n }, (_, i) => ((1 + e) / 2) ** (n - i - 1) * ((1 - e) / 2) ** (i + 1));
  }

  function recombine() {
    const { elbo, selbo } = root.landscapeValues;
    const weights = Float64Array.from(correlatorWeights());
    const constant = n * Math.LN2;
    for (let i = 0, k = 0; i < ell.length; i++) {
      elbo[i] = ell[i] - lambda * (constant - entropy[i]);
      let distance = 0;
      for (let w = 0; w < n; w++, k++) distance += weights[w] * correlators[k];
      selbo[i] = ell[i] - lambda * distance;
    }
  }

  // The gradient on the plane, as lines with a head each: one list of x and one of y, with gaps.
  function arrows(name) {
    const x = [], y = [];
    if (!field) return { x, y };
    const count = field.axis.length, weights = correlatorWeights(), slopes = [];
    for (let i = 0; i < count * count * 2; i++) {
      let slope = field.expected_log_likelihood[i];
      if (name === "elbo") slope += lambda * field.entropy[i];
      if (name === "selbo") for (let w = 0; w < n; w++) slope -= lambda * weights[w] * field.correlators[i * n + w];
      slopes.push(slope);
    }
    const step = field.axis[1] - field.axis[0];
    let longest = 0;
    for (let i = 0; i < slopes.length; i += 2) longest = Math.max(longest, Math.hypot(slopes[i], slopes[i + 1]));
    if (!(longest > 0)) return { x, y };
    for (let i = 0; i < count * count; i++) {
      const size = Math.hypot(slopes[2 * i], slopes[2 * i + 1]);
      if (size < 1e-6 * longest) continue;
      const length = 0.9 * step * Math.sqrt(size / longest);  // the root, so that small ones are seen too
      const [ux, uy] = [slopes[2 * i] / size, slopes[2 * i + 1] / size];
      const [x0, y0] = [field.axis[i % count] - (ux * length) / 2, field.axis[Math.floor(i / count)] - (uy * length) / 2];
      const [x1, y1, head] = [x0 + ux * length, y0 + uy * length, 0.35 * length];
      const wing = (side) => [x1 - head * (ux + side * 0.6 * uy), y1 - head * (uy - side * 0.6 * ux)];
      const [left, right] = [wing(1), wing(-1)];
      x.push(x0, x1, null, left[0], x1, right[0], null);
      y.push(y0, y1, null, left[1], y1, right[1], null);
    }
    return { x, y };
  }

  function rows(values) {
    return Array.from({ length: ny }, (_, iy) => values.subarray(iy * nx, (iy + 1) * nx));
  }

  // The path where it lies over the surface, at the surface's own height.
  function lifted(values) {
    const on = { x: [], y: [], z: [] };
    for (let i = 0; i < (path?.x.length ?? 0); i++) {
      const inside = Math.max(Math.abs(path.x[i]), Math.abs(path.y[i])) <= axis[nx - 1];
      on.x.push(inside ? path.x[i] : null);
      on.y.push(inside ? path.y[i] : null);
      on.z.push(inside ? values[nearest(axis, path.y[i]) * nx + nearest(axis, path.x[i])] : null);
    }
    return on;
  }

  function heights(values) {
    return (inputs.points ?? [["θ*", 0, 0]]).map(([, x, y]) => values[nearest(axis, y) * nx + nearest(axis, x)]);
  }

  function ringAt(index) {
    if (index === chosen) return;
    chosen = index;
    for (const name of OBJECTIVES) charts[name].rebuild = true;
    refresh(OBJECTIVES);
  }

  // The point that was clicked, as coordinates of a trace.
  function ring(values) {
    if (chosen === null) return { x: [], y: [], z: [] };
    return { x: [axis[chosen % nx]], y: [axis[Math.floor(chosen / nx)]], z: [values[chosen]] };
  }

  function extent(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (!Number.isFinite(value)) continue;  // at the largest λ the objective overflows; there is a gap
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [0, 1];
    return low < high ? [low, high] : [low - 0.5, high + 0.5];
  }

  function ranges() {
    const each = OBJECTIVES.map((name) => extent(root.landscapeValues[name]));
    if (!shared) return Object.fromEntries(OBJECTIVES.map((name, i) => [name, each[i]]));
    const common = [Math.min(...each.map((r) => r[0])), Math.max(...each.map((r) => r[1]))];
    return Object.fromEntries(OBJECTIVES.map((name) => [name, common]));
  }

  function contourLevels([low, high]) {
    if (high - low > LARGEST_RANGE) return { start: 1, end: 0, size: 1 };  // Plotly's interpolation would overflow
    const rough = (high - low) / 9;
    const power = 10 ** Math.floor(Math.log10(rough));
    const size = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
    return { start: Math.ceil(low / size) * size, end: Math.floor(high / size) * size, size };
  }

  function colorbar() {
    return {
      thickness: 8, len: 0.94, x: 1.02, xpad: 0, ypad: 0, outlinewidth: 0, nticks: 6, tickfont: { size: 10, color: themes.theme.muted },
      title: { text: "nats", side: "right", font: { size: 11, color: themes.theme.muted } },
    };
  }

  function panelFigure(name, range) {
    const values = root.landscapeValues[name];
    const z = rows(values);
    const x = Array.from(axis);
    const points = inputs.points ?? [["θ*", 0, 0]];
    const label = name.toUpperCase();
    const ticks = piTicks(axis);
    const titles = [{ text: inputs.axis_label_x ?? "" }, { text: inputs.axis_label_y ?? "" }];
    if (mode === "3d") {
      const data = [
        { type: "surface", x, y: x, z, cmin: range[0], cmax: range[1], colorscale: "Cividis", colorbar: colorbar(),
          lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05 }, hovertemplate: `%{z:.3~s} nats<extra>${label}</extra>`,
          contours: { x: { highlight: false }, y: { highlight: false }, z: { highlight: false } } },
        { type: "scatter3d", mode: "lines", ...lifted(root.landscapeValues[name]), line: { color: "#FF7A59", width: 5 }, hoverinfo: "skip" },
        { type: "scatter3d", mode: "markers+text", x: points.map((p) => p[1]), y: points.map((p) => p[2]), z: heights(values), text: points.map((p) => p[0]), textposition: "top center",
          textfont: { size: 14, color: themes.theme.text }, marker: { symbol: "cross", size: 4, color: themes.theme.text }, hoverinfo: "skip" },
        { type: "scatter3d", mode: "markers", ...ring(values), marker: { symbol: "circle-open", size: 7, color: themes.theme.text }, hoverinfo: "skip" },
      ];
      const side = (title) => ({ ...ticks, title: { text: title.text.split(/[,(]/)[0].trim(), font: { size: 10 } }, tickfont: { size: 10 }, showspikes: false });
      const layout = {
        autosize: true, margin: { ...SCENE_MARGIN }, uirevision: `3d-${grid}`, showlegend: false,
        scene: { xaxis: side(titles[0]), yaxis: side(titles[1]), zaxis: { title: { text: "" }, tickfont: { size: 10 }, nticks: 5, range: [...range], showspikes: false },
          aspectmode: "manual", aspectratio: { x: 1, y: 1, z: 0.7 }, camera: structuredClone(camera) },
      };
      return { data, layout };
    }
    const halo = (color) => ({ color, width: 1.6 });
    const ends = path ? { x: [path.x[0]], y: [path.y[0]] } : { x: [], y: [] };
    const data = [
      { type: "heatmap", x, y: x, z, zmin: range[0], zmax: range[1], zsmooth: "fast", colorscale: "Cividis", colorbar: colorbar(), hoverinfo: "none" },
      { type: "contour", x, y: x, z, visible: !light, autocontour: false, showscale: false, hoverinfo: "skip",
        contours: { coloring: "none", ...contourLevels(range) }, line: { width: 0.7, color: "rgba(255,255,255,0.5)", smoothing: 0 } },
      { type: "scatter", mode: "lines", ...arrows(name), line: { color: "rgba(255,255,255,0.9)", width: 1.2 }, hoverinfo: "skip" },
      { type: "scatter", mode: "lines", x: Array.from(path?.x ?? []), y: Array.from(path?.y ?? []), line: halo("#FF7A59"), hoverinfo: "skip" },
      { type: "scatter", mode: "markers", ...ends, marker: { symbol: "circle", size: 8, color: "#FF7A59", line: { color: "#fff", width: 1.2 } }, hoverinfo: "skip" },
      { type: "scatter", mode: "markers+text", x: points.map((p) => p[1]), y: points.map((p) => p[2]), text: points.map((p) => p[0]), textposition: "top right", hoverinfo: "skip",
        textfont: { size: 13, color: "#111", shadow: "0 0 3px #fff, 0 0 3px #fff, 0 0 5px #fff" },
        marker: { symbol: "cross", size: 9, color: "#111", line: { color: "#fff", width: 1.2 } } },
      ...["#fff", "#111"].map((color, i) => ({ type: "scatter", mode: "markers", x: ring(values).x, y: ring(values).y, hoverinfo: "skip",
        marker: { symbol: "circle-open", size: 14, color, line: { width: 5 - 3 * i } } })),
    ];
    const side = (title) => ({ ...ticks, title: { ...title, standoff: 4 }, range: [axis[0], axis[nx - 1]], constrain: "domain", zeroline: false, showgrid: false, ticks: "outside", ticklen: 3 });
    const layout = {
      autosize: true, margin: { ...PANEL_MARGIN }, uirevision: `2d-${grid}`, showlegend: false, hovermode: "closest",
      xaxis: side(titles[0]), yaxis: { ...side(titles[1]), scaleanchor: "x" },
    };
    return { data, layout };
  }

  function drawPanel(chart, range) {
    const { name, div } = chart;
    if (chart.grid !== grid || chart.mode !== mode || chart.rebuild) {
      const keep = chart.rebuild && chart.grid === grid && chart.mode === mode ? chart.layout : null;
      const figure = panelFigure(name, range);
      Object.assign(chart, { grid, mode, light, rebuild: false, layout: applyTheme(keep ?? figure.layout, themes.theme) });
      Plotly.react(div, figure.data, chart.layout, PLOT_CONFIG);
      if (!chart.listening) listen(chart);
      return;
    }
    const z = rows(root.landscapeValues[name]);
    if (mode === "3d") {
      const levels = heights(root.landscapeValues[name]);
      chart.layout.scene.zaxis.range = [...range];
      const values = root.landscapeValues[name];
      const [surface, way, marks, circle] = div.data;
      const figure = [{ ...surface, z, cmin: range[0], cmax: range[1] }, { ...way, ...lifted(values) }, { ...marks, z: levels }, { ...circle, ...ring(values) }];
      Plotly.react(div, figure, chart.layout, PLOT_CONFIG);
      return;
    }
    const { start, end, size } = contourLevels(range);
    const began = performance.now();
    const own = field ? arrows(name) : {};  // undefined means no change
    Plotly.restyle(div, {
      z: [z, z, undefined], visible: [true, !light, true], zmin: [range[0], undefined, undefined], zmax: [range[1], undefined, undefined],
      "contours.start": [undefined, start, undefined], "contours.end": [undefined, end, undefined], "contours.size": [undefined, size, undefined],
      x: [undefined, undefined, own.x], y: [undefined, undefined, own.y],
    }, [0, 1, 2]);
    chart.light = light;
    if (!light) slow = performance.now() - began > SLOW_PANEL_MS;
  }

  // On a slow machine the contour lines wait until the slider rests.
  function settle() {
    light = false;
    refresh(OBJECTIVES.filter((name) => charts[name].light));
  }

  function smallFigure(name) {
    if (name === "weights") {
      const weights = correlatorWeights();
      const share = weights.map((w) => (weights[0] > 0 ? w / weights[0] : 0));
      return {
        data: [
          { type: "bar", x: weights.map((_, i) => i + 1), y: share, marker: { color: OBJECTIVE_COLORS.selbo }, hovertemplate: "weight of order %{x}: %{y:.3~g}<extra></extra>" },
          { type: "scatter", mode: "markers", x: weights.map((_, i) => i + 1), y: Array.from(correlators.subarray((hover ?? centre) * n, ((hover ?? centre) + 1) * n)),
            marker: { symbol: "circle-open", size: 8, color: themes.theme.text, line: { width: 1.5 } }, hovertemplate: "W of order %{x}: %{y:.3~g}<extra></extra>" },
        ],
        layout: {
          xaxis: { title: { text: "correlator order w (bits)", standoff: 4 }, dtick: n > 20 ? 2 : 1, range: [0.4, n + 0.6], showgrid: false, fixedrange: true },
          yaxis: { type: "log", range: [Math.log10(SMALLEST_WEIGHT), Math.max(0.6, 0.3 * n)], tickvals: [1e6, 1e3, 1, 1e-3, 1e-6, 1e-9, 1e-12], ticktext: ["10⁶", "10³", "1", "10⁻³", "10⁻⁶", "10⁻⁹", "10⁻¹²"], title: { text: "weight, W", standoff: 4 }, fixedrange: true },
        },
      };
    }
    const d = Array.from({ length: n + 1 }, (_, i) => i);
    return {
      data: [{ type: "scatter", mode: "lines+markers", x: d, y: d.map((i) => Math.exp(-i / (h * h))), line: { color: OBJECTIVE_COLORS.selbo, width: 2 },
        marker: { size: 5 }, hovertemplate: "d = %{x}: %{y:.3~g}<extra></extra>" }],
      layout: {
        xaxis: { title: { text: "Hamming distance d (bits)", standoff: 4 }, dtick: n > 20 ? 2 : 1, range: [-0.4, n + 0.4], showgrid: false, zeroline: false, fixedrange: true },
        yaxis: { range: [0, 1.06], dtick: 0.5, rangemode: "tozero", title: { text: "k(d)", standoff: 4 }, fixedrange: true },
      },
    };
  }

  function drawSmall(chart) {
    const figure = smallFigure(chart.name);
    if (chart.n !== n || chart.rebuild) {
      chart.layout = applyTheme({ ...figure.layout, autosize: true, margin: { ...SMALL_MARGIN }, showlegend: false, bargap: 0.35, uirevision: n }, themes.theme);
      Object.assign(chart, { n, rebuild: false });
      Plotly.react(chart.div, figure.data, chart.layout, PLOT_CONFIG);
    } else {
      Plotly.restyle(chart.div, { y: figure.data.map((trace) => trace.y) }, figure.data.map((_, i) => i));
    }
  }

  function drawFrame() {
    if (destroyed || !ell) return false;
    showControls();
    if (!Plotly) return false;
    if (pendingCamera) syncCameras();
    if (!stale.size) return false;
    const range = ranges();
    const start = performance.now();
    const order = Object.values(charts).filter((chart) => stale.has(chart.name)).sort((a, b) => (a.drawnAt ?? 0) - (b.drawnAt ?? 0));
    for (const chart of order) {
      stale.delete(chart.name);
      if (chart.guidance) drawSmall(chart);
      else drawPanel(chart, range[chart.name]);
      chart.drawnAt = performance.now();
      if (chart.drawnAt - start > FRAME_BUDGET_MS) break;
    }
    root.setAttribute("data-draws", ++draws);
    return stale.size > 0;
  }

  function showControls() {
    const place = ({ input, readout }, notches, value, text) => {
      const index = nearest(notches, value);
      if (!dragging && Number(input.value) !== index) input.value = index;
      input.style.setProperty("--share", Number(input.value) / (notches.length - 1));
      setText(readout, text);
      setAttribute(input, "aria-valuetext", text);
    };
    place(lambdaSlider, LAMBDAS, lambda, figures(lambda));
    place(hSlider, hNotches, h, figures(h));
    const e = Math.exp(-1 / (h * h));
    const ratio = (1 + e) / (1 - e);
    setText(charts.weights.guidance, `Bars: two bits weigh 1/${ratio < 1e5 ? figures(ratio) : "∞"} of one at h = ${figures(h)}. Circles: W, squared correlations at ${hover === null ? centreName() : "the pointer"}.`);
    setText(charts.kernel.guidance, `Similarity of two networks that differ in d bits: it falls to 1/e at d = h² = ${figures(h * h)}.`);
    showReadouts();
  }

  function centreName() {
    return (inputs.points ?? [["θ*", 0, 0]]).find(([, x, y]) => x === 0 && y === 0)?.[0] ?? "the centre";
  }

  function showReadouts() {
    const index = hover ?? centre;
    const share = (value) => `${(value / Math.PI).toFixed(2).replace("-0.00", "0.00").replace("-", "−")}π`;
    hint.hidden = component.data.point === undefined;
    setText(hint, chosen === null
      ? "Click a point to see its networks below, and to train from there."
      : `Chosen: (${share(axis[chosen % nx])}, ${share(axis[Math.floor(chosen / nx)])}). Its networks are below.`);
    const place = hover === null ? `at ${centreName()}` : `at (${share(axis[index % nx])}, ${share(axis[Math.floor(index / nx)])})`;
    for (const name of OBJECTIVES) setText(charts[name].readout, `${place}: ${figures(root.landscapeValues[name][index], 4)} nats`);
  }

  function moved(which) {
    dragging = true;
    light = slow && mode === "heatmap";
    clearTimeout(settling);
    settling = setTimeout(settle, SETTLE_MS);
    if (which === "lambda") lambda = LAMBDAS[lambdaSlider.input.value];
    else h = hNotches[hSlider.input.value];
    if (ell) changed(which === "lambda" ? ["elbo", "selbo"] : ["selbo", "weights", "kernel"]);
  }

  // A drag that ends where it began fires no "change".
  function rested() {
    dragging = false;
  }

  function released() {
    dragging = false;
    sentToPython.lambda.push(lambda);
    sentToPython.h.push(h);
    component.setStateValue("regularization", lambda);
    component.setStateValue("bandwidth", h);
    request();
  }

  function changed(names) {
    setAttribute(root, "data-lambda", lambda);
    setAttribute(root, "data-h", h);
    recombine();
    refresh(shared ? [...names, ...OBJECTIVES] : names);
  }

  function adopt(which, value) {
    if (!Number.isFinite(value) || value === fromPython[which]) return false;
    const first = fromPython[which] === undefined;
    fromPython[which] = value;
    // An answer to what was sent from here, perhaps a while ago: the slider has it, or is already further.
    const echo = sentToPython[which].indexOf(value);
    if (echo >= 0) sentToPython[which].splice(0, echo + 1);
    if (!first && (dragging || echo >= 0)) return false;
    if (which === "lambda") lambda = value;
    else h = value;
    return true;
  }

  function toggleShared() {
    shared = !shared;
    sharedSwitch.setAttribute("aria-checked", shared);
    refresh(OBJECTIVES);
  }

  function setMode(next) {
    mode = next;
    root.classList.toggle("three", mode === "3d");
    refresh(OBJECTIVES);
  }

  function indexOf(point) {
    const ix = nearest(axis, Number(point.x)), iy = nearest(axis, Number(point.y));
    return iy * nx + ix;
  }

  function listen(chart) {
    chart.listening = true;
    const isGrid = (event) => event?.points?.find((point) => point.curveNumber === 0);
    chart.div.on("plotly_hover", (event) => {
      const point = isGrid(event);
      if (!point) return;
      hover = indexOf(point);
      refresh(["weights"]);
    });
    chart.div.on("plotly_unhover", () => { hover = null; refresh(["weights"]); });
    const choose = (index) => {
      if (component.data.point === undefined) return;  // nobody shows what is there
      ringAt(index);
      component.setTriggerValue("point", { x: axis[index % nx], y: axis[Math.floor(index / nx)] });
    };
    chart.div.on("plotly_click", (event) => {
      const point = isGrid(event);
      if (point && mode === "heatmap") choose(indexOf(point));
    });
    // Plotly's 3D click samples the buttons at a rendered frame and misses short clicks.
    let pressed = null;
    chart.div.addEventListener("pointerdown", (event) => { pressed = { x: event.clientX, y: event.clientY, index: hover }; }, true);
    chart.div.addEventListener("pointerup", (event) => {
      const onScene = event.target.closest?.(".gl-container");
      const still = pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 4;
      if (mode === "3d" && onScene && still && pressed.index !== null) choose(pressed.index);
      pressed = null;
    }, true);
    const turned = (event) => {
      const view = event?.["scene.camera"];
      if (syncing || !view || mode !== "3d") return;
      camera = structuredClone(view);
      pendingCamera = chart.name;
      request();
    };
    chart.div.on("plotly_relayouting", turned);
    chart.div.on("plotly_relayout", turned);
  }

  function syncCameras() {
    const from = pendingCamera;
    pendingCamera = null;
    syncing = true;
    const moves = OBJECTIVES.filter((name) => name !== from && charts[name].mode === "3d")
      .map((name) => Plotly.relayout(charts[name].div, { "scene.camera": structuredClone(camera) }));
    Promise.allSettled(moves).then(() => { syncing = false; });
  }

  function fail(text) {
    root.classList.add("waiting");
    setText(message, text);
  }

  return {
    update(next) {
      component = next;
      const data = next.data ?? {};
      themes.check();
      setText(caption, data.caption ?? "");
      caption.hidden = !data.caption;
      if (!Plotly && data.plotly_url) {
        loadPlotly(data.plotly_url).then((library) => {
          if (destroyed || Plotly) return;
          Plotly = library;
          adoptPlotlyStyles(parent);
          sizes = watchSize(Object.values(charts).map((chart) => chart.div), Plotly);
          request();
        }, (error) => fail(`The landscape cannot be drawn: ${error.message}.`));
      }
      if (!data.expected_log_likelihood) return fail("No landscape yet.");
      try {
        const fresh = decode(data);
        root.classList.remove("waiting");
        ringAt(data.point ? indexOf({ x: data.point[0], y: data.point[1] }) : null);
        const newLambda = adopt("lambda", data.regularization);
        const newH = adopt("h", data.bandwidth ?? n / 4);
        for (const name of OBJECTIVES) charts[name].trained.hidden = name !== data.objective;
        if (fresh) changed(fresh === "frame" ? Object.keys(charts) : OBJECTIVES);
        else if (newLambda || newH) changed(newH ? ["elbo", "selbo", "weights", "kernel"] : ["elbo", "selbo"]);
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
      if (Plotly) Object.values(charts).forEach((chart) => Plotly.purge(chart.div));
      root.remove();
    },
  };
}

export default function (component) {
  return mount(views, component, createLandscape);
}
