import {
  PLOT_CONFIG, element, setText, setAttribute, loadPlotly, adoptPlotlyStyles, watchTheme, applyTheme, unpack,
  assignProperties, segmented, watchSize, frameLoop, mount,
} from "./plots.js";

const CHARTS = [
  ["objective", "Objective and its parts"],
  ["gradient", "Gradient magnitude and learning rate"],
  ["boundary", "Decision boundary"],
  ["histogram", "Sampled bitstrings"],
];
const FINAL_STATES = new Set(["done", "diverged", "failed", "cancelled"]);
const MOVING_STATES = new Set(["queued", "running"]);
const ICONS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  step: "M5 5v14l9-7zM16 5h3v14h-3z",
  reset: "M12 5V2L7.5 6.5 12 11V8a4.8 4.8 0 1 1-4.8 4.8H4.5A7.5 7.5 0 1 0 12 5z",
};
const REPLAY_EPOCHS_PER_SECOND = 40;
const REPLAYED = ["objective", "gradient"];
const REPLAY_WORDS = "Replay of a finished run: the curves move again; numbers, boundary and bitstrings show its end.";
const BOUNDARY_VIEWS = [["0", "mean"], ["1", "uncertainty"], ["2", "most probable"]];
const BOUNDARY_GUIDANCE = [null, "how far its sampled networks disagree.", "the one network with the largest q."];
const FRAME_BUDGET_MS = 28;
const MAX_RETRIES = 6;
const views = new WeakMap();

function control(icon, label, onPress, title = "") {
  const button = element("button", { class: `control ${icon}`, type: "button", title });
  button.append(element("span", { class: "icon", "aria-hidden": "true" }), element("span", { class: "label" }));
  button.addEventListener("click", onPress);
  showControl(button, icon, label);
  return button;
}

function showControl(button, icon, label) {
  if (button.dataset.icon !== icon) {
    button.dataset.icon = icon;
    button.firstElementChild.innerHTML = `<svg viewBox="0 0 24 24" width="18" height="18" fill="currentColor"><path d="${ICONS[icon]}"/></svg>`;
  }
  setText(button.lastElementChild, label);
}

