// Teach a sign: its name, three recordings that are checked one by one, and how well it is read back.

import { cameraTrouble } from "./camera_trouble.js";
import { choose } from "./chosen_sets.js";
import { complain, el, make, wayOut } from "./dom.js";
import { watchHands } from "./hand_watch.js";
import { keepSettings, settings } from "./kept_settings.js";
import { prepareFor, prepareForUser } from "./prepare.js";
import { problemWords } from "./problem_texts.js";
import { mayCaption } from "./session.js";
import { addRecording, addSign, contentsOf, deleteRecording, deleteSet, deleteSign, makeSet } from "./sign_sets.js";
import { SIGN_LANGUAGES } from "./sign_languages.js";
import { Changed, openCamera, Stopped, take, videoRecorder } from "./take.js";
import { takeAll } from "./takes.js";
import { languageOf, onTeach, refreshSets, setsOf } from "./teach_sets.js";
import { ask, dots, look, say, showSeen, showSends } from "./teach_mirror.js";
import { offerShared } from "./teach_shared.js";
import { t } from "./texts.js";

const NEEDED = 3;
const COUNT_FROM = [3, 2]; // the first time, and when it is known
const GLAD_MS = 700; // how long it says that there is a recording
const WATCH_MS = 4000; // how long it waits for the first word about the hands

// What is wrong with a recording, and what to do, by the service's code.
const WRONG = {
  no_hands: "No hand was in sight. Sit so that the camera sees your shoulders and both hands, with light from the front.",
  too_short: "That was too short. Sign at your usual pace, with your hands in the picture all the time.",
  too_long: "That was too long. Show the sign alone, once.",
  cut_off: "The recording begins or ends with a hand up, so a part of the sign may be missing. Start with your hands down, and lower them at the end.",
  different: "This one looks different from the others. If it was not the same sign, record it again.",
  different_signs: "These look like three different signs. Show the same sign each time, in the same way.",
  same: "This is the same recording as one before. Sign it again: only other recordings help.",
};
const ASKED = ["cut_off", "different", "same"]; // kept only if the person says so

const video = el("teach-video");
let act = null; // { set, setName, sign, gloss, madeSet, madeSign, got, taken, wanted, notes, stop, stream, seen, watch, files, byHand }

// -- what is shown ---------------------------------------------------------------------------------------------------

function show(state) { el("teach").dataset.state = state; }

function tell(problem) {
  if (!problem.status) console.warn(problem);
  const [title, why] = problem.status ? problemWords(problem.code, problem.title, problem.message)
    : [t("The service did not answer"), t("Check the connection and try again.")];
  complain(el("teach-problem"), title, why, wayOut(problem.code));
}

// n: which recording, from 1.
const askOf = (n, why, keep) => ask(act.wanted > 1 ? t("Recording {n}: {what}", { n, what: why }) : why, keep, act.stop.signal);

function showStates(states) {
  act.got = states.filter((state) => state === "good").length;
  dots(states);
}

// -- recordings ------------------------------------------------------------------------------------------------------

// Sends it. What is in doubt, as takes.js has it; null where it is good.
async function learn(recording, insist = false) {
  const mine = act, { set, sign, stop } = mine;
  let answer;
  try {
    answer = await addRecording(set, sign, recording, insist, stop.signal);
  } catch (problem) {
    if (stop.signal.aborted) throw new Stopped();
    if (problem.code === "recording_refused") return { why: t(WRONG[problem.reason] ?? problem.message), keep: null };
    if (problem.code !== "different_signs") throw problem;
    return { why: t(WRONG.different_signs), keep: t("It is one sign"), kept: () => learn(recording, true) };
  }
  mine.notes = answer.notes.filter(({ code }) => code === "confusable");
  const codes = answer.notes.map(({ code }) => code).filter((code) => ASKED.includes(code));
  return codes.length === 0 ? null : {
    why: codes.map((code) => t(WRONG[code])).join(" "), keep: t("Keep it"),
    again: () => deleteRecording(set, sign, answer.recording.id),
  };
}

// As takes.js has it.
async function record(n, putOff) {
  const { stream, stop, watch } = act;
  act.byHand = false;
  watch.pause(false);
  const recorder = () => (watch.landmarks() ? watch.recorder() : videoRecorder(stream, () => watch.landmarks() === false));
  const count = COUNT_FROM[Math.min(act.taken, COUNT_FROM.length - 1)];
  let recording;
  try {
    recording = await take({
      stream, recorder, putOff, count, signal: stop.signal, seen: () => act.seen ?? null, done: () => act.byHand,
      show: (state, number) => {
        look(state, number);
        if (state === "count") say(t("Hands down"), number === count ? t("Hands down. {n}", { n: number }) : String(number));
        else if (state === "lower") say(t("Lower your hands to begin"));
        else say(t("Sign now"));
      },
    });
  } catch (problem) {
    if (!(problem instanceof Changed)) throw problem;
    if (watch.landmarks() === null) throw cannotFind(act.lost);
    return null; // later, or in the other way
  }
  act.taken += 1;
  if (recording.handsSeen === false) {
    await askOf(n, t(WRONG.no_hands), null);
    return null;
  }
  return recording;
}

