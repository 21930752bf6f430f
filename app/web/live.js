// Live captions: landmarks or images of the camera or of a sample go to /ws/stream, captions come back (docs/live.md).

import { clearRunning, isOpen, show } from "./captions.js";
import { el, number, wayOut } from "./dom.js";
import { followSecret } from "./followers.js";
import { FrameSource } from "./frame_source.js";
import { drawInStep, nothingDrawn, remember } from "./in_step.js";
import { LiveSocket } from "./live_socket.js";
import { prepareFor, prepareForUser } from "./prepare.js";
import { problemWords } from "./problem_texts.js";
import { follow as followAccount, mayCaption, signedIn, socketAddress } from "./session.js";
import { onReadingWith, readingWith, setsKnown, whyNotRead } from "./reading_with.js";
import { follow, listCameras, settings } from "./settings.js";
import { cameraTrouble, notice, noProblem, offerSamples, problem, setStage } from "./stage.js";
import { StreamClock } from "./stream_clock.js";
import { plural, t } from "./texts.js";
import { add, count } from "./transcript.js";
import { countCredits, showCredits } from "./who.js";
import { message } from "./wire.js";

const MAX_QUEUED_BYTES = 256 * 1024;
const SLOW_MS = 130; // a picture that takes so long to be taken
const SLOW_FPS = 6;
const STATES = { off: "Off", connecting: "Connecting", live: "Live", again: "Reconnecting", ending: "Finishing" };
const video = el("live-video");
const skeleton = el("skeleton");

const OTHER_WAY = "Choose in the settings that pictures may be sent.";

const TITLES = {
  insufficient_credits: "The credits are used up", plan_limit: "The plan allows no more", credits_low: "Few credits are left",
  unauthenticated: "Sign in again", not_available: "Not all that was asked for", not_saved: "Not everything is kept",
};

const READ_MS = 6000; // what is said of a session that goes well stays in the picture for this long

let readLong = null;
let live = null; // the current run: { line, stream, ... }
const parts = []; // of the page, which live with the captions

// part: { start(): more of the message `start`, event(event): each event of the session that runs, forgives(event): whether
// `start` asks for less after this fatal error, so that it may be said again }.
export const alongside = (part) => parts.push(part);

function showState(state, text) {
  el("state").dataset.state = state;
  el("state").textContent = t(STATES[state]);
  el("live-status").textContent = text;
  el("live-status").classList.remove("old");
  clearTimeout(readLong);
  readLong = setTimeout(() => el("live-status").classList.toggle("old", el("state").dataset.state === "live"), READ_MS);
}

// -- the connection --------------------------------------------------------------------------------------------------

async function connect(run) {
  await setsKnown;
  if (live !== run || run.ending) return;
  run.line = new LiveSocket({
    address: () => socketAddress("/ws/stream"),
    start: () => ({
      endpoint_ms: settings.endpoint_ms, aspect: video.videoWidth / video.videoHeight, landmarks: true, ...readingWith(),
      save: settings.save && signedIn() !== null, follow: followSecret(), ...Object.assign({}, ...parts.map((part) => part.start())),
    }),
    event: (event) => receive(run, event),
    lost: (attempt) => lost(run, attempt),
    over: (refusal) => {
      if (refusal) refused(run, refusal.code, refusal.message);
      finish(run);
    },
    fresh: () => { run.clock = new StreamClock(); },
    // A ticket that came too late, or a sign-in that ended: another is asked for, once.
    forgives: (event) => parts.some((part) => part.forgives(event))
      || (event.code === "unauthenticated" && signedIn() !== null && !run.renewed && (run.renewed = true)),
  });
  run.line.connect();
}

function lost(run, attempt) {
  if (!run.stream) video.pause(); // a sample waits; a camera cannot
  const what = run.line.opened ? "The connection was lost; trying again (attempt {n}) …"
    : "The service cannot be reached; trying again (attempt {n}) …";
  showState("again", t(what, { n: attempt }));
  el("try-now").hidden = false;
}

function receive(run, event) {
  if (live === run) for (const part of parts) part.event(event);
  if (event.type === "ready") {
    run.history = event.history_id;
    el("try-now").hidden = true;
    if (live !== run || run.ending) return;
    const kept = event.config.save ? ` ${t("They are kept in your history.")}` : "";
    showState("live", t("Captions are on: {model} reads {signs}.", { model: event.model.id, signs: inWords(event.vocabulary) }) + kept);
    if (run.stream || run.warm) return play();
    frame(run, true);
    setTimeout(() => { if (live === run && run.line.ready && !run.ending) play(); }, 3000); // even without an answer
  } else if (event.type === "landmarks") {
    if (live !== run || run.ending) return;
    if (settings.skeleton) drawInStep(event.at_ms, event.points);
    warmed(run);
  } else if (event.type === "partial") {
    lag(event);
    if (live === run && settings.partials) show(event, true);
  } else if (event.type === "final") {
    lag(event);
    if (live === run) show(event, false);
    add(event, run.clock.wall(event.start_ms) ?? Date.now(), run.clock.wall(0) ?? Date.now(), run.history);
  } else if (event.type === "vocabulary") {
    if (live === run && !run.ending) showState("live", t("From the next sentence on: {signs}.", { signs: inWords(event.vocabulary) }));
  } else if (event.type === "stats") {
    lag(event);
    pictures(event.used, event.dropped + run.skipped);
    noticeSlow(run, event);
    credits(event.credits_remaining);
  } else if (event.type === "warning") {
    warn(event);
  } else if (event.type === "error") {
    if (!event.fatal && ["unknown_vocabulary", "unknown_sign_set", "signs_outdated"].includes(event.code)) {
      el("live-status").textContent = problemWords(event.code, "", event.message)[1];
    }
  } else if (event.type === "done") {
    pictures(event.usage.used, event.usage.dropped + run.skipped);
  }
}

