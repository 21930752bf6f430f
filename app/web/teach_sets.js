// The list of sign sets: what is in them, which ones captions are read with, names, files, links, and their end.

import { onClick, say, sure, tell } from "./acting.js";
import { choose, isChosen } from "./chosen_sets.js";
import { copy, el, make, save } from "./dom.js";
import { follow, options, signedIn } from "./session.js";
import {
  changeSet, contentsOf, deleteRecording, deleteSet, deleteSign, exportSet, importSet, listSets, renameSign, shareSet, unshareSet,
} from "./sign_sets.js";
import { corpusPart } from "./teach_corpus.js";
import { SIGN_LANGUAGES } from "./sign_languages.js";
import { plural, t } from "./texts.js";

let sets = [];
const open = new Set(); // ids of the sets that are unfolded
const listeners = [];
let record = () => {};

// `act` runs with the sets whenever they change.
export const setsOf = (act) => listeners.push(act);
// `act` runs with { set, setName, sign, gloss } for another recording of that sign.
export const onTeach = (act) => { record = act; };
// Of the set that was made last.
export const languageOf = () => [...sets].sort((a, b) => (a.created_at < b.created_at ? 1 : -1))[0]?.sign_language ?? null;

function link(text, work, label = "") {
  const button = make("button", text, "link");
  button.type = "button";
  if (label) button.setAttribute("aria-label", label);
  return [button, work];
}

// Buttons work only when they are in the page, beside which what came of it is said.
function row(parts, className) {
  const box = make("div", "", className);
  for (const [button, work] of parts) {
    onClick(button, work);
    box.append(button);
  }
  return box;
}

async function renamed(title, name) {
  el("rename-title").textContent = title;
  el("rename-to").value = name;
  const dialog = el("rename");
  dialog.returnValue = "no";
  dialog.showModal();
  el("rename-to").select();
  await new Promise((done) => { dialog.addEventListener("close", done, { once: true }); });
  const wanted = el("rename-to").value.trim();
  return dialog.returnValue === "yes" && wanted && wanted !== name ? wanted : null;
}

// -- a sign ----------------------------------------------------------------------------------------------------------

function signOf(set, sign, alone) {
  const item = make("li", "", "sign");
  const top = make("div", "", "sign-top");
  const back = !alone && sign.read_back && t("{right} of {of} read back", sign.read_back);
  const count = plural(sign.recordings.length, "1 recording", "{n} recordings");
  top.append(make("strong", sign.gloss), make("span", [count, back].filter(Boolean).join(", "), "hint"));
  const { gloss } = sign;
  item.append(top, row([
    link(t("One more recording"), () => record({ set: set.id, setName: set.name, sign: sign.id, gloss }), t("One more recording of {gloss}", { gloss })),
    link(t("Rename"), async () => {
      const name = await renamed(t("Rename {gloss}", { gloss }), gloss);
      if (name) await renameSign(set.id, sign.id, name).then(() => refreshSets());
    }, t("Rename {gloss}", { gloss })),
    link(t("Delete"), async () => {
      if (!await sure(t("Delete {gloss}?", { gloss }), t("With its recordings, at once and for good."), t("Delete"))) return;
      await deleteSign(set.id, sign.id);
      await refreshSets();
    }, t("Delete {gloss}", { gloss })),
  ], "links"), row([
    ...sign.recordings.map((recording, i) => link(
      t("Delete recording {n} ({s} s)", { n: i + 1, s: recording.duration_s.toFixed(1) }),
      async () => {
        await deleteRecording(set.id, sign.id, recording.id);
        await refreshSets();
      }, t("Delete recording {n} of {gloss}", { n: i + 1, gloss }))),
  ], "links"));
  return item;
}

// -- a set -----------------------------------------------------------------------------------------------------------

const linkTo = (token) => `${location.origin}/teach#shared=${token}`;