async function taken(open) {
  if (open === 0) return;
  look("glad");
  say(open === 1 ? t("Recorded. Once more.") : t("Recorded. Again."));
  await new Promise((done) => { setTimeout(done, GLAD_MS); });
}

function reading() {
  act.watch?.pause(true);
  look("reading");
  say(t("Reading it …"));
}

// Where only this device may find body and hands, and it cannot.
const cannotFind = (why) => Object.assign(new Error("device"), {
  trouble: [t("This device cannot do it alone"), [why, t("Choose below that the service finds body and hands, or use videos instead.")].filter(Boolean).join(" ")],
});

async function untilSeen() {
  say(t("Get ready: hands down"));
  const from = performance.now();
  while (act.seen === undefined && performance.now() - from < WATCH_MS) {
    await new Promise((done) => { setTimeout(done, 50); });
    if (act.stop.signal.aborted) throw new Stopped();
  }
}

async function fromCamera() {
  try {
    act.stream = await openCamera(video);
  } catch (error) {
    const [title, what] = cameraTrouble(error);
    const missing = error.name === "NotFoundError" || error.name === "OverconstrainedError";
    throw Object.assign(new Error("no camera"), { trouble: [title, missing ? t("Connect one and try again, or use videos instead.") : what] });
  }
  if (act.stop.signal.aborted) throw new Stopped();
  const mine = act, { signal } = mine.stop;
  say(t("Preparing this device …"));
  const watching = watchHands(video, settings.where, (seen) => { mine.seen = seen; if (mine === act) showSeen(seen); }, (said) => {
    mine.lost = said.problem;
    if (mine === act) showSends(said);
  });
  const stopped = new Promise((_, failed) => { signal.addEventListener("abort", () => failed(new Stopped()), { once: true }); });
  try {
    mine.watch = await Promise.race([watching, stopped]);
  } catch (error) {
    watching.then((late) => late.end(), () => {});
    if (error instanceof Stopped) throw error;
    throw cannotFind(t("Body and hands cannot be found on this device: {why}.", { why: error.message.replace(/\.$/, "") }));
  }
  if (signal.aborted) throw new Stopped();
  await untilSeen();
  await takeAll(act.wanted, { record, taken, learn, ask: askOf, show: showStates, waiting: reading, signal });
}

// One after another; one that is refused is left out.
async function fromFiles() {
  const states = act.files.map(() => "open");
  const mark = (i, state) => { states[i] = state; showStates([...states]); };
  for (const [i, file] of act.files.entries()) {
    if (act.stop.signal.aborted) throw new Stopped();
    mark(i, "checking");
    reading();
    let doubt = await learn({ content: file, name: file.name });
    while (doubt) {
      mark(i, "doubt");
      if (await askOf(i + 1, doubt.why, doubt.keep) === "again") {
        await doubt.again?.();
        break;
      }
      doubt = await doubt.kept?.();
    }
    if (!doubt) mark(i, "good");
  }
  if (!act.got) throw new Stopped();
}

// -- the whole act ---------------------------------------------------------------------------------------------------

async function target() {
  const name = el("sign-called").value.trim();
  let set = el("sign-set").value, setName = el("sign-set").selectedOptions[0]?.textContent ?? "";
  let madeSet = false;
  if (!set) {
    const made = await makeSet({
      name: el("set-name").value.trim() || t("My signs"), sign_language: el("set-language").value,
      keep_landmarks: el("set-landmarks").checked,
    });
    [set, setName, madeSet] = [made.id, made.name, true];
  }
  try {
    const sign = await addSign(set, name);
    return { set, setName, madeSet, sign: sign.id, gloss: sign.gloss, madeSign: true };
  } catch (problem) {
    if (madeSet) await deleteSet(set).catch(() => {});
    throw problem;
  }
}

function release() {
  el("teach-sends").textContent = "";
  act?.watch?.end();
  act?.stream?.getTracks().forEach((track) => track.stop());
  video.srcObject = null;
}

// What was made for a sign of which nothing was recorded goes.
async function undo({ set, sign, madeSet, madeSign, got }) {
  if (got || !sign) return;
  if (madeSet) await deleteSet(set).catch(() => {});
  else if (madeSign) await deleteSign(set, sign).catch(() => {});
}

