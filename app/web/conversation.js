// Two people talk: what one signs is captioned and spoken (live.js), what the other speaks is written and signed.

import { CaptionView } from "./caption_view.js";
import { complain, el, make, toast, wayOut } from "./dom.js";
import { Hearing } from "./hearing.js";
import { alongside } from "./live.js";
import { microphoneTrouble } from "./microphone.js";
import { engineWords, problemWords } from "./problem_texts.js";
import { ask, mayCaption } from "./session.js";
import { keepSettings } from "./kept_settings.js";
import { bothLanguages, follow, listVocabularies, settings } from "./settings.js";
import { sign } from "./signed.js";
import { notice } from "./stage.js";
import { language as pageLanguage, onLanguage, t } from "./texts.js";
import { add } from "./transcript.js";
import { typing } from "./typing.js";
import { Voice } from "./voice.js";
import { showCredits } from "./who.js";

const TAP_MS = 350; // a press no longer than this keeps the microphone open
const STATES = {
  off: "Off", asking: "Waiting", connecting: "Connecting", live: "Listening", quiet: "Ready", again: "Reconnecting",
};
const TITLES = {
  insufficient_credits: "The credits are used up", plan_limit: "The plan allows no more", credits_low: "Few credits are left",
  unauthenticated: "Sign in again", no_translation: "Without translation", no_voice: "Without a voice",
  voice_late: "The voice is late", full: "The service is busy.",
};
const WARNED = ["credits_low", "plan_limit", "no_translation", "no_voice", "voice_late"];

const engines = {}; // what works here, by job: "transcription", "translation", "voice"
const view = new CaptionView(
  { before: el("heard-before"), sentence: el("heard-sentence"), other: el("heard-other") }, () => bothLanguages(settings.reads),
);
let detected = null; // what was spoken last

// -- speech ----------------------------------------------------------------------------------------------------------

const spoken = () => settings.speaks || detected || pageLanguage;

function warn(title, text, link) { toast(el("speech-warning"), title, text, link); }

function show(state, text = "") {
  el("speech-state").dataset.state = state;
  el("speech-state").textContent = t(STATES[state]);
  el("speech-status").textContent = text;
  el("speech-try-now").hidden = state !== "again";
}

const hearing = new Hearing({
  start: () => ({
    language: settings.speaks || null, targets: bothLanguages(settings.reads), interim: settings.partials,
    voice: settings.speechAloud && speaks() ? settings.reads : null,
  }),
  event: heard,
  forgives: (event) => withoutVoice(event, settings.speechAloud, warn),
  level: (level) => el("talk").style.setProperty("--level", Math.min(1, level * 6).toFixed(2)),
  state(state, attempt) {
    if (state !== "off") el("speech-problem").hidden = true;
    if (state === "live") el("speech").dataset.state = "live";
    show(state, state === "again" ? t("The connection was lost; trying again (attempt {n}) …", { n: attempt })
      : state === "asking" ? t("Waiting for the microphone …") : state === "quiet" ? t("Hold the button and talk.") : "");
    if (state === "off") open(false);
    buttons();
  },
  trouble(error) {
    trouble(...(error.name === "Unplugged" ? [t("The microphone is gone"), t("Connect it and press the button again.")] : microphoneTrouble(error)));
  },
  refused({ code, message }) {
    trouble(...problemWords(code, t(TITLES[code] ?? "Speech is not written"), message), wayOut(code));
  },
});

function trouble(title, text, link) {
  el("speech").dataset.state = "idle";
  el("speech-warning").hidden = true;
  complain(el("speech-problem"), title, text, link);
  buttons();
}

function heard(event) {
  if (event.type === "partial") {
    if (settings.partials) subtitle(event, true);
  } else if (event.type === "final") {
    const ended = hearing.wall(event.end_ms);
    detected = event.language;
    el("speech-warning").hidden = true;
    subtitle(event, false);
    delay(Date.now() - ended);
    add(event, hearing.wall(event.start_ms), hearing.wall(0), null, "speech");
    sign(event.sentence, event.language);
  } else if (event.type === "audio") {
    if (settings.speechAloud) voice.piece(event);
  } else if (event.type === "stats") {
    showCredits(event.credits_remaining);
  } else if (event.type === "warning" && WARNED.includes(event.code)) {
    warn(t(TITLES[event.code]), problemWords(event.code, "", event.message)[1], event.code === "credits_low" ? wayOut("plan_limit") : undefined);
  }
}

function subtitle(event, open) {
  view.show(event, open);
  fit();
}

// As large as the pane allows; what is longer even so scrolls, by keyboard too, with the newest words in sight.
function fit() {
  const box = el("heard-words");
  for (const share of [1, 0.85, 0.7, 0.6, 0.5]) {
    box.style.setProperty("--fit", share);
    if (box.scrollHeight <= box.clientHeight) break;
  }
  box.tabIndex = box.scrollHeight > box.clientHeight ? 0 : -1;
  box.scrollTop = box.scrollHeight;
}

