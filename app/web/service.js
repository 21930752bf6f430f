// About this service: its recogniser and the signs it knows.

import { el } from "./dom.js";
import { ask, mayCaption } from "./session.js";
import { follow, listVocabularies } from "./settings.js";
import { listSigns } from "./signs.js";
import { plural, t } from "./texts.js";

try {
  const ready = await fetch("/api/health/ready").then((answer) => answer.json());
  el("model").textContent = ready.model ?? ready.detail;
  el("device").textContent = ready.device ?? "";
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