function actionsOf(set) {
  const { id, name } = set;
  const file = async (landmarks) => save(`${name}.signs.json`, new Blob([JSON.stringify(await exportSet(id, landmarks))], { type: "application/json" }));
  return [
    link(t("Rename"), async () => {
      const wanted = await renamed(t("Rename {name}", { name }), name);
      if (!wanted) return;
      await changeSet(id, { name: wanted });
      if (isChosen(id)) choose({ id, name: wanted }, true);
      await refreshSets();
    }, t("Rename the set {name}", { name })),
    link(t("Save as a file"), () => file(false)),
    ...(set.keep_landmarks ? [link(t("Save with body points"), () => file(true))] : []),
    link(set.shared ? t("New link") : t("Share by link"), async () => {
      const where = linkTo(await shareSet(id));
      const shown = make("span", where);
      await refreshSets();
      await copy(where, shown, el("sets-status"), t("Link"));
      el("sets-status").append(" ", t("Who has it reads these signs and may copy them, until you end it."), " ", shown);
    }),
    ...(set.shared ? [link(t("End sharing"), async () => {
      await unshareSet(id);
      await refreshSets();
      say(el("set-list"), t("The link is void. Copies that others made stay theirs."));
    })] : []),
    link(t("Delete"), async () => {
      if (!await sure(t("Delete {name}?", { name }), t("With everything in it, at once and for good."), t("Delete"))) return;
      await deleteSet(id);
      choose({ id, name }, false);
      await refreshSets();
    }, t("Delete the set {name}", { name })),
  ];
}

async function unfold(set, box) {
  const contents = await contentsOf(set.id);
  const list = document.createElement("ul");
  list.append(...contents.signs.map((sign) => signOf(set, sign, contents.signs.length === 1)));
  const keep = check(t("Keep where my body and hands were, as points"), set.keep_landmarks, async (wanted) => {
    if (!wanted && !await sure(t("Forget the points?"), t("After the recogniser is replaced, this set then has to be taught again."), t("Forget them"))) return refreshSets();
    await changeSet(set.id, { keep_landmarks: wanted });
    await refreshSets();
  });
  const given = await corpusPart(set, () => refreshSets());
  const old = contents.readable ? [] : [make("p", t("These signs were taught to another recogniser and cannot be read now. Record them again."), "notice")];
  box.replaceChildren(...old, list, keep, given, row(actionsOf(set), "links"));
}

function check(text, checked, work) {
  const label = make("label", "", "check");
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", checked });
  box.addEventListener("change", () => Promise.resolve(work(box.checked)).catch((problem) => tell(box, problem)));
  label.append(box, make("span", text));
  return label;
}

function itemOf(set) {
  const { id, name } = set;
  const item = document.createElement("li");
  const reads = check(name, isChosen(id), (wanted) => choose(set, wanted));
  reads.querySelector("input").setAttribute("aria-label", t("Read {name} in captions", { name }));
  const about = [plural(set.signs, "1 sign", "{n} signs"), t(SIGN_LANGUAGES[set.sign_language] ?? set.sign_language), ...(set.shared ? [t("shared")] : [])];
  const top = make("div", "", "set-top");
  top.append(reads, make("span", about.join(" · "), "hint"));
  const details = document.createElement("details");
  const summary = make("summary", t("Signs, name, link, file"));
  summary.setAttribute("aria-label", t("{name}: signs, name, link, file", { name }));
  const box = document.createElement("div");
  details.append(summary, box);
  details.addEventListener("toggle", () => {
    open[details.open ? "add" : "delete"](id);
    if (details.open && !box.childElementCount) unfold(set, box).catch((problem) => tell(details, problem));
  });
  details.open = open.has(id);
  item.append(top, details);
  return item;
}

// unfolded: the id of a set to unfold.
export async function refreshSets(unfolded = null) {
  sets = await listSets();
  if (unfolded) open.add(unfolded);
  el("set-list").replaceChildren(...sets.map(itemOf));
  el("no-sets").hidden = sets.length > 0;
  el("ticked").hidden = sets.length === 0;
  el("of-this-machine").hidden = signedIn() !== null || (await options)?.auth_mode === "required";
  listeners.forEach((act) => act(sets));
}

el("import").addEventListener("change", async () => {
  const [file] = el("import").files;
  el("import").value = "";
  if (!file) return;
  try {
    const made = await importSet(file);
    await refreshSets(made.id);
    say(el("set-list"), t("“{name}” is imported.", { name: made.name }));
  } catch (problem) {
    tell(el("set-list"), problem);
  }
});

let first = true;
follow(() => {
  if (!first) refreshSets().catch((problem) => tell(el("set-list"), problem));
  first = false;
});