new ResizeObserver(fit).observe(el("heard-words"));

function delay(ms) {
  const words = `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  el("speech-lag").textContent = el("subtitle-lag").textContent = words;
  el("speech-delay").hidden = false;
}

// -- the button ------------------------------------------------------------------------------------------------------

let kept = false; // the microphone stays open
let pressed = null; // when, while it is held
let ours = false; // the click that follows was dealt with

function buttons() {
  const on = kept ? "open" : hearing.listening ? "true" : "no";
  el("talk").dataset.on = on;
  el("talk-words").textContent = t(on === "open" ? "Stop" : on === "true" ? "Talk …" : "Hold to talk");
  if (on === "open") el("talk").setAttribute("aria-label", t("Stop listening"));
  else el("talk").removeAttribute("aria-label");
  el("open-microphone").setAttribute("aria-pressed", String(kept));
}

function open(wanted) {
  kept = wanted;
  if (wanted) hearing.listen();
  buttons();
}

async function begin() {
  voice.stop(); // who talks is not talked over
  voice.unlock();
  el("speech-problem").hidden = true;
  if (!await mayCaption()) {
    pressed = null;
    return trouble(t("Sign in first"), t("This service captions only for people who have signed in."), wayOut("unauthenticated"));
  }
  if (pressed === null && !kept) return undefined; // let go already
  return hearing.listen().then(buttons);
}

// event.timeStamp: when it was pressed, however busy the page is.
function press(event) {
  if (kept) {
    open(false);
    hearing.quiet();
    pressed = null;
    return;
  }
  pressed = event.timeStamp;
  begin();
  buttons();
}

function letGo(event) {
  if (pressed === null) return;
  const tapped = event.timeStamp - pressed < TAP_MS;
  pressed = null;
  if (tapped) open(true);
  else hearing.quiet();
}

el("talk").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  ours = true;
  el("talk").setPointerCapture(event.pointerId);
  press(event);
});
for (const end of ["pointerup", "pointercancel"]) el("talk").addEventListener(end, letGo);
el("talk").addEventListener("contextmenu", (event) => { if (pressed !== null) event.preventDefault(); }); // a long touch
el("talk").addEventListener("keydown", (event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  if (!event.repeat) press(event);
});
el("talk").addEventListener("keyup", (event) => {
  if (event.key !== " " && event.key !== "Enter") return;
  event.preventDefault();
  letGo(event);
});
el("talk").addEventListener("blur", () => { if (pressed !== null) { pressed = null; hearing.quiet(); } });
el("talk").addEventListener("click", (event) => { // by a screen reader, a switch or a voice
  if (!ours) {
    press(event);
    letGo(event);
  }
  ours = false;
});
el("open-microphone").addEventListener("click", () => {
  if (kept) {
    open(false);
    return hearing.quiet();
  }
  kept = true;
  buttons();
  return begin();
});
el("speech-try-now").addEventListener("click", () => hearing.tryNow());
addEventListener("pagehide", () => hearing.close());

// -- a typed sentence instead -------------------------------------------------------------------------------------------

let toldAlone = false; // that there is no translator

function untranslated(problem) {
  if (problem) {
    const words = problem.status ? problemWords(problem.code, problem.title, problem.message)
      : ["", t("The service did not answer. Try again.")];
    return warn(t("Without translation"), words[1], wayOut(problem.code));
  }
  if (!toldAlone) warn(t("Without translation"), t("No translator is installed here: sentences stay in the language they are typed in, and only English is signed."));
  toldAlone = true;
  return undefined;
}

typing({
  translates: () => Boolean(engines.translation),
  language: () => detected ?? pageLanguage,
  refused: () => trouble(t("Sign in first"), t("This service captions only for people who have signed in."), wayOut("unauthenticated")),
  show(event, open) {
    el("speech-problem").hidden = true;
    if (open) el("speech-warning").hidden = true;
    el("speech").dataset.state = "live";
    subtitle(event, open);
  },
  typed(event) {
    add(event, Date.now(), Date.now(), null, "typed");
    sign(event.sentence, event.language, ({ code, message }) => {
      if (engines.translation || code !== "speech_unavailable") warn(t("Not signed"), problemWords(code, "", message)[1], wayOut(code));
    });
    const { reads } = settings;
    if (settings.speechAloud && speaks() && event.text[reads]) {
      voice.unlock();
      voice.say(event.text[reads], reads);
    }
  },
  untranslated,
});

// types: whether the sentence is typed; without an engine that writes speech it always is.
function way(types) {
  el("speech").dataset.way = types ? "type" : "talk";
  el("way-words").textContent = t(types ? "Talk instead" : "Type");
  el("way").hidden = engines.transcription === null;
}

el("way").addEventListener("click", () => {
  settings.types = el("speech").dataset.way === "talk";
  keepSettings();
  if (settings.types) {
    open(false);
    hearing.quiet();
  }
  way(settings.types);
  el(settings.types ? "typed" : "talk").focus();
});

// -- voices ----------------------------------------------------------------------------------------------------------

function late(ms) { el("voice-lag").textContent = `${(ms / 1000).toFixed(1)} s`; }

const voice = new Voice({
  playing: (playing) => hearing.hold(playing),
  late,
  problem: (problem) => warn(t("Without a voice"), problem.message),
});

let allowed = true; // whether the plan of the account has a voice

const speaks = () => engines.voice && allowed;

// A plan without a voice still has captions. asked: whether a voice was asked for; say(title, text, link): shows why none is heard.
function withoutVoice({ code, message }, asked, say) {
  if (code !== "plan_limit" || !asked || !speaks()) return false;
  allowed = false;
  say(t("Without a voice"), problemWords(code, "", message)[1], wayOut(code));
  return true;
}

let withSigns = null; // the language in which the session of the signs sends a voice
let finished = null; // when its last sentence was

alongside({
  start: () => ({ targets: ["en", "es"], ...(settings.signsAloud && speaks() && { voice: spoken() }) }),
  forgives: (event) => withoutVoice(event, settings.signsAloud, notice),
  event(event) {
    if (event.type === "ready") withSigns = event.config.voice ?? null;
    if (!settings.signsAloud) return;
    if (event.type === "audio" && event.language === spoken()) {
      voice.piece(event);
      if (finished !== null) late(performance.now() - finished);
      finished = null;
    } else if (event.type === "final" && withSigns === spoken()) {
      finished = performance.now();
    } else if (event.type === "final" && speaks()) { // the choice is newer than the session
      const text = event.text[spoken()];
      voice.say(text ?? event.sentence, text ? spoken() : "en");
    }
  },
});

// -- what this service has -------------------------------------------------------------------------------------------

// What the settings choose but is not there.
const lacking = (all, job) => all.find((entry) => entry.job === job && entry.chosen && !entry.available) ?? null;

function listEngines(all) {
  const names = { transcription: t("Written by"), translation: t("Translated by"), voice: t("Spoken by") };
  const rows = Object.entries(names).flatMap(([job, name]) => {
    const [one] = all.filter((entry) => entry.job === job && entry.chosen && entry.available);
    const missing = lacking(all, job);
    engines[job] = one ?? null;
    const cell = make("dd", one ? one.name : t("nothing here"));
    if (!one && missing) cell.append(make("code", missing.remedy));
    return [make("dt", name), cell];
  });
  el("engines").replaceChildren(...rows);
  el("speech-engines").textContent = Object.values(engines).filter(Boolean).map(({ name }) => name).join(" · ");
  el("speech-engines").hidden = !engines.transcription;
  const none = engines.transcription === null;
  el("no-speech").hidden = !none;
  el("talk").disabled = el("open-microphone").disabled = none;
  way(none || settings.types);
  if (!none) return;
  const missing = lacking(all, "transcription");
  el("no-speech-why").textContent = missing ? engineWords(missing.detail) : t("It is switched off in the settings of the service.");
  el("no-speech-command").textContent = missing?.remedy ?? "";
}

async function look() {
  const may = await mayCaption();
  el("door").hidden = may;
  if (!may) return;
  ask("/api/vocabularies").then(listVocabularies).catch(() => {});
  try {
    listEngines((await ask("/api/speech/engines")).engines);
  } catch (problem) {
    if (problem.status) trouble(...problemWords(problem.code, problem.title, problem.message), wayOut(problem.code));
    else trouble(t("The service did not answer"), t("Reload the page and try again."));
  }
}

// -- the transcript --------------------------------------------------------------------------------------------------

const wide = matchMedia("(min-width: 75rem)");

function side(shown) {
  el("main").dataset.side = shown ? "open" : "";
  el("show-transcript").setAttribute("aria-expanded", String(shown));
}

el("show-transcript").addEventListener("click", () => {
  const shown = el("main").dataset.side !== "open";
  side(shown);
  if (shown && !wide.matches) el("hide-transcript").focus();
});
el("hide-transcript").addEventListener("click", () => { side(false); el("show-transcript").focus(); });
el("side").addEventListener("keydown", (event) => { if (event.key === "Escape" && !wide.matches) el("hide-transcript").click(); });
wide.addEventListener("change", () => side(wide.matches));
side(wide.matches);

// -- settings --------------------------------------------------------------------------------------------------------

follow("speaks", () => hearing.again());
follow("speechAloud", (wanted) => { if (!wanted) voice.stop(); hearing.again(); });
follow("signsAloud", (wanted) => { if (!wanted) voice.stop(); });
follow("reads", () => { if (settings.speechAloud) hearing.again(); });
onLanguage(() => { look(); buttons(); });
way(settings.types);
show("off");
buttons();
look();