// given: { set, setName, sign, gloss } of a sign that is there; without, one is made as the form says.
async function teach({ given = null, files = null }) {
  if (act) return;
  el("teach-problem").hidden = true;
  act = { got: 0, taken: 0, wanted: given ? 1 : files?.length ?? NEEDED, notes: [], stop: new AbortController(), files };
  const mine = act;
  el("teach-start").disabled = true;
  try {
    Object.assign(mine, given ?? await target());
    el("teach-title").textContent = mine.gloss;
    show("takes");
    showSeen(files ? null : undefined);
    el("teach-sends").textContent = "";
    el("seen").hidden = Boolean(files);
    look("wait");
    showStates(Array(mine.wanted).fill("open"));
    el("take-stop").focus();
    el("takes").scrollIntoView({ block: "nearest" });
    await (files ? fromFiles() : fromCamera());
    release();
    await showTaught(mine);
    choseSet = false;
  } catch (problem) {
    release();
    await undo(mine);
    show("form");
    el("teach-title").textContent = t("New sign");
    if (problem.trouble) complain(el("teach-problem"), ...problem.trouble);
    else if (problem.message === "camera") complain(el("teach-problem"), t("The camera has stopped"), mine.got
      ? t("What was recorded is kept. Connect it and go on with “One more recording”, or start again.") : t("Connect it and start again."));
    else if (problem.message === "recorder") complain(el("teach-problem"), t("The recording failed"), t("This browser cannot record video. Use videos instead."));
    else if (!(problem instanceof Stopped)) tell(problem);
    el("sign-called").focus();
  } finally {
    act = null;
    el("teach-start").disabled = false;
    refreshSets(mine.got ? mine.set : null).catch(() => {});
  }
}

async function showTaught({ set, setName, sign, gloss, notes }) {
  const { signs } = await contentsOf(set);
  const { recordings, read_back: back } = signs.find(({ id }) => id === sign);
  const words = [t("Taught with {n} recordings.", { n: recordings.length })];
  if (back && signs.length > 1) {
    words.push(t("I would now read it in {right} of {of} of your recordings, each read by the others.", back));
    if (back.confused_with.length) words.push(t("The rest were taken for {signs}.", { signs: back.confused_with.join(", ") }));
  } else {
    words.push(t("It is the only sign of “{set}” so far, so there is nothing to mistake it for. Teach it more signs.", { set: setName }));
  }
  el("taught-back").textContent = words.join(" ");
  el("taught-notes").replaceChildren(...notes.map(() => make("li", t("It looks much like another sign of this set, so they may be confused. More recordings of each tell them apart."))));
  show("done");
  el("teach-live").textContent = `${gloss}. ${words.join(" ")}`;
  Object.assign(el("taught").dataset, { set, setName, sign, gloss });
  el("taught-use").focus();
}

el("teach-form").addEventListener("submit", (event) => { event.preventDefault(); teach({}); });
el("teach-files").addEventListener("change", () => {
  const files = [...el("teach-files").files];
  el("teach-files").value = "";
  if (files.length && el("teach-form").reportValidity()) teach({ files });
});
el("take-stop").addEventListener("click", () => act?.stop.abort());
el("take-end").addEventListener("click", () => { if (act) act.byHand = true; });
el("takes").addEventListener("keydown", (event) => { if (event.key === "Escape") act?.stop.abort(); });
el("taught-use").addEventListener("click", () => {
  choose({ id: el("taught").dataset.set, name: el("taught").dataset.setName }, true);
  location.assign("/");
});
el("taught-next").addEventListener("click", () => {
  el("teach-title").textContent = t("New sign");
  el("sign-called").value = "";
  show("form");
  el("sign-called").focus();
});
el("taught-more").addEventListener("click", () => teach({ given: { ...el("taught").dataset } }));
onTeach((given) => teach({ given }));
addEventListener("pagehide", release);
prepareFor(el("teach-start"));
prepareForUser();

// -- the form --------------------------------------------------------------------------------------------------------

function fillLanguages() {
  el("set-language").replaceChildren(...Object.entries(SIGN_LANGUAGES).map(([code, name]) => new Option(t(name), code)));
  el("set-language").value = languageOf() ?? "ase";
  inOrder();
}

el("teach-where").value = settings.where;
el("teach-where").addEventListener("change", () => {
  settings.where = el("teach-where").value;
  keepSettings();
});
const newSet = () => { el("new-set").hidden = el("new-set").disabled = el("sign-set").value !== ""; };
let choseSet = false; // "A new set" is kept where the person has chosen it
el("sign-set").addEventListener("change", () => {
  choseSet = true;
  newSet();
});
const inOrder = () => { el("set-language-hint").hidden = el("set-language").value === "ase"; };
el("set-language").addEventListener("change", inOrder);

setsOf((sets) => {
  const before = el("sign-set").value;
  el("sign-set").replaceChildren(...sets.map(({ id, name }) => new Option(name, id)), new Option(t("A new set"), ""));
  const there = sets.some(({ id }) => id === before) || (choseSet && before === "");
  el("sign-set").value = there ? before : sets.at(-1)?.id ?? "";
  el("into").hidden = sets.length === 0;
  newSet();
});

if (await mayCaption()) {
  try {
    await refreshSets();
    el("all").hidden = false;
  } catch (problem) {
    el("nowhere").hidden = problem.code !== "database_unavailable";
    el("nowhere-why").textContent = problem.message.startsWith("sign_sets:") ? "" : problem.message; // where there is one
    el("all").hidden = !el("nowhere").hidden;
    if (el("nowhere").hidden) tell(problem);
  }
  fillLanguages();
  await offerShared();
} else {
  el("door").hidden = false;
}
