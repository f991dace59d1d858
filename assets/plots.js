// What every live view uses: the document, the theme, Plotly, and the life of a Streamlit component.

export const OBJECTIVE_COLORS = { mle: "#6B7280", elbo: "#0F9D8A", selbo: "#B5399B" };

export const PLOT_CONFIG = {
  responsive: true,
  displaylogo: false,
  displayModeBar: "hover",
  showSendToCloud: false,
  toImageButtonOptions: { format: "svg", filename: "quantum-hypernetwork" },
  modeBarButtonsToRemove: [
    "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "toggleSpikelines", "toggleHover",
    "hoverClosestCartesian", "hoverCompareCartesian", "hoverClosest3d", "orbitRotation", "tableRotation",
    "resetCameraLastSave3d", "sendChartToCloud",
  ],
};

export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// One script per document, however many components ask for it.
export function loadPlotly(url) {
  const loads = (window.__qhnPlotly ??= new Map());
  if (!loads.has(url)) {
    loads.set(url, new Promise((resolve, reject) => {
      const script = element("script", { src: url, async: "" });
      script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error(`${url} defines no Plotly`)));
      script.onerror = () => {
        loads.delete(url);
        script.remove();
        reject(new Error(`${url} could not be loaded`));
      };
      document.head.append(script);
    }));
  }
  return loads.get(url);
}

// Plotly writes its rules into document.head, which a shadow root does not see.
export function adoptPlotlyStyles(root) {
  if (!(root instanceof ShadowRoot) || root.__qhnPlotlyStyles) return;
  const source = document.getElementById("plotly.js-style-global")?.sheet;
  if (!source) return;
  const sheet = (window.__qhnPlotlySheet ??= new CSSStyleSheet());
  sheet.replaceSync(Array.from(source.cssRules, (rule) => rule.cssText).join("\n"));
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  root.__qhnPlotlyStyles = true;
}

