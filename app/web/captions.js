// The running captions: over the picture, and wherever else they are shown.

import { CaptionView } from "./caption_view.js";
import { el, percent, readFrom } from "./dom.js";
import { bothLanguages, follow, settings } from "./settings.js";
import { t } from "./texts.js";

const parts = { before: el("live-before"), sentence: el("live-sentence"), other: el("live-other"), gloss: el("live-gloss") };
// Where two people talk, in the language of the one who reads first.
const view = new CaptionView(parts, () => (parts.other ? bothLanguages(settings.speaks) : ["en"]));
const views = new Set([view]); // the small window is another

export function alsoIn(other) {
  views.add(other);
  return () => views.delete(other);
}

function inWords({ confidence, gloss }) {
  const unsure = confidence < 0.6 || gloss.some((sign) => sign.unsure);
  const words = unsure ? t("unsure") : confidence >= 0.8 ? t("sure") : t("fairly sure");
  return `${percent(confidence)}, ${words}`;
}

// Show the running sentence; `open` while it may still change.
export function show(event, open) {
  for (const each of views) each.show(event, open);
  el("confidence").textContent = event.gloss.length ? inWords(event) : "–";
  el("attention").textContent = readFrom(event.attention);
}

export function clearRunning() {
  for (const each of views) each.clear();
  for (const id of ["confidence", "attention", "lag", "pictures"]) el(id).textContent = "–";
}

export const isOpen = () => view.open;

follow("glosses", (wanted) => { el("live-gloss").hidden = !wanted; });
