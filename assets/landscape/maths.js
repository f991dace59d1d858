// The numbers of a landscape, without a document and without Plotly. Tested against Python's `scan.values`.

import { decodeFloat64 } from "../plots.js";

export const OBJECTIVES = ["mle", "elbo", "selbo"];
const LARGEST_RANGE = 1e300;

// Stops of the slider of λ: 0, then 20 in each factor of 10 from 0.001 to 1000.
export const LAMBDAS = [0, ...Array.from({ length: 121 }, (_, i) => Number((10 ** (-3 + i / 20)).toPrecision(3)))];

// Stops of the slider of h, evenly spaced in log h; one of them is n/4 exactly.
export function bandwidthNotches(n) {
  const low = 0.25, high = Math.max(14, n), quarter = n / 4, count = 200;
  const notches = Array.from({ length: count + 1 }, (_, i) => Number((low * (high / low) ** (i / count)).toPrecision(3)));
  notches[nearest(notches, quarter)] = quarter;
  return notches;
}

// The index of the value that is nearest to the target.
export function nearest(values, target) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - target) < Math.abs(values[best] - target)) best = i;
  return best;
}

// A number as text, with that many significant digits.
export function significant(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e").replaceAll("-", "−");
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(decimals).replace("-", "−");
}

// An angle in radians as text, in units of π.
export function inPi(value) {
  return `${(value / Math.PI).toFixed(2).replace("-0.00", "0.00").replace("-", "−")}π`;
}

