// The row that moves a run: Play or Pause, Step, Reset, Train, Pin. What a button says comes from the live state
// alone, so that it is right even while the page is still busy.
import { element, setText } from "./plots.js";

const RESTING = new Set(["paused", "interrupted", "pausing"]);
const MOVING = new Set(["queued", "running"]);
const REPLAYABLE = new Set(["done", "diverged"]);

// Presses go to the page as a list of all that it has not answered yet: none is lost where two come at once.
export function createPresses(send) {
  let waiting = [], last = 0;
  return {
    press(action) {
      last = Math.max(Date.now(), last + 1);
      waiting.push({ action, serial: last });
      send([...waiting]);
    },
    answered(serial) {
      waiting = waiting.filter((press) => press.serial > serial);
    },
  };
}

// `state` of the run; `offers`: what the page allows now; `replay`: null, "moving" or "resting".
export function buttonsFor(state, offers, replay) {
  const moving = replay === "moving" || (!replay && MOVING.has(state));
  const resting = RESTING.has(state), over = state !== null && !moving && !resting;
  return {
    play: { text: moving ? "Pause" : "Play", does: playAction(state, moving, replay), off: state === null },
    step: { text: "Step", does: replay ? "replay-step" : "step", off: !(replay === "resting" || (!over && resting)) },
    reset: { text: "Reset", does: "reset", off: !offers.reset },
    train: { text: "Train", does: "train", off: !offers.train },
    pin: { text: "Pin", does: "pin", off: !offers.pin },
    unpin: { text: "Unpin", does: "unpin", off: false, hidden: !offers.unpin },
  };
}

function playAction(state, moving, replay) {
  if (replay || REPLAYABLE.has(state)) return "replay";
  return moving ? "pause" : "play";
}

const HELP = {
  step: "One epoch", train: "Start a run of the settings in the sidebar",
  reset: "Start at epoch 0 with the current settings; the same seed has the same initial angles",
  pin: "Keep these curves beside those of later runs", unpin: "Remove all pinned curves",
};

export function createTransport(act) {
  const shown = {};
  const changed = element("span", { class: "changed", role: "status", text: "settings changed", hidden: "" });
  const row = element("div", { class: "transport", role: "group", "aria-label": "The run" });
  for (const name of ["play", "step", "reset", "train", "pin", "unpin"]) {
    const button = element("button", {
      type: "button", "data-button": name, ...(HELP[name] && { title: HELP[name] }),
      on: { click: () => button.getAttribute("aria-disabled") !== "true" && act(button.dataset.does) },
    });
    row.append((shown[name] = button));
    if (name === "train") row.append(changed);
  }
  return {
    row,
    show(state, offers, replay) {
      for (const [name, { text, does, off, hidden }] of Object.entries(buttonsFor(state, offers, replay))) {
        const button = shown[name];
        setText(button, text);
        button.dataset.does = does;
        button.setAttribute("aria-disabled", Boolean(off));  // not `disabled`: the focus stays where it was
        button.hidden = Boolean(hidden);
      }
      changed.hidden = !(offers.train && state !== null);
      row.classList.toggle("wants-training", Boolean(offers.train));
    },
  };
}