function createLiveRun(parent) {
  const host = parent.host ?? parent;
  let Plotly = null, sizes = null, boundaryView = 0, draws = 0, destroyed = false;
  let url, source = null, retries = 0, retryTimer = 0;
  let status = null, statusDirty = false, run = null, shades = null, shadesDirty = false;
  let act = () => {}, canReset = false, replay = null, replayAsked = 0, replayDue = false;

  const dot = element("i", { class: "dot", "aria-hidden": "true" });
  const word = element("span", { class: "word", "aria-live": "polite" });
  const epoch = element("b", { class: "count", "data-count": "" });
  const epochs = element("span", { class: "epoch" });
  const buttons = {
    play: control("play", "Play", play),
    step: control("step", "Step", () => act("step"), "One epoch"),
    reset: control("reset", "Reset", () => act("reset"),
      "Back to epoch 0 with the settings as they stand; the same seed keeps its initial angles"),
  };
  const transport = element("div", { class: "transport", role: "group", "aria-label": "The run on show" },
    ...Object.values(buttons), element("span", { class: "counter" }, epoch, epochs));
  const note = element("span", { class: "note", text: "reconnecting", hidden: "" });
  const numbers = element("dl", { class: "numbers" });
  const config = element("span", { class: "config" });
  const message = element("span", { class: "message", hidden: "" });
  const fill = element("i");
  const bar = element("div", { class: "bar", role: "progressbar", "aria-label": "Epochs", "aria-valuemin": 0 }, fill);
  const head = element("header", { class: "head" },
    element("div", { class: "line" }, transport, element("div", { class: "state" }, dot, word, note), numbers),
    element("p", { class: "about" }, config, message), bar);
  const placeholder = element("p", { class: "placeholder" });
  const circuit = element("div", { class: "circuit", role: "img", "aria-label": "Circuit, gates shaded by gradient magnitude", hidden: "" });

  const charts = {};
  const grid = element("div", { class: "grid" });
  for (const [name, title] of CHARTS) {
    const div = element("div", { class: "chart", "data-chart": name, role: "group", "aria-label": `${title}, chart` });
    const guidance = element("p", { class: "guidance" });
    const heading = element("h3", { text: title });
    const top = element("div", { class: "title" }, heading);
    if (name === "boundary") top.append(segmented("Decision boundary shows", BOUNDARY_VIEWS, "0", chooseBoundary));
    const body = element("div", { class: "body" }, div, name === "gradient" && circuit);
    grid.append(element("section", { class: `cell ${name}` }, top, guidance, body));
    charts[name] = { name, title, heading, div, guidance, data: null, layout: null, dirty: false, drawnAt: 0, revision: 0 };
  }
  const root = element("div", { class: "qhn live waiting", "data-state": "idle", "data-epoch": 0, "data-draws": 0 }, head, grid, placeholder);
  parent.append(root);

  const themes = watchTheme(host, () => {
    for (const chart of Object.values(charts)) if (chart.layout) markDirty(chart, applyTheme(chart.layout, themes.theme));
  });
  const request = frameLoop(drawFrame);

  function markDirty(chart) {
    chart.dirty = true;
    request();
  }

  function drawFrame() {
    if (destroyed) return false;
    if (statusDirty) showStatus();
    if (shadesDirty) showShades();
    if (!Plotly) return false;
    if (replayDue && status && charts.objective.data) startReplay();
    if (replay && !replay.paused) showReplay();
    const dirty = Object.values(charts).filter((chart) => chart.dirty).sort((a, b) => a.drawnAt - b.drawnAt);
    if (!dirty.length) return Boolean(replay && !replay.paused);
    const start = performance.now();
    for (const chart of dirty) {
      chart.dirty = false;
      chart.layout.datarevision = ++chart.revision;
      showSinglePoints(chart.data);
      // Plotly's `react` keeps the room that an axis had for the data of another run.
      (chart.fresh ? Plotly.newPlot : Plotly.react)(chart.div, chart.data, chart.layout, PLOT_CONFIG);
      chart.fresh = false;
      chart.drawnAt = performance.now();
      if (chart.drawnAt - start > FRAME_BUDGET_MS) break;
    }
    root.setAttribute("data-draws", ++draws);
    return Boolean(replay && !replay.paused) || dirty.some((chart) => chart.dirty);
  }

  // The button does what its label says at that moment: the label follows the run, not the page.
  function play() {
    if (replay) {
      replay.paused = !replay.paused;
      replay.from = performance.now() - (1000 * replay.epoch) / REPLAY_EPOCHS_PER_SECOND;
      showStatus();
      request();
    } else if (status?.state === "done" || status?.state === "diverged") {
      replayDue = true;
      request();
    } else {
      act(MOVING_STATES.has(status?.state) ? "pause" : "play");
    }
  }

  // A finished run is played again from its history, which the curves hold.
  function startReplay() {
    replayDue = false;
    const whole = REPLAYED.map((name) => charts[name].data.map(({ x, y }) => ({ x, y })));
    replay = { from: performance.now(), epoch: 0, paused: false, whole };
    showStatus();
  }

  function showReplay() {
    const now = Math.floor(((performance.now() - replay.from) / 1000) * REPLAY_EPOCHS_PER_SECOND);
    if (now >= (status?.epoch ?? 0)) return endReplay();
    if (now === replay.epoch) return;
    replay.epoch = now;
    drawReplay((x) => x <= now);
    showStatus();
  }

  function drawReplay(shown) {
    REPLAYED.forEach((name, place) => {
      replay.whole[place].forEach(({ x, y }, index) => {
        const until = x ? x.findLastIndex(shown) + 1 : 0;
        Object.assign(charts[name].data[index], { x: x?.slice(0, until), y: y?.slice(0, until) });
      });
      markDirty(charts[name]);
    });
  }

  function endReplay() {
    if (!replay) return;
    drawReplay(() => true);
    replay = null;
    showStatus();
  }

  // A line of one point is no line: after the first epoch there is a dot.
  function showSinglePoints(traces) {
    for (const trace of traces) {
      if (trace.mode?.startsWith("lines") && trace.line?.width) trace.mode = trace.x?.length === 1 ? "lines+markers" : "lines";
    }
  }

  function chooseBoundary(value) {
    boundaryView = Number(value);
    if (status) showGuidance();
    if (!charts.boundary.data) return;
    applyBoundary();
    markDirty(charts.boundary);
  }

  function applyBoundary() {
    charts.boundary.data?.slice(0, 3).forEach((trace, index) => { trace.visible = index === boundaryView; });
  }

  function setFigure(chart, figure) {
    chart.data = unpack(figure.data ?? []);
    const layout = unpack(figure.layout ?? {});
    delete layout.width;
    delete layout.height;
    delete layout.title;
    Object.assign(layout, { autosize: true, uirevision: layout.uirevision ?? run ?? "run" });
    setText(chart.heading, layout.meta?.title ?? chart.title);
    layout.margin ??= { l: 52, r: 14, t: 8, b: 36 };
    for (const name of ["xaxis", "yaxis"]) layout[name] ??= {};
    const axes = Object.entries(layout).filter(([key]) => /^[xy]axis\d*$/.test(key)).map(([, axis]) => axis);
    if (axes.some((axis) => axis.scaleanchor)) axes.forEach((axis) => { axis.constrain ??= "domain"; });
    chart.layout = applyTheme(layout, themes.theme);
    if (chart.name === "boundary") applyBoundary();
    markDirty(chart);
  }

  function onSnapshot(snapshot) {
    replay = null;
    const another = run !== (snapshot.run ?? null);
    run = snapshot.run ?? null;
    for (const [name, figure] of Object.entries(snapshot.figures ?? {})) {
      if (!charts[name] || !figure) continue;
      charts[name].fresh ||= another;
      setFigure(charts[name], figure);
    }
    if (snapshot.circuit !== undefined) setCircuit(snapshot.circuit);
    if (snapshot.shades) setShades(snapshot.shades);
    root.classList.remove("waiting");
    setStatus(snapshot.status);
  }

  function onDelta(delta) {
    endReplay();
    for (const [name, columns] of Object.entries(delta.extend ?? {})) {
      const chart = charts[name];
      if (!chart?.data || !columns) continue;
      for (const [key, perTrace] of Object.entries(columns)) {
        perTrace.forEach((values, index) => {
          const trace = chart.data[index];
          if (!trace || !values) return;
          const items = unpack(values);
          if (Array.isArray(trace[key])) trace[key].push(...items);
          else trace[key] = [...items];
        });
      }
      markDirty(chart);
    }
    for (const [name, traces] of Object.entries(delta.restyle ?? {})) {
      const chart = charts[name];
      if (!chart?.data || !traces) continue;
      traces.forEach((properties, index) => {
        if (properties && chart.data[index]) assignProperties(chart.data[index], unpack(properties));
      });
      if (name === "boundary") applyBoundary();
      markDirty(chart);
    }
    if (delta.shades) setShades(delta.shades);
    setStatus(delta.status);
  }

  function setStatus(next) {
    if (!next) return;
    status = next;
    statusDirty = true;
    setAttribute(root, "data-state", status.state);
    setAttribute(root, "data-epoch", status.epoch ?? 0);
    request();
  }

  function showStatus() {
    statusDirty = false;
    const words = replay ? REPLAY_WORDS : status.message, at = replay?.epoch ?? status.epoch ?? 0;
    setText(word, replay ? "replay" : status.state);
    setText(epoch, at);
    setText(epochs, status.epochs ? `/ ${status.epochs}` : "");
    setText(config, status.config ?? "");
    setText(message, words ?? "");
    message.hidden = !words;
    const share = status.epochs ? Math.min(1, at / status.epochs) : 0;
    fill.style.transform = `scaleX(${share})`;
    setAttribute(bar, "aria-valuemax", status.epochs ?? 0);
    setAttribute(bar, "aria-valuenow", at);
    root.toggleAttribute("data-replay", Boolean(replay));
    showButtons();
    showGuidance();
    showNumbers(status.numbers ?? []);
  }

  function showButtons() {
    const { state } = status, moving = replay ? !replay.paused : MOVING_STATES.has(state);
    const over = FINAL_STATES.has(state), replayable = state === "done" || state === "diverged";
    showControl(buttons.play, moving ? "pause" : "play", moving ? "Pause" : "Play");
    buttons.play.disabled = over && !replayable;
    buttons.play.title = over && replayable ? "Play the finished run again, from its history" : "";
    buttons.step.disabled = over || moving;
    buttons.reset.disabled = !canReset;
  }

  function showGuidance() {
    for (const [name, text] of Object.entries(status.guidance ?? {})) {
      const other = name === "boundary" ? BOUNDARY_GUIDANCE[boundaryView] : null;
      if (charts[name]) setText(charts[name].guidance, other ? `${text.split(":")[0]}: ${other}` : text ?? "");
    }
  }

  function showNumbers(items) {
    if (items.map((item) => item.label).join("|") !== numbers.dataset.labels) {
      numbers.dataset.labels = items.map((item) => item.label).join("|");
      numbers.replaceChildren(...items.map((item) => element("div", {},
        element("dt", { text: item.label }),
        element("dd", {}, element("span", { class: "value", "data-number": item.label }),
          element("small", { "data-reference": item.label })))));
    }
    const minus = (text) => String(text ?? "–").replace(/(^| )-/, "$1−");
    items.forEach((item, index) => {
      const [value, reference] = numbers.children[index].lastElementChild.children;
      setText(value, minus(item.value));
      setText(reference, minus(item.reference ?? ""));
    });
  }

  function setCircuit(svg) {
    circuit.innerHTML = svg ?? "";
    circuit.hidden = !svg;
    const drawing = circuit.querySelector("svg");
    if (!drawing) return;
    const box = drawing.viewBox?.baseVal;
    const width = box?.width || parseFloat(drawing.getAttribute("width")) || 1;
    const height = box?.height || parseFloat(drawing.getAttribute("height")) || 1;
    if (!drawing.hasAttribute("viewBox")) drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.removeAttribute("width");
    drawing.removeAttribute("height");
    circuit.style.setProperty("--ratio", width / height);
    circuit.style.setProperty("--width", `${width}px`);
    // One of many wires would be too small below the chart; one of many layers scrolls sideways.
    circuit.parentElement.classList.toggle("beside", width / height < 2 || height > 100);
    if (shades) setShades(shades);
  }

  function setShades(next) {
    shades = next;
    shadesDirty = true;
    request();
  }

  function showShades() {
    shadesDirty = false;
    const largest = Math.max(0, ...shades.flat(2).filter(Number.isFinite));
    for (const gate of circuit.querySelectorAll("[data-gate]")) {
      const [layer, axis, qubit] = gate.dataset.gate.split("-").map(Number);
      const value = shades[layer]?.[axis]?.[qubit];
      if (!Number.isFinite(value)) continue;
      gate.style.fillOpacity = 0.06 + (largest > 0 ? (0.94 * value) / largest : 0);
      let title = gate.querySelector(":scope > title");
      if (!title) gate.prepend((title = document.createElementNS("http://www.w3.org/2000/svg", "title")));
      setText(title, `${axis ? "RZ" : "RY"}, qubit ${qubit + 1}, layer ${layer + 1}: |gradient| ${value.toPrecision(3)}`);
    }
  }

  function closeSource() {
    clearTimeout(retryTimer);
    source?.close();
    source = null;
    note.hidden = true;
  }

  function open() {
    const events = (source = new EventSource(url));
    const listen = (name, handler) => events.addEventListener(name, (event) => {
      if (events !== source) return;
      retries = 0;
      note.hidden = true;
      handler(event.data ? JSON.parse(event.data) : {});
    });
    listen("opening", ({ text }) => setPlaceholder(text));
    listen("snapshot", onSnapshot);
    listen("delta", onDelta);
    listen("status", (data) => setStatus(data.status ?? data));
    listen("end", (data) => {
      setStatus(data.status);
      closeSource();
    });
    events.addEventListener("error", () => {
      if (events !== source) return;
      if (FINAL_STATES.has(status?.state) && !root.classList.contains("waiting")) return closeSource();
      note.hidden = false;
      if (events.readyState !== EventSource.CLOSED) return;
      if (retries++ < MAX_RETRIES) {
        retryTimer = setTimeout(open, Math.min(15000, 500 * 2 ** retries));
      } else {
        setText(note, "not connected");
        setPlaceholder("The run cannot be reached. Reload the page to try again.");
      }
    });
  }

  function setPlaceholder(text) {
    setText(placeholder, text);
  }

  function connect(next) {
    closeSource();
    url = next;
    retries = 0;
    setText(note, "reconnecting");
    if (!next) {
      status = null;
      root.classList.add("waiting");
      setPlaceholder("Press Train.");
      setAttribute(root, "data-state", "idle");
      return;
    }
    setPlaceholder("Connecting to the run ...");
    if (root.classList.contains("waiting")) setAttribute(root, "data-state", "connecting");
    status = null;
    open();
  }

  return {
    update({ data, setTriggerValue }) {
      data = data ?? {};
      themes.check();
      if (!Plotly && data.plotly_url) {
        loadPlotly(data.plotly_url).then((library) => {
          if (destroyed || Plotly) return;
          Plotly = library;
          adoptPlotlyStyles(parent);
          sizes = watchSize(Object.values(charts).map((chart) => chart.div), Plotly);
          request();
        }, (error) => {
          root.classList.add("waiting");
          setPlaceholder(`The charts cannot be shown: ${error.message}.`);
        });
      }
      act = (name) => setTriggerValue?.("action", name);
      canReset = Boolean(data.can_reset);
      const next = data.events_url ?? null;
      if (next !== url) connect(next);
      if ((data.replay ?? 0) > replayAsked) replayDue = true;
      replayAsked = data.replay ?? 0;
      if (status) showButtons();
      request();
    },
    destroy() {
      destroyed = true;
      closeSource();
      request.cancel();
      themes.stop();
      sizes?.disconnect();
      if (Plotly) Object.values(charts).forEach((chart) => Plotly.purge(chart.div));
      root.remove();
    },
  };
}

export default function (component) {
  return mount(views, component, createLiveRun);
}