function refused(run, code, english) {
  let [title, message] = problemWords(code, t("Captions stopped"), english);
  el("live-warning").hidden = true;
  if (code === "insufficient_credits") {
    message = t("What was captioned is safe. More credits come with each month, or at once with a larger plan."); // for people
    credits(0);
  }
  if (["unknown_vocabulary", "unknown_sign_set", "signs_outdated"].includes(code)) message = whyNotRead(code) ?? message;
  if (!run.ending) run.refusal = [code in TITLES ? t(TITLES[code]) : title, message, wayOut(code)];
}

function credits(left) {
  const none = left === null || left === undefined;
  for (const part of document.querySelectorAll("[data-credits]")) part.hidden = none;
  if (none) return;
  el("credits").textContent = number(left);
  showCredits(left);
}

// Of what is dropped, `pictures` tells.
function warn({ code, message }) {
  if (["credits_low", "not_available", "not_saved", "plan_limit"].includes(code)) {
    notice(t(TITLES[code] ?? ""), problemWords(code, "", message)[1], code === "credits_low" ? wayOut("plan_limit") : undefined);
  }
}

// Said once: captions of few pictures are late and worse.
function noticeSlow(run, event) {
  if (run.slow || run.landmarks || !run.stream || event.received < 2 * SLOW_FPS) return;
  const few = event.fps > 0 && event.fps < SLOW_FPS;
  if (!few && event.dropped <= event.received / 2) return;
  run.slow = true;
  if (few && run.took_ms > SLOW_MS) {
    return notice(t("This device is slow."), plural(Math.round(event.fps), "Only 1 picture a second can be read, so signs may be missed. Close other programs and tabs.", "Only {n} pictures a second can be read, so signs may be missed. Close other programs and tabs."));
  }
  if (few) return notice(t("The connection is slow."), plural(Math.round(event.fps), "Only 1 picture a second arrives, so signs may be missed.", "Only {n} pictures a second arrive, so signs may be missed."));
  notice(t("The service is busy."), t("It reads fewer pictures than it gets, so captions come late."));
}

function inWords({ name, glosses }) { return `${plural(glosses, "1 sign", "{n} signs")} (${name})`; }

function play() { video.play().catch(() => {}); } // rejected if stopped at once, which is harmless

function lag(event) { el("lag").textContent = `${Math.round(event.lag_ms)} ms`; }

function pictures(used, dropped) { el("pictures").textContent = t("{used} read, {dropped} dropped", { used, dropped }); }

// A body was found in the first picture, by the service or this device: a sample may play.
function warmed(run) {
  if (!run.warm && !run.stream) play();
  run.warm = true;
}

async function frame(run, still = false) {
  const { line } = run;
  if (!line?.ready || video.readyState < 2 || run.busy) return;
  if (video.paused && !still) return;
  if (line.queued > MAX_QUEUED_BYTES) { run.skipped += 1; return; }
  run.busy = true;
  try {
    const began = performance.now();
    const got = await run.source.next();
    if (!got || run.ending || !line.send(message(got.kind, run.sequence++, got.at, got.payload))) return;
    const stream_ms = run.clock.sent(got.at, Date.now() - performance.now() + got.at);
    if (settings.skeleton) remember(stream_ms, got.picture);
    if (got.points) {
      if (settings.skeleton) drawInStep(stream_ms, got.points);
      warmed(run);
    } else {
      run.took_ms += ((performance.now() - began) - run.took_ms) / 8;
    }
  } finally {
    run.busy = false;
  }
}

// What this device sends has changed, or cannot be sent.
function sends(run, { landmarks, problem: what }) {
  if (live !== run || run.ending) return;
  run.landmarks = landmarks === true;
  el("sends").textContent = t(landmarks ? "this device; pictures stay here" : "the service, in pictures");
  el("live-warning").hidden = true;
  if (landmarks === null) {
    run.refusal = [t("Captions stopped"), `${what} ${t(OTHER_WAY)}`];
    stop();
  } else if (what) {
    notice(t(landmarks ? "This device is slow." : "Pictures are sent."), what);
  }
}

