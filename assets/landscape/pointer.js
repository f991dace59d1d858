// The pointer on the panels: hovering, choosing a point, turning a surface.

import { indexAt } from "./maths.js";

const CLICK_PIXELS = 4;

// events: onHover(index or null), onChoose(index), onTurn(chart, camera)
export function listenTo(chart, view, events) {
  const indexOf = (event) => {
    const point = event?.points?.find(({ curveNumber }) => curveNumber === 0);
    return point ? indexAt(view.grid, Number(point.x), Number(point.y)) : null;
  };
  chart.div.on("plotly_hover", (event) => {
    const index = indexOf(event);
    if (index !== null) events.onHover(index);
  });
  chart.div.on("plotly_unhover", () => events.onHover(null));
  chart.div.on("plotly_click", (event) => {
    const index = indexOf(event);
    if (index !== null && view.mode === "heatmap") events.onChoose(index);
  });
  // Plotly's 3D click samples the buttons at a rendered frame and misses short clicks.
  let pressed = null;
  chart.div.addEventListener("pointerdown", (event) => { pressed = { x: event.clientX, y: event.clientY, index: view.hover }; }, true);
  chart.div.addEventListener("pointerup", (event) => {
    const onScene = event.target.closest?.(".gl-container");
    const still = pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < CLICK_PIXELS;
    if (view.mode === "3d" && onScene && still && pressed.index !== null) events.onChoose(pressed.index);
    pressed = null;
  }, true);
  const turned = (event) => {
    if (event?.["scene.camera"] && view.mode === "3d") events.onTurn(chart, event["scene.camera"]);
  };
  chart.div.on("plotly_relayouting", turned);
  chart.div.on("plotly_relayout", turned);
}
