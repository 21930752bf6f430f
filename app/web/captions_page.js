// Captions alone, of the sessions that the link names: ?session=…, &size=2 (rem), &hold=8 (seconds that a sentence stays,
// 0: until the next), &ground=dark.

import { CaptionView } from "./caption_view.js";
import { el } from "./dom.js";
import { t } from "./texts.js";

const WAIT_MS = 2000;
const given = new URLSearchParams(location.search);
const number = (name, usual, low, high) => {
  const value = Number.parseFloat(given.get(name) ?? "");
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : usual;
};
const hold_ms = number("hold", 10, 0, 3600) * 1000;
document.documentElement.style.setProperty("--caption-size", `${number("size", 2, 0.75, 12)}rem`);
document.body.classList.toggle("solid", given.get("ground") === "dark");

const view = new CaptionView({ before: el("before"), sentence: el("sentence") });
let hiding = null;

function show(event, open) {
  el("waiting").textContent = "";
  view.show(event, open);
  clearTimeout(hiding);
  if (!open && hold_ms) hiding = setTimeout(() => view.clear(), hold_ms);
}

const waiting = (text) => { if (!el("sentence").textContent) el("waiting").textContent = text; };

function begin() {
  const session = given.get("session") ?? "";
  if (!/^[0-9a-f]{64}$/.test(session)) {
    waiting(t("This link is not complete. Copy it again from the page with the captions."));
    return;
  }
  const source = new EventSource(`/api/live/follow?session=${session}`);
  source.addEventListener("open", () => waiting(t("Waiting for captions …")));
  source.addEventListener("partial", (event) => show(JSON.parse(event.data), true));
  source.addEventListener("final", (event) => show(JSON.parse(event.data), false));
  source.addEventListener("error", () => {
    waiting(t("The service cannot be reached, or too many read along; trying again …"));
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(begin, WAIT_MS);
  });
}

begin();
