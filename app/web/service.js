// About this service: its recogniser, the signs it knows, how to call it from a terminal.

import { copy, el } from "./dom.js";
import { ask, mayCaption, options } from "./session.js";
import { follow, listVocabularies } from "./settings.js";
import { listSigns } from "./signs.js";
import { plural, t } from "./texts.js";

const CURL = `-F file=@clip.mp4 ${location.origin}/api/inference/predict`;
el("curl").textContent = `curl ${CURL}`;
el("copy").addEventListener("click", () => copy(el("curl").textContent, el("curl"), el("copied"), t("Command")));

try {
  const ready = await fetch("/api/health/ready").then((answer) => answer.json());
  el("model").textContent = ready.model ?? ready.detail;
  el("device").textContent = ready.device ?? "";
  if ((await options)?.auth_mode === "required") el("curl").textContent = `curl -H 'X-API-Key: YOUR-KEY' ${CURL}`;
  const may = await mayCaption();
  el("door").hidden = may;
  if (may) await listVocabulary();
  else el("vocabulary-title").textContent = el("vocabulary-name").textContent = t("Shown to people who have signed in.");
} catch {
  el("model").textContent = t("The service did not answer. Reload the page.");
}

async function listVocabulary() {
  const known = await ask("/api/vocabularies");
  listVocabularies(known);
  const byName = new Map(known.vocabularies.map((one) => [one.name, one]));
  follow("vocabulary", (wanted) => {
    const read = byName.get(wanted) ?? byName.get(known.default);
    el("vocabulary-name").textContent = `${read.name}, ${plural(read.size, "1 sign", "{n} signs")}`;
    listSigns(read);
  });
}
