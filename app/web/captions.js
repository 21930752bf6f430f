// The captions on the page: the running sentence, the list of finished ones, and that list as a file.

import { copy, el, make, percent, readFrom, save } from "./dom.js";
import { readAloud } from "./settings.js";
import { clock, subtitles, written } from "./subtitles.js";

const said = []; // { start_ms, end_ms, sentence, unsure: glosses }

// Times of a new session begin at 0 and follow those of the one before.
export const nextStart = () => (said.length ? said.at(-1).end_ms + 1000 : 0);
export const count = () => said.length;

function inWords({ confidence, gloss }) {
  const unsure = confidence < 0.6 || gloss.some((sign) => sign.unsure);
  const words = unsure ? "unsure" : confidence >= 0.8 ? "sure" : "fairly sure";
  return `${percent(confidence)}, ${words}`;
}

// Show the running sentence; `open` while it may still change.
export function show(event, open) {
  el("live-sentence").textContent = open ? event.sentence.replace(/[.?!]$/, " …") : event.sentence;
  el("live-sentence").classList.toggle("open", open);
  el("live-gloss").replaceChildren(...event.gloss.map((sign) => {
    const text = sign.unsure ? `${sign.gloss}? ${percent(sign.confidence)}` : `${sign.gloss} ${percent(sign.confidence)}`;
    const chip = make("span", text, [sign.final ? "" : "open", sign.unsure ? "unsure" : ""].join(" ").trim());
    if (sign.unsure) chip.append(make("i", ", unsure", "spoken"));
    chip.style.setProperty("--share", sign.confidence);
    return chip;
  }));
  el("confidence").textContent = event.gloss.length ? inWords(event) : "–";
  el("attention").textContent = readFrom(event.attention);
}

export function clearRunning() {
  el("live-sentence").textContent = "";
  el("live-gloss").replaceChildren();
  for (const id of ["confidence", "attention", "lag", "pictures"]) el(id).textContent = "–";
}

export function add(event, offset_ms) {
  const unsure = event.gloss.filter((sign) => sign.unsure).map((sign) => sign.gloss);
  const line = {
    start_ms: event.start_ms + offset_ms, end_ms: event.end_ms + offset_ms, sentence: event.sentence, unsure,
  };
  said.push(line);
  const item = document.createElement("li");
  const at = make("span", clock(line.start_ms, "").slice(3, 8), "at");
  at.setAttribute("aria-hidden", "true"); // screen readers should read only the sentence
  item.append(at, make("span", line.sentence));
  if (unsure.length) item.append(make("span", `unsure: ${unsure.join(", ")}`, "unsure"));
  el("history").append(item);
  el("scroll").scrollTop = el("scroll").scrollHeight;
  shown();
  readAloud(line.sentence);
}

function shown() {
  el("nothing-said").hidden = said.length > 0;
  el("keep").hidden = said.length === 0;
  el("scroll").tabIndex = el("scroll").scrollHeight > el("scroll").clientHeight ? 0 : -1; // scrolls by keyboard too
}

const asFile = (kind) => (kind === "txt" ? said.map(written).join("\n") + "\n" : subtitles(said, kind));

el("copy-text").addEventListener("click", () => copy(asFile("txt"), el("history"), el("live-status"), "Captions"));
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", () => {
    const kind = button.dataset.download;
    save(`captions.${kind}`, new Blob([asFile(kind)], { type: "text/plain" }));
  });
}
el("clear").addEventListener("click", () => {
  said.length = 0;
  el("history").replaceChildren();
  el("live-status").textContent = "The list was cleared.";
  shown();
  el("camera").focus();
});
