// The figures of a landscape as Plotly takes them: functions of what is shown, without any state.
//
// view: { grid, values, lambda, h, mode, light, chosen, hover, camera, frame, theme }

import { OBJECTIVE_COLORS } from "../plots.js";
import { arrowLines, contourLevels, correlatorWeights, indexAt, pathOnSurface, piTicks, pointAt, slopes } from "./maths.js";

const PANEL_MARGIN = { l: 44, r: 58, t: 10, b: 36, autoexpand: false };
const SCENE_MARGIN = { l: 0, r: 58, t: 0, b: 4, autoexpand: false };
const SMALL_MARGIN = { l: 52, r: 10, t: 6, b: 36, autoexpand: false };
const SMALLEST_WEIGHT = 1e-12;
const PATH_COLOR = "#FF7A59";
export const CAMERA = { eye: { x: 1.85, y: -1.85, z: 1.3 }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: -0.12 } };

function colorbar(theme) {
  return {
    thickness: 8, len: 0.94, x: 1.02, xpad: 0, ypad: 0, outlinewidth: 0, nticks: 6, tickfont: { size: 10, color: theme.muted },
    title: { text: "nats", side: "right", font: { size: 11, color: theme.muted } },
  };
}

function rows({ nx, ny }, values) {
  return Array.from({ length: ny }, (_, iy) => values.subarray(iy * nx, (iy + 1) * nx));
}

// The marked points: θ*, or the optima that span the plane.
function marks({ grid }, values) {
  return {
    x: grid.points.map((point) => point[1]), y: grid.points.map((point) => point[2]),
    z: grid.points.map(([, x, y]) => values[indexAt(grid, x, y)]), text: grid.points.map((point) => point[0]),
  };
}

// The chosen point, as coordinates of a trace.
function ring({ grid, chosen }, values) {
  if (chosen === null) return { x: [], y: [], z: [] };
  const [x, y] = pointAt(grid, chosen);
  return { x: [x], y: [y], z: [values[chosen]] };
}

function arrows({ grid, lambda, h }, name) {
  return grid.field ? arrowLines(grid.field.axis, slopes(grid, name, lambda, h)) : { x: [], y: [] };
}

function flat({ x, y }) {
  return { x: [...x], y: [...y] };
}

function sceneFigure(view, name, range) {
  const { grid, theme } = view, values = view.values[name];
  const x = Array.from(grid.axis);
  const label = { color: theme.text };
  const side = (title) => ({ ...piTicks(grid.axis), title: { text: title.split(/[,(]/)[0].trim(), font: { size: 10 } }, tickfont: { size: 10 }, showspikes: false });
  return {
    data: [
      { type: "surface", x, y: x, z: rows(grid, values), cmin: range[0], cmax: range[1], colorscale: "Cividis", colorbar: colorbar(theme),
        lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05 }, hovertemplate: `%{z:.3~s} nats<extra>${name.toUpperCase()}</extra>`,
        contours: { x: { highlight: false }, y: { highlight: false }, z: { highlight: false } } },
      { type: "scatter3d", mode: "lines", ...pathOnSurface(grid, values), line: { color: PATH_COLOR, width: 5 }, hoverinfo: "skip" },
      { type: "scatter3d", mode: "markers+text", ...marks(view, values), textposition: "top center", textfont: { size: 14, ...label },
        marker: { symbol: "cross", size: 4, ...label }, hoverinfo: "skip" },
      { type: "scatter3d", mode: "markers", ...ring(view, values), marker: { symbol: "circle-open", size: 7, ...label }, hoverinfo: "skip" },
    ],
    layout: {
      autosize: true, margin: { ...SCENE_MARGIN }, uirevision: `3d-${view.frame}`, showlegend: false,
      scene: { xaxis: side(grid.labels[0]), yaxis: side(grid.labels[1]), zaxis: { title: { text: "" }, tickfont: { size: 10 }, nticks: 5, range: [...range], showspikes: false },
        aspectmode: "manual", aspectratio: { x: 1, y: 1, z: 0.7 }, camera: structuredClone(view.camera) },
    },
  };
}