// -- beginning and end -----------------------------------------------------------------------------------------------

async function begin(sample) {
  if (!await mayCaption()) {
    return problem(t("Sign in first"), t("This service captions only for people who have signed in."), wayOut("unauthenticated"));
  }
  if (live) stop();
  const run = {
    source: null, landmarks: false, line: null, stream: null, history: null, sequence: 0, skipped: 0,
    clock: new StreamClock(), took_ms: 0, warm: false, busy: false, ending: false, refusal: null, renewed: false,
    slow: false, said: count(),
  };
  live = run;
  // A sample shows nobody, so it need not stay on this device: it starts at once, also where the device is slow.
  const where = sample && settings.where === "auto" ? "pictures" : settings.where;
  run.source = new FrameSource(video, where, (said) => sends(run, said), { text: t });
  const prepared = run.source.open();
  prepared.catch(() => {}); // awaited below
  noProblem();
  clearRunning();
  video.hidden = true;
  setStage("live");
  el("live-stop").focus();
  showState("connecting", sample ? t("Connecting …") : t("Waiting for the camera …"));
  try {
    await (sample ? openSample(sample) : openCamera(run));
  } catch (error) {
    if (live !== run) return;
    run.refusal = sample ? [t("The sample cannot be played"), t("Reload the page and try again.")] : cameraTrouble(error);
    return finish(run);
  }
  if (live !== run || run.ending) return release(run);
  showState("connecting", t("Preparing this device …"));
  try {
    await prepared;
  } catch (error) {
    if (live !== run) return;
    run.refusal = [t("Body and hands cannot be found on this device"), `${t(error.message)} ${t(OTHER_WAY)}`];
    return finish(run);
  }
  if (live !== run || run.ending) return release(run);
  showState("connecting", t("Connecting …"));
  skeleton.width = video.videoWidth;
  skeleton.height = video.videoHeight;
  video.hidden = false;
  connect(run);
  run.source.each(() => frame(run));
}

async function openSample(name) {
  el("picture").classList.remove("mirror");
  video.srcObject = null;
  video.src = `/samples/${encodeURIComponent(name)}`;
  video.onended = stop;
  // Shows its first image and waits until the service has read it, because the performance is short.
  await video.play();
  video.pause();
}

async function openCamera(run) {
  const wanted = { width: 640, height: 480, ...(settings.camera && { deviceId: settings.camera }) };
  run.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  if (live !== run) return;
  const [track] = run.stream.getVideoTracks();
  track.addEventListener("ended", () => stopped(run)); // unplugged, or not allowed any more
  // People expect to see themselves as in a mirror; what is sent is not mirrored.
  el("picture").classList.toggle("mirror", track.getSettings().facingMode !== "environment");
  video.removeAttribute("src");
  video.onended = null;
  video.srcObject = run.stream;
  await Promise.all([new Promise((done) => { video.onloadedmetadata = done; }), listCameras()]);
}

function stopped(run) {
  if (live !== run || run.ending) return;
  run.refusal = [t("The camera has stopped"), t("What was captioned is in the list. Connect the camera and press the button again.")];
  stop();
}

function release(run) {
  run.source.close();
  el("try-now").hidden = true;
  run.stream?.getTracks().forEach((track) => track.stop());
  nothingDrawn();
}

function stop() {
  const run = live;
  if (!run || run.ending) return;
  run.ending = true;
  release(run);
  if (!run.line) return finish(run);
  if (run.line.ready) showState("ending", t("Finishing the last sentence …"));
  run.line.stop();
}

function finish(run) {
  release(run);
  if (live !== run) return;
  live = null;
  if (run.stream) {
    video.srcObject = null;
    video.hidden = true;
  }
  countCredits();
  const nothing = count() === run.said;
  if (run.refusal) problem(...run.refusal);
  else setStage(run.stream || nothing ? "idle" : "ended"); // a sample stays, with its captions
  if (run.refusal) return showState("off", "");
  showState("off", nothing ? t("Captions are off; nothing was recognised.") : t("Captions are off."));
}

el("camera").addEventListener("click", () => begin(null));
el("live-stop").addEventListener("click", stop);
el("try-now").addEventListener("click", () => live?.line?.tryNow());
addEventListener("pagehide", () => live?.line?.close()); // ends the session at once
follow("skeleton", (wanted) => { if (!wanted) nothingDrawn(); });
follow("partials", (wanted) => { if (!wanted && isOpen()) clearRunning(); });
function readOtherSigns() {
  if (live && !live.ending) live.line?.send({ type: "vocabulary", ...readingWith() });
}
follow("vocabulary", readOtherSigns);
onReadingWith(readOtherSigns);
followAccount((user) => { el("saving").hidden = user === null; });
follow("camera", () => { if (live?.stream && !live.ending) begin(null); });

offerSamples(begin);
prepareFor(el("camera"));
prepareForUser();
