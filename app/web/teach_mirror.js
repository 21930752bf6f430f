// What is seen and said while a sign is shown to the camera: the mirror, what is known of each recording, and questions.

import { el, make } from "./dom.js";
import { Stopped } from "./take.js";
import { t } from "./texts.js";

// In the mirror, and to screen readers.
export function say(text, spoken = text) {
  el("teach-say").textContent = text;
  el("teach-say").classList.toggle("long", text.length > 40);
  el("teach-live").textContent = spoken;
}

export function look(what, number = "") {
  el("mirror").dataset.look = what;
  el("count").textContent = number;
  el("take-end").hidden = what !== "record";
}

// What is said of a recording.
const STATES = {
  checking: "checking",
  doubt: "problem",
  good: "good",
};

let before = []; // states that were shown last

// states: of the recordings (takes.js). What is found out about one stands at it, and is said when there is time.
export function dots(states) {
  const found = (state) => (state in STATES ? t(STATES[state]) : "");
  const words = (i) => t("Recording {n}: {what}", { n: i + 1, what: found(states[i]) });
  el("dots").replaceChildren(...states.map((state, i) => {
    const dot = make("li", "", state);
    dot.append(make("b", state === "good" ? "✓" : String(i + 1)), make("small", found(state)));
    if (state === "now") dot.setAttribute("aria-current", "step");
    if (state in STATES) dot.setAttribute("aria-label", words(i));
    return dot;
  }));
  const known = states.findIndex((state, i) => before[i] === "checking" && state !== "checking");
  if (known >= 0) el("takes-live").textContent = words(known);
  before = states;
}

// seen: as hand_watch.js has it; undefined before the first word, null where nobody watches.
export function showSeen(seen) {
  const [how, text] = seen === undefined ? ["wait", t("Looking for your hands …")]
    : seen === null ? ["wait", t("Hands are checked after each recording")]
      : !seen.shoulders ? ["wait", t("Move back: both shoulders should be in sight")]
        : seen.hands === 2 ? ["good", t("Both hands found")]
          : seen.hands === 1 ? ["good", t("One hand found")]
            : el("mirror").dataset.look === "record" ? ["wait", t("No hand in sight")] : ["good", t("Hands down, shoulders in sight")];
  el("seen").dataset.seen = how;
  if (el("seen").textContent !== text) el("seen").textContent = text;
}

// Again, or keep it? Resolves to "again" or "keep". text: what is wrong. keep: what the button to keep it says; null where
// it cannot be. signal: aborts it with Stopped.
export function ask(text, keep, signal) {
  look("ask");
  say(text);
  const again = el("take-again"), kept = el("take-keep");
  again.hidden = false;
  kept.hidden = !keep;
  kept.textContent = keep ?? "";
  again.focus();
  const over = new AbortController();
  return new Promise((done, failed) => {
    const once = { signal: over.signal };
    again.addEventListener("click", () => done("again"), once);
    kept.addEventListener("click", () => done("keep"), once);
    signal.addEventListener("abort", () => failed(new Stopped()), once);
  }).finally(() => {
    over.abort();
    again.hidden = kept.hidden = true;
  });
}

// What leaves this device.
export function showSends({ landmarks, problem }) {
  el("teach-sends").textContent = [
    problem, landmarks ? t("Only points of body and hands are sent; pictures stay on this device.")
      : landmarks === false ? t("Recordings are sent as video, which the service deletes once it is read.") : null,
  ].filter(Boolean).join(" ");
  el("teach-sends").dataset.landmarks = String(landmarks);
}
