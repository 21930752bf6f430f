// What captions are read with: a vocabulary, sign sets that people taught, or both. Fills the choice in the settings.

import { change, choose, chosenSets, isChosen, onChoice } from "./chosen_sets.js";
import { el, make } from "./dom.js";
import { follow, mayCaption } from "./session.js";
import { vocabulary, vocabularyName } from "./settings.js";
import { listSets } from "./sign_sets.js";
import { plural, t } from "./texts.js";

const SHARED = "gs_"; // how the token of a shared set begins
let known = []; // one's own sets
let usable = false; // whether the service has sign sets at all

const ids = () => (usable ? chosenSets().sets.map(({ id }) => id) : []);

// For `start`, the message `vocabulary`, and the query of a file: { vocabulary, sign_sets }.
export function readingWith() {
  const sets = ids();
  if (!sets.length) return { vocabulary: vocabulary() };
  return { vocabulary: chosenSets().alone ? null : vocabularyName(), sign_sets: sets };
}

// What people can do when the service refuses that; null where it is not the sets.
export function whyNotRead(code) {
  if (!ids().length) return null;
  if (code === "unknown_vocabulary") {
    return chosenSets().alone ? null : t("This recogniser reads taught signs only alone: choose “Only the taught signs” in the settings.");
  }
  if (code === "unknown_sign_set") return t("A set of taught signs is not shared any more. Take its tick away in the settings.");
  return t("A set of taught signs cannot be read: it has no recordings, or was taught to another recogniser. Take its tick away in the settings, or teach its signs again.");
}

export const onReadingWith = onChoice;

function choice(set, about) {
  const label = make("label", "", "check");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", checked: isChosen(set.id) });
  box.addEventListener("input", () => choose(set, box.checked));
  const words = make("span", about);
  label.append(box, words);
  return label;
}

function show() {
  const shared = chosenSets().sets.filter(({ id }) => id.startsWith(SHARED));
  el("set-choices").replaceChildren(
    ...known.map((set) => choice(set, `${set.name}, ${plural(set.signs, "1 sign", "{n} signs")}`)),
    ...shared.map((set) => choice(set, t("{name}, shared with you", { name: set.name }))));
  el("taught-sets").hidden = !usable;
  el("sets-alone").closest("label").hidden = !ids().length;
  el("sets-alone").checked = chosenSets().alone;
}

async function load() {
  try {
    known = await mayCaption() ? await listSets() : [];
    usable = true;
    // A set that was deleted, or belongs to another account, cannot be read with.
    const there = chosenSets().sets.filter(({ id }) => id.startsWith(SHARED) || known.some((set) => set.id === id));
    if (there.length < chosenSets().sets.length) return change({ sets: there });
  } catch {
    usable = false; // no database
  }
  show();
}

el("sets-alone").addEventListener("input", () => change({ alone: el("sets-alone").checked }));
onChoice(show);
export const setsKnown = new Promise((done) => { follow(() => load().finally(done)); });
