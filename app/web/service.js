// About this service: its recogniser, the signs it knows, how to call it from a terminal.

import { copy, el, make } from "./dom.js";
import { ask, mayCaption, options } from "./session.js";
import { follow, listVocabularies } from "./settings.js";
import { glossButton } from "./signs.js";

const LISTED = 40; // signs that are shown without being asked for

const CURL = `-F file=@clip.mp4 ${location.origin}/api/inference/predict`;
el("curl").textContent = `curl ${CURL}`;
el("copy").addEventListener("click", () => copy(el("curl").textContent, el("curl"), el("copied"), "Command"));

try {
  const ready = await fetch("/api/health/ready").then((answer) => answer.json());
  el("model").textContent = ready.model ?? ready.detail;
  el("device").textContent = ready.device ?? "";
  if ((await options)?.auth_mode === "required") el("curl").textContent = `curl -H 'X-API-Key: YOUR-KEY' ${CURL}`;
  const may = await mayCaption();
  el("door").hidden = may;
  if (may) await listSigns();
  else el("vocabulary").textContent = "Shown to people who have signed in.";
} catch {
  el("model").textContent = "The service did not answer. Reload the page.";
}

async function listSigns() {
  const known = await ask("/api/vocabularies");
  listVocabularies(known);
  follow("vocabulary", async (wanted) => {
    const read = known.vocabularies.find(({ name }) => name === wanted)
      ?? known.vocabularies.find(({ name }) => name === known.default);
    const list = make("details", "");
    list.open = read.size <= LISTED;
    const title = make("summary", `${read.name}, ${read.size} ${read.size === 1 ? "sign" : "signs"}`);
    const glosses = await Promise.all(read.glosses.map(glossButton));
    list.append(title, ...glosses.flatMap((gloss, i) => {
      const entry = make("span", "");
      entry.append(gloss, i + 1 < glosses.length ? "," : "");
      return [entry, " "];
    }));
    el("vocabulary").replaceChildren(list);
  });
}
