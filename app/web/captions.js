// The captions on the page: the running sentence, the list of finished ones, and that list as a file.

import { copy, el, make, percent, readFrom } from "./dom.js";
import { readAloud } from "./settings.js";

const said = []; // { start_ms, end_ms, sentence, unsure: glosses }
const QUESTION = "\u00a0[?]"; // behind a sentence with unsure signs, as in the service's own subtitles

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

function clock(ms, comma) {
  const pad = (n, width) => String(n).padStart(width, "0");
  const s = Math.floor(ms / 1000);
  const time = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60].map((n) => pad(n, 2)).join(":");
  return `${time}${comma}${pad(ms % 1000, 3)}`;
}

const written = ({ sentence, unsure }) => (unsure.length ? sentence + QUESTION : sentence);

function asFile(kind) {
  if (kind === "txt") return said.map(written).join("\n") + "\n";
  const comma = kind === "srt" ? "," : ".";
  const cues = said.map((line, i) => {
    const { start_ms, end_ms } = line;
    const number = kind === "srt" ? `${i + 1}\n` : "";
    // A short sign stays long enough to be read, but not into the next line.
    const until = Math.max(end_ms, Math.min(start_ms + 1000, said[i + 1]?.start_ms ?? Infinity));
    return `${number}${clock(start_ms, comma)} --> ${clock(until, comma)}\n${written(line)}\n`;
  });
  return (kind === "vtt" ? "WEBVTT\n\n" : "") + cues.join("\n");
}

el("copy-text").addEventListener("click", () => copy(asFile("txt"), el("history"), el("live-status"), "Captions"));
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", () => {
    const kind = button.dataset.download;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([asFile(kind)], { type: "text/plain" }));
    link.download = `captions.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
el("clear").addEventListener("click", () => {
  said.length = 0;
  el("history").replaceChildren();
  el("live-status").textContent = "The list was cleared.";
  shown();
  el("camera").focus();
});
