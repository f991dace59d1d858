// Brings the figures of a landscape to the screen, as many in each frame as there is time for.

import { PLOT_CONFIG, applyTheme } from "../plots.js";
import { heatmapUpdate, kernelFigure, panelFigure, sceneUpdate, weightsFigure } from "./figures.js";
import { OBJECTIVES, colorRanges } from "./maths.js";

const FRAME_BUDGET_MS = 16;
const SLOW_PANEL_MS = 14;

// charts: of elements.js; view: see figures.js; listen(chart): called once for each panel, after it is first drawn.
export function createDrawing(charts, view, listen) {
  let Plotly = null, draws = 0, syncing = false, turned = null;
  const stale = new Set();

  function drawPanel(chart, range) {
    const { name, div } = chart;
    const same = chart.frame === view.frame && chart.mode === view.mode;
    if (!same || chart.rebuild) {
      const figure = panelFigure(view, name, range);
      const layout = same ? chart.layout : figure.layout;  // the same object keeps the zoom
      Object.assign(chart, { frame: view.frame, mode: view.mode, light: view.light, rebuild: false, layout: applyTheme(layout, view.theme) });
      Plotly.react(div, figure.data, chart.layout, PLOT_CONFIG);
      if (!chart.listening) listen(chart);
      chart.listening = true;
    } else if (view.mode === "3d") {
      chart.layout.scene.zaxis.range = [...range];
      Plotly.react(div, sceneUpdate(view, name, range, div.data), chart.layout, PLOT_CONFIG);
    } else {
      const began = performance.now();
      Plotly.restyle(div, ...heatmapUpdate(view, name, range));
      chart.light = view.light;
      if (!view.light) view.slow = performance.now() - began > SLOW_PANEL_MS;
    }
  }

  function drawSmall(chart) {
    const figure = chart.name === "weights" ? weightsFigure(view, view.hover ?? view.centre) : kernelFigure(view);
    if (chart.n !== view.grid.n || chart.rebuild) {
      Object.assign(chart, { n: view.grid.n, rebuild: false, layout: applyTheme(figure.layout, view.theme) });
      Plotly.react(chart.div, figure.data, chart.layout, PLOT_CONFIG);
    } else {
      Plotly.restyle(chart.div, { y: figure.data.map((trace) => trace.y) }, figure.data.map((_, i) => i));
    }
  }

  function syncCameras() {
    const from = turned;
    turned = null;
    syncing = true;
    const moves = OBJECTIVES.filter((name) => name !== from && charts[name].mode === "3d")
      .map((name) => Plotly.relayout(charts[name].div, { "scene.camera": structuredClone(view.camera) }));
    Promise.allSettled(moves).then(() => { syncing = false; });
  }

  return {
    get ready() { return Plotly !== null; },
    start(library) { Plotly = library; },
    mark(names) { names.forEach((name) => stale.add(name)); },
    rebuild(names) { names.forEach((name) => { charts[name].rebuild = true; stale.add(name); }); },
    // A panel was turned: the others follow at the next frame. Returns whether it was turned by hand.
    follow(name, camera) {
      if (syncing) return false;
      view.camera = structuredClone(camera);
      turned = name;
      return true;
    },
    // Draws what is stale, the longest waiting first; returns { draws, more }: frames drawn so far, whether any is left.
    frame() {
      if (turned) syncCameras();
      if (!stale.size) return { draws, more: false };
      const range = colorRanges(view.values, view.shared), start = performance.now();
      const order = Object.values(charts).filter((chart) => stale.has(chart.name)).sort((a, b) => (a.drawnAt ?? 0) - (b.drawnAt ?? 0));
      for (const chart of order) {
        stale.delete(chart.name);
        if (chart.guidance) drawSmall(chart);
        else drawPanel(chart, range[chart.name]);
        chart.drawnAt = performance.now();
        if (chart.drawnAt - start > FRAME_BUDGET_MS) break;
      }
      return { draws: ++draws, more: stale.size > 0 };
    },
    stop() { if (Plotly) Object.values(charts).forEach((chart) => Plotly.purge(chart.div)); },
  };
}
