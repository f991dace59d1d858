// The curves of a finished run, drawn again epoch by epoch. Its boundary and bitstrings are kept of the end only.

const TICK_MS = 40;
const SECONDS = 8;
export const REPLAY_WORDS = "replay of the curves; boundary, bitstrings and numbers are those of the end";

// show(epoch) draws; an epoch of null is the end of the replay.
export function createReplay(show) {
  let epoch = 0, epochs = 0, begun = 0, from = 0, timer = 0, on = false;
  const rate = () => Math.max(10, epochs / SECONDS);
  function stop() {
    clearInterval(timer);
    timer = 0;
  }
  function goTo(next) {
    epoch = Math.min(next, epochs);
    if (epoch < epochs) return show(epoch);
    end();
  }
  function end() {
    stop();
    if (!on) return;
    on = false;
    show(null);
  }
  function go() {
    begun = performance.now();
    from = epoch;
    timer = setInterval(() => goTo(from + Math.floor((performance.now() - begun) / 1000 * rate())), TICK_MS);
    show(epoch);
  }
  return {
    get state() { return on ? (timer ? "moving" : "resting") : null; },
    get epoch() { return epoch; },
    toggle(ofEpochs) {
      if (timer) {
        stop();
        return show(epoch);
      }
      if (!on) [on, epoch, epochs] = [true, 0, ofEpochs];
      go();
    },
    step() { goTo(epoch + 1); },
    end,
  };
}

// A trace up to an epoch; pinned runs stay whole.
export function upTo(trace, epoch) {
  if (trace.name?.startsWith("pin ") || !trace.x) return trace;
  let n = 0;
  while (n < trace.x.length && trace.x[n] <= epoch) n += 1;
  return { ...trace, x: Array.from(trace.x).slice(0, n), y: Array.from(trace.y).slice(0, n) };
}