function rgba(color) {
  const context = (rgba.context ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = "#000";
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}

function mix(front, back, share) {
  const f = rgba(front), b = rgba(back);
  return `rgb(${[0, 1, 2].map((i) => Math.round(f[i] * share + b[i] * (1 - share))).join(",")})`;
}

function readTheme(host) {
  const style = getComputedStyle(host);
  const read = (name, fallback) => {
    const value = style.getPropertyValue(name).trim();
    return value && value !== "unset" ? value : fallback;
  };
  const text = read("--st-text-color", "#31333F");
  const background = read("--st-background-color", "#FFFFFF");
  const primary = read("--st-primary-color", "#FF4B4B");
  const font = read("--st-font", "sans-serif");
  const signature = [text, background, primary, font].join("|");
  if (readTheme.last?.signature === signature) return readTheme.last;
  return (readTheme.last = {
    signature, text, background, primary, font,
    muted: mix(text, background, 0.66),
    grid: mix(text, background, 0.1),
    line: mix(text, background, 0.25),
  });
}

// Streamlit changes the theme by changing classes above the host; an app outside Streamlit, on <html> or <body>.
export function watchTheme(host, changed) {
  let theme = readTheme(host);
  const check = () => {
    const now = readTheme(host);
    if (now.signature === theme.signature) return;
    theme = now;
    changed();
  };
  const observer = new MutationObserver(check);
  for (let node = host; node; node = node.parentElement) {
    observer.observe(node, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
  }
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", check);
  return {
    get theme() { return theme; },
    check,
    stop() { observer.disconnect(); media.removeEventListener("change", check); },
  };
}

// In place: Plotly keeps the zoom in the very object that it was given.
export function applyTheme(layout, theme) {
  const font = { family: theme.font, color: theme.text };
  layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
  layout.font = { size: 12, ...layout.font, ...font };
  layout.hoverlabel = {
    ...layout.hoverlabel, bgcolor: theme.background, bordercolor: theme.line, font: { size: 12, ...font },
  };
  layout.modebar = { ...layout.modebar, bgcolor: "rgba(0,0,0,0)", color: theme.muted, activecolor: theme.primary };
  if (layout.legend) layout.legend.bgcolor = "rgba(0,0,0,0)";
  const paint = (axis) => {
    Object.assign(axis, { gridcolor: theme.grid, zerolinecolor: theme.grid, linecolor: theme.line, tickcolor: theme.line, spikecolor: theme.line });
    axis.tickfont = { size: 11, ...axis.tickfont, color: theme.muted };
    if (axis.title) {
      if (typeof axis.title === "string") axis.title = { text: axis.title };
      axis.title.font = { size: 12, ...axis.title.font, color: theme.muted };
    }
  };
  for (const [key, value] of Object.entries(layout)) {
    if (/^[xy]axis\d*$/.test(key)) paint(Object.assign(value, { spikethickness: 1, spikedash: "solid" }));
    if (/^scene\d*$/.test(key)) {
      for (const name of ["xaxis", "yaxis", "zaxis"]) {
        paint((value[name] ??= {}));
        Object.assign(value[name], { showbackground: false, gridcolor: theme.line, zerolinecolor: theme.line });
      }
    }
  }
  return layout;
}

const TYPED_ARRAYS = {
  f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array,
  i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array, u1c: Uint8ClampedArray,
};

function decodeBytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function decodeFloat64(base64) {
  const bytes = decodeBytes(base64);
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
}

// plotly.py packs NumPy arrays as {dtype, bdata, shape}, our deltas with a scale; plain arrays can be extended.
export function unpack(value) {
  if (Array.isArray(value)) return value.some((item) => item && typeof item === "object") ? value.map(unpack) : value;
  if (!value || typeof value !== "object") return value;
  if (typeof value.bdata === "string" && value.dtype) {
    const bytes = decodeBytes(value.bdata);
    const scale = value.scale ?? 1;
    const flat = Array.from(new TYPED_ARRAYS[value.dtype](bytes.buffer, bytes.byteOffset), (x) => x * scale);
    const shape = String(value.shape ?? flat.length).split(",").map(Number);
    return shape.slice(1).reduceRight((items, size) => {
      const rows = [];
      for (let i = 0; i < items.length; i += size) rows.push(items.slice(i, i + size));
      return rows;
    }, flat);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
}

// Restyle without Plotly: nested objects and dotted names are merged, everything else is replaced.
export function assignProperties(target, properties) {
  for (const [name, value] of Object.entries(properties)) {
    const path = name.split(".");
    const last = path.pop();
    const owner = path.reduce((node, key) => (node[key] ??= {}), target);
    if (value && typeof value === "object" && !Array.isArray(value)) assignProperties((owner[last] ??= {}), value);
    else owner[last] = value;
  }
}

export function segmented(label, options, chosen, onChange) {
  const group = element("div", { class: "segmented", role: "radiogroup", "aria-label": label });
  const choose = (button, focus) => {
    for (const other of group.children) {
      other.setAttribute("aria-checked", other === button);
      other.tabIndex = other === button ? 0 : -1;
    }
    if (focus) button.focus();
    onChange(button.value);
  };
  const onKey = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...group.children];
    choose(buttons[(buttons.indexOf(event.currentTarget) + step + buttons.length) % buttons.length], true);
  };
  for (const [value, text] of options) {
    group.append(element("button", {
      type: "button", role: "radio", value, text, "aria-checked": value === chosen, tabindex: value === chosen ? 0 : -1,
      on: { click: (event) => choose(event.currentTarget), keydown: onKey },
    }));
  }
  return group;
}

// Plotly's own `responsive` only hears the window; the sidebar changes the width too.
export function watchSize(charts, Plotly) {
  const sizes = new WeakMap();
  const observer = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const size = `${Math.round(contentRect.width)}x${Math.round(contentRect.height)}`;
      const before = sizes.get(target);
      sizes.set(target, size);
      if (before && before !== size && contentRect.width && target.classList.contains("js-plotly-plot")) {
        Plotly.Plots.resize(target)?.catch?.(() => {});
      }
    }
  });
  charts.forEach((chart) => observer.observe(chart));
  return observer;
}

// Frames: many messages, one redraw. Runs `work` at the next animation frame, once.
export function frameLoop(work) {
  let handle = 0;
  const request = () => {
    handle ||= requestAnimationFrame(() => {
      handle = 0;
      if (work()) request();
    });
  };
  request.cancel = () => cancelAnimationFrame(handle);
  return request;
}

// Streamlit may call the cleanup of an overtaken call while a newer one is alive: only the newest may destroy.
export function mount(views, component, create) {
  const { parentElement } = component;
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = create(parentElement)));
  const turn = (view.turn = (view.turn ?? 0) + 1);
  view.update(component);
  return () => setTimeout(() => {
    if (view.turn !== turn || views.get(parentElement) !== view) return;
    views.delete(parentElement);
    view.destroy();
  });
}
