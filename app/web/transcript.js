// The list of finished sentences with the times of the day: corrected by hand, kept in this browser if the person wants,
// saved as a file.

import { unsureOf } from "./caption_view.js";
import { copy, el, make, save } from "./dom.js";
import { ask } from "./session.js";
import { bothLanguages, follow, readAloud, settings } from "./settings.js";
import { subtitles, written } from "./subtitles.js";
import { language, onLanguage, t } from "./texts.js";

const KEY = "glossline.transcript";
const MOST = 1000; // lines that are kept
const people = el("history").dataset.people !== undefined; // whether it says who said it
const SAID_BY = { signs: "Signed", speech: "Spoken", typed: "Typed" };
// { at, start_ms, end_ms, who, sentence, language, other, unsure, edited, history, number }, by time. at: ms since 1970.
// who: "signs", "speech" or "typed". other: [language, the same in it] or null.
const said = [];
let origin = null; // ms since 1970: where the times of a file begin

export const count = () => said.length;

// -- lines -----------------------------------------------------------------------------------------------------------

// A final. at: when its first sign began, in ms since 1970; since: when the session began; history: id of the session in
// the history of the account, if it is kept there; who: as above.
export function add(event, at, since, history, who = "signs") {
  origin ??= since;
  const start_ms = Math.max(0, at - origin);
  const language = event.language ?? "en";
  const [, second] = bothLanguages(language);
  const line = {
    at, start_ms, end_ms: start_ms + event.end_ms - event.start_ms, who, sentence: event.sentence, language,
    other: people && event.text?.[second] ? [second, event.text[second]] : null,
    unsure: event.gloss ? unsureOf(event) : [], edited: false, history: history ?? null, number: event.segment,
  };
  const place = said.findLastIndex((one) => one.at <= at) + 1; // two people: what was said first comes first
  said.splice(place, 0, line);
  el("history").insertBefore(itemOf(line), el("history").children[place] ?? null);
  el("scroll").scrollTop = el("scroll").scrollHeight;
  changed();
  readAloud(line.sentence);
}

const clockOf = (at) => new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

function itemOf(line) {
  const item = document.createElement("li");
  const at = make("time", clockOf(line.at), "at");
  at.dateTime = new Date(line.at).toISOString();
  at.setAttribute("aria-hidden", "true"); // screen readers should read only the sentence
  const edit = make("button", "", "edit");
  edit.type = "button";
  edit.title = t("Correct");
  edit.setAttribute("aria-label", t("Correct: {sentence}", { sentence: line.sentence }));
  edit.append(icon("M4 20h4L19 9l-4-4L4 16zM13 7l4 4"));
  edit.addEventListener("click", () => correct(line, item));
  const words = make("span", line.sentence, "line-words");
  words.lang = line.language;
  item.append(at, words, edit);
  if (people) {
    item.dataset.who = line.who;
    const who = make("strong", t(SAID_BY[line.who]), "by");
    who.lang = language;
    words.before(who);
  }
  if (line.other) {
    const other = make("span", line.other[1], "other");
    [other.lang] = line.other;
    item.append(other);
  }
  if (line.edited) item.append(make("span", t("corrected"), "edited"));
  else if (line.unsure.length) item.append(make("span", t("unsure: {signs}", { signs: line.unsure.join(", ") }), "unsure"));
  return item;
}

function correct(line, item) {
  const form = document.createElement("form");
  const words = document.createElement("input");
  Object.assign(words, { type: "text", value: line.sentence, maxLength: 2000, required: true });
  words.setAttribute("aria-label", t(people ? "What was said" : "What was signed"));
  const cancel = make("button", t("Cancel"), "plain small");
  cancel.type = "button";
  form.append(words, make("button", t("Save"), "small"), cancel);
  const back = () => {
    const next = itemOf(line);
    item.replaceWith(next);
    next.querySelector("button").focus();
  };
  cancel.addEventListener("click", back);
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") back(); });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sentence = words.value.trim();
    if (!sentence || sentence === line.sentence) return back();
    Object.assign(line, { sentence, edited: true, unsure: [], other: null });
    back();
    changed();
    await correctInHistory(line);
  });
  item.replaceChildren(form);
  words.select();
}

async function correctInHistory(line) {
  if (!line.history) return tell(t("Corrected here."));
  try {
    await ask(`/api/history/${line.history}/lines/${line.number}`, { method: "PATCH", body: { sentence: line.sentence } });
    tell(t("Corrected, in your history too."));
  } catch {
    tell(t("Corrected here; your history could not be changed."));
  }
}

function tell(text) { el("transcript-status").textContent = text; }

// -- the list --------------------------------------------------------------------------------------------------------

function changed() {
  el("nothing-said").hidden = said.length > 0;
  el("keep").hidden = said.length === 0;
  el("scroll").tabIndex = el("scroll").scrollHeight > el("scroll").clientHeight ? 0 : -1; // scrolls by keyboard too
  keepHere();
}

function keepHere() {
  try {
    if (settings.keep && said.length) localStorage.setItem(KEY, JSON.stringify({ origin, said: said.slice(-MOST) }));
    else localStorage.removeItem(KEY);
  } catch { /* no storage: the list lasts until the page is closed */ }
}

function restore() {
  if (!settings.keep) return;
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    if (!Number.isFinite(kept.origin) || !kept.said.every((line) => typeof line.sentence === "string" && Number.isFinite(line.at))) return;
    said.push(...kept.said.map((line) => ({
      ...line, unsure: [].concat(line.unsure ?? []).map(String), who: line.who in SAID_BY ? line.who : "signs",
      language: line.language === "es" ? "es" : "en", other: Array.isArray(line.other) ? line.other.map(String) : null,
    })));
    origin = kept.origin;
  } catch { /* nothing was kept, or by another version */ }
}

function showAll() { el("history").replaceChildren(...said.map(itemOf)); }

const named = (line) => (people ? { ...line, sentence: `${t(SAID_BY[line.who])}: ${line.sentence}` } : line);

function asFile(kind) {
  const lines = said.map(named);
  if (kind !== "txt") return subtitles(lines, kind);
  return lines.map((line) => `${written(line)}${line.other ? ` (${line.other[1]})` : ""}\n`).join("");
}

el("copy-text").addEventListener("click", () => copy(asFile("txt"), el("history"), el("transcript-status"), t("Captions")));
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", () => {
    const kind = button.dataset.download;
    save(`captions.${kind}`, new Blob([asFile(kind)], { type: "text/plain" }));
  });
}
el("clear").addEventListener("click", () => {
  said.length = 0;
  origin = null;
  showAll();
  tell(t("The list was cleared."));
  changed();
  el("scroll").tabIndex = -1;
  el("scroll").focus();
});

restore();
showAll();
changed();
follow("keep", keepHere);
onLanguage(showAll);