function heatmapFigure(view, name, range) {
  const { grid } = view, values = view.values[name];
  const x = Array.from(grid.axis), z = rows(grid, values), points = marks(view, values), circle = flat(ring(view, values));
  const path = flat(grid.path ?? { x: [], y: [] }), lines = arrows(view, name);
  const silent = { hoverinfo: "skip" };
  const side = (title) => ({ ...piTicks(grid.axis), title: { text: title, standoff: 4 }, range: [x[0], x[grid.nx - 1]], constrain: "domain", zeroline: false, showgrid: false, ticks: "outside", ticklen: 3 });
  return {
    data: [
      { type: "heatmap", x, y: x, z, zmin: range[0], zmax: range[1], zsmooth: "fast", colorscale: "Cividis", colorbar: colorbar(view.theme), hoverinfo: "none" },
      { type: "contour", x, y: x, z, visible: !view.light, autocontour: false, showscale: false, ...silent,
        contours: { coloring: "none", ...contourLevels(range) }, line: { width: 0.7, color: "rgba(255,255,255,0.5)", smoothing: 0 } },
      // White on a dark edge: seen on the yellow and on the blue end of the scale.
      { type: "scatter", mode: "lines", ...lines, line: { color: "rgba(0,0,0,0.7)", width: 3.2 }, ...silent },
      { type: "scatter", mode: "lines", ...lines, line: { color: "#fff", width: 1.3 }, ...silent },
      { type: "scatter", mode: "lines", ...path, line: { color: PATH_COLOR, width: 1.6 }, ...silent },
      { type: "scatter", mode: "markers", x: path.x.slice(0, 1), y: path.y.slice(0, 1), marker: { symbol: "circle", size: 8, color: PATH_COLOR, line: { color: "#fff", width: 1.2 } }, ...silent },
      { type: "scatter", mode: "markers+text", x: points.x, y: points.y, text: points.text, textposition: "top right", ...silent,
        textfont: { size: 13, color: "#111", shadow: "0 0 3px #fff, 0 0 3px #fff, 0 0 5px #fff" },
        marker: { symbol: "cross", size: 9, color: "#111", line: { color: "#fff", width: 1.2 } } },
      ...["#fff", "#111"].map((color, i) => ({ type: "scatter", mode: "markers", ...circle, ...silent,
        marker: { symbol: "circle-open", size: 14, color, line: { width: 5 - 3 * i } } })),
    ],
    layout: {
      autosize: true, margin: { ...PANEL_MARGIN }, uirevision: `2d-${view.frame}`, showlegend: false, hovermode: "closest",
      xaxis: side(grid.labels[0]), yaxis: { ...side(grid.labels[1]), scaleanchor: "x" },
    },
  };
}

// One objective on the plane; range: the least and the largest colour, in nats.
export function panelFigure(view, name, range) {
  return (view.mode === "3d" ? sceneFigure : heatmapFigure)(view, name, range);
}

// The traces of a 3D panel with new values. A Plotly trace that is drawn keeps all else.
export function sceneUpdate(view, name, range, [surface, path, points, circle]) {
  const values = view.values[name];
  return [
    { ...surface, z: rows(view.grid, values), cmin: range[0], cmax: range[1] }, { ...path, ...pathOnSurface(view.grid, values) },
    { ...points, z: marks(view, values).z }, { ...circle, ...ring(view, values) },
  ];
}

// What of a heatmap changes with the values: a restyle of its first traces (undefined means no change).
export function heatmapUpdate(view, name, range) {
  const z = rows(view.grid, view.values[name]);
  const { start, end, size } = contourLevels(range);
  const { x, y } = view.grid.field ? arrows(view, name) : {};
  return [{
    z: [z, z, undefined, undefined], visible: [true, !view.light, true, true],
    zmin: [range[0], undefined, undefined, undefined], zmax: [range[1], undefined, undefined, undefined],
    "contours.start": [undefined, start, undefined, undefined], "contours.end": [undefined, end, undefined, undefined],
    "contours.size": [undefined, size, undefined, undefined], x: [undefined, undefined, x, x], y: [undefined, undefined, y, y],
  }, [0, 1, 2, 3]];
}

function smallLayout(n, xaxis, yaxis) {
  return {
    xaxis: { dtick: n > 20 ? 2 : 1, showgrid: false, fixedrange: true, ...xaxis }, yaxis: { fixedrange: true, ...yaxis },
    autosize: true, margin: { ...SMALL_MARGIN }, showlegend: false, bargap: 0.35, uirevision: n,
  };
}

// The weight of each order, and the squared correlations at a point.
export function weightsFigure({ grid, h, theme }, index) {
  const { n } = grid, weights = Array.from(correlatorWeights(n, h));
  const orders = weights.map((_, i) => i + 1), share = weights.map((w) => (weights[0] > 0 ? w / weights[0] : 0));
  return {
    data: [
      { type: "bar", x: orders, y: share, marker: { color: OBJECTIVE_COLORS.selbo }, hovertemplate: "weight of order %{x}: %{y:.3~g}<extra></extra>" },
      { type: "scatter", mode: "markers", x: orders, y: Array.from(grid.correlators.subarray(index * n, (index + 1) * n)),
        marker: { symbol: "circle-open", size: 8, color: theme.text, line: { width: 1.5 } }, hovertemplate: "W of order %{x}: %{y:.3~g}<extra></extra>" },
    ],
    layout: smallLayout(n, { title: { text: "correlator order w (bits)", standoff: 4 }, range: [0.4, n + 0.6] }, {
      type: "log", range: [Math.log10(SMALLEST_WEIGHT), Math.max(0.6, 0.3 * n)], tickvals: [1e6, 1e3, 1, 1e-3, 1e-6, 1e-9, 1e-12],
      ticktext: ["10⁶", "10³", "1", "10⁻³", "10⁻⁶", "10⁻⁹", "10⁻¹²"], title: { text: "weight, W", standoff: 4 },
    }),
  };
}

// The kernel as a function of the Hamming distance.
export function kernelFigure({ grid: { n }, h }) {
  const d = Array.from({ length: n + 1 }, (_, i) => i);
  return {
    data: [{ type: "scatter", mode: "lines+markers", x: d, y: d.map((i) => Math.exp(-i / (h * h))), line: { color: OBJECTIVE_COLORS.selbo, width: 2 },
      marker: { size: 5 }, hovertemplate: "d = %{x}: %{y:.3~g}<extra></extra>" }],
    layout: smallLayout(n, { title: { text: "Hamming distance d (bits)", standoff: 4 }, range: [-0.4, n + 0.4], zeroline: false },
      { range: [0, 1.06], dtick: 0.5, rangemode: "tozero", title: { text: "k(d)", standoff: 4 } }),
  };
}