// Ticks of an axis in radians, at simple fractions of π.
export function piTicks(axis) {
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

function decodeParts(part) {
  return part ? Object.fromEntries(Object.entries(part).map(([key, text]) => [key, decodeFloat64(text)])) : null;
}

// The grid that Python sent: float64 arrays, row by row; throws where they do not fit together.
export function decodeGrid(data) {
  const [ny, nx] = data.shape;
  const grid = {
    nx, ny, n: data.n_qubits,
    labels: [data.axis_label_x ?? "", data.axis_label_y ?? ""],
    points: data.points ?? [["θ*", 0, 0]],
    axis: decodeFloat64(data.axis),
    likelihood: decodeFloat64(data.expected_log_likelihood),
    entropy: decodeFloat64(data.entropy),
    correlators: decodeFloat64(data.correlators),
    path: decodeParts(data.path),
    field: decodeParts(data.field),
  };
  const { axis, likelihood, entropy, correlators, n } = grid;
  const problem = axis.length !== nx ? "axis" : likelihood.length !== nx * ny ? "expected_log_likelihood"
    : entropy.length !== nx * ny ? "entropy" : correlators.length !== nx * ny * n ? "correlators" : null;
  if (problem) throw new Error(`${problem} does not fit the grid ${ny} x ${nx} of ${n} qubits`);
  return grid;
}

// The index of the grid point nearest to (x, y).
export function indexAt(grid, x, y) {
  return nearest(grid.axis, y) * grid.nx + nearest(grid.axis, x);
}

// The coordinates of a grid point, in radians.
export function pointAt(grid, index) {
  return [grid.axis[index % grid.nx], grid.axis[Math.floor(index / grid.nx)]];
}

// MMD² between q and the uniform prior is the sum over orders w = 1..n of weight[w - 1] * W_w, where W_w are the
// squared correlations of q of that order; the weights depend on the width h of the kernel alone.
export function correlatorWeights(n, h) {
  const e = Math.exp(-1 / (h * h));
  return Float64Array.from({ length: n }, (_, i) => ((1 + e) / 2) ** (n - i - 1) * ((1 - e) / 2) ** (i + 1));
}

// How many times as much as two correlated bits a single bit weighs.
export function weightRatio(h) {
  const e = Math.exp(-1 / (h * h));
  return (1 + e) / (1 - e);
}

// The three objectives at every grid point, in nats.
export function objectiveValues(grid, lambda, h) {
  const { likelihood, entropy, correlators, n } = grid;
  const weights = correlatorWeights(n, h), constant = n * Math.LN2;
  const elbo = new Float64Array(likelihood.length), selbo = new Float64Array(likelihood.length);
  for (let i = 0, k = 0; i < likelihood.length; i++) {
    elbo[i] = likelihood[i] - lambda * (constant - entropy[i]);
    let distance = 0;
    for (let w = 0; w < n; w++, k++) distance += weights[w] * correlators[k];
    selbo[i] = likelihood[i] - lambda * distance;
  }
  return { mle: likelihood, elbo, selbo };
}

// The gradient of an objective along the plane, at every point of the coarser grid of `grid.field`: x, y, x, y, ...
export function slopes(grid, objective, lambda, h) {
  const { field, n } = grid, weights = correlatorWeights(n, h);
  return field.expected_log_likelihood.map((likelihood, i) => {
    if (objective === "elbo") return likelihood + lambda * field.entropy[i];
    let slope = likelihood;
    if (objective === "selbo") for (let w = 0; w < n; w++) slope -= lambda * weights[w] * field.correlators[i * n + w];
    return slope;
  });
}

// Arrows on the points of an axis squared, as one line with gaps: a list of x and one of y.
export function arrowLines(axis, gradient) {
  const x = [], y = [], count = axis.length, step = axis[1] - axis[0];
  let longest = 0;
  for (let i = 0; i < gradient.length; i += 2) longest = Math.max(longest, Math.hypot(gradient[i], gradient[i + 1]));
  if (!(longest > 0)) return { x, y };
  for (let i = 0; i < count * count; i++) {
    const size = Math.hypot(gradient[2 * i], gradient[2 * i + 1]);
    if (size < 1e-6 * longest) continue;
    const length = 0.9 * step * Math.sqrt(size / longest);  // the root makes short arrows visible
    const [ux, uy] = [gradient[2 * i] / size, gradient[2 * i + 1] / size];
    const [x0, y0] = [axis[i % count] - (ux * length) / 2, axis[Math.floor(i / count)] - (uy * length) / 2];
    const [x1, y1, head] = [x0 + ux * length, y0 + uy * length, 0.35 * length];
    const wing = (side) => [x1 - head * (ux + side * 0.6 * uy), y1 - head * (uy - side * 0.6 * ux)];
    const [left, right] = [wing(1), wing(-1)];
    x.push(x0, x1, null, left[0], x1, right[0], null);
    y.push(y0, y1, null, left[1], y1, right[1], null);
  }
  return { x, y };
}

// The training path at the height of the surface; null where it leaves the grid.
export function pathOnSurface(grid, values) {
  const { path, axis, nx } = grid, on = { x: [], y: [], z: [] };
  for (let i = 0; i < (path?.x.length ?? 0); i++) {
    const inside = Math.max(Math.abs(path.x[i]), Math.abs(path.y[i])) <= axis[nx - 1];
    on.x.push(inside ? path.x[i] : null);
    on.y.push(inside ? path.y[i] : null);
    on.z.push(inside ? values[indexAt(grid, path.x[i], path.y[i])] : null);
  }
  return on;
}

// The least and the largest finite value, never the same: at the largest λ the objective overflows.
export function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

// The colour range of each objective, or one for all.
export function colorRanges(values, shared) {
  const each = OBJECTIVES.map((name) => extent(values[name]));
  const common = [Math.min(...each.map((r) => r[0])), Math.max(...each.map((r) => r[1]))];
  return Object.fromEntries(OBJECTIVES.map((name, i) => [name, shared ? common : each[i]]));
}

// About ten contour lines at round numbers; none where Plotly's interpolation would overflow.
export function contourLevels([low, high]) {
  if (high - low > LARGEST_RANGE) return { start: 1, end: 0, size: 1 };
  const rough = (high - low) / 9;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  return { start: Math.ceil(low / size) * size, end: Math.floor(high / size) * size, size };
}
