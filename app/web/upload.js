// A video file: chosen or dropped, sent with progress, answered with its sentence and signs.

import { complain, el, make, percent, readFrom, save, wayOut } from "./dom.js";
import { problemWords } from "./problem_texts.js";
import { readingWith, setsKnown } from "./reading_with.js";
import { bearer, mayCaption, query, signedIn } from "./session.js";
import { settings } from "./settings.js";
import { howButton } from "./signs.js";
import { asSubtitles } from "./subtitles.js";
import { language, plural, t } from "./texts.js";
import { countCredits } from "./who.js";

let sending = null;
let previewUrl = null;
let clip = null; // { name, cues, segments } of the answer that is shown

function showPreview() {
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  const file = el("file").files[0];
  previewUrl = file ? URL.createObjectURL(file) : null;
  el("clip").hidden = !file;
  el("drop-title").textContent = file ? file.name : t("Choose a video, or drop one here");
  el("drop").classList.toggle("chosen", Boolean(file));
  if (file) el("preview").src = previewUrl;
  clearAnswer();
}

function clearAnswer() {
  clip = null;
  takeTrack();
  el("result").hidden = true;
  el("problem").hidden = true;
  el("status").textContent = "";
}

function takeTrack() {
  const track = el("preview").querySelector("track");
  if (track) URL.revokeObjectURL(track.src);
  track?.remove();
}

// The subtitles on the preview.
function addTrack(cues) {
  takeTrack();
  if (!cues.length) return;
  const track = document.createElement("track");
  Object.assign(track, {
    kind: "captions", label: "English", srclang: "en", default: true,
    src: URL.createObjectURL(new Blob([asSubtitles(cues, "vtt")], { type: "text/vtt" })),
  });
  el("preview").append(track);
  track.track.mode = "showing";
}

// The service writes the subtitles of a clip.
const cuesOf = ({ cues }) => cues.map(({ start_s, end_s, text }) => (
  { start_ms: Math.round(start_s * 1000), end_ms: Math.round(end_s * 1000), text }));

function rowOf(segment) {
  const row = document.createElement("tr");
  const name = make("th", "");
  name.scope = "row";
  const jump = make("button", segment.gloss, "link");
  jump.type = "button";
  jump.lang = "en";
  jump.title = t("Show this moment");
  jump.addEventListener("click", () => {
    el("preview").currentTime = segment.start_s;
    el("preview").play().catch(() => {});
  });
  name.append(jump);
  const how = make("td", "");
  howButton(segment.gloss).then((button) => button && how.append(button));
  row.append(name, make("td", `${segment.start_s.toFixed(2)} s`), make("td", `${segment.end_s.toFixed(2)} s`),
    make("td", segment.unsure ? `${percent(segment.confidence)}, ${t("unsure")}` : percent(segment.confidence),
      segment.unsure ? "unsure" : ""), how);
  return row;
}

function showResult(answer) {
  const unsure = answer.segments.some((segment) => segment.unsure);
  clip = { name: el("file").files[0]?.name.replace(/\.[^.]*$/, "") || "clip", cues: cuesOf(answer), segments: answer.segments };
  const nothing = !answer.sentence;
  el("sentence").textContent = answer.sentence || t("Nothing was recognised. The signs that are known are listed under “Signs”.");
  el("sentence").lang = nothing ? language : "en";
  el("sentence").classList.toggle("nothing", nothing);
  el("sentence").classList.toggle("unsure", unsure && !nothing);
  for (const id of ["clip-files", "signs-found-title", "signs-table"]) el(id).hidden = nothing;
  el("signs").replaceChildren(...answer.segments.map(rowOf));
  addTrack(clip.cues);
  const notes = [unsure ? t("Signs marked unsure may be others, or none that is known.") : "",
    ...answer.warnings.map((warning) => warning.message), t("Read from {what}.", { what: readFrom(answer.attention) })];
  el("note").textContent = notes.filter(Boolean).join(" ");
  el("result").hidden = false;
  el("status").textContent = t("{signs} in {s} s of video, read in {took} s.", {
    signs: plural(answer.gloss.length, "1 sign", "{n} signs"), s: answer.duration_s.toFixed(1), took: answer.processing_time_s.toFixed(1),
  });
  el("preview").currentTime = 0;
  el("sentence").scrollIntoView({ block: "nearest" });
}

for (const button of document.querySelectorAll("[data-clip]")) {
  button.addEventListener("click", () => {
    const kind = button.dataset.clip;
    const content = kind === "txt" ? clip.cues.map((cue) => cue.text.replace("\n", " ")).join("\n") + "\n" : asSubtitles(clip.cues, kind);
    save(`${clip.name}.${kind}`, new Blob([content], { type: "text/plain" }));
  });
}

// The row of the sign that is being made.
el("preview").addEventListener("timeupdate", () => {
  const now = el("preview").currentTime;
  clip?.segments.forEach((segment, i) => {
    el("signs").children[i]?.classList.toggle("now", now >= segment.start_s && now < segment.end_s);
  });
});

// Share of the file that was sent; undefined while it is being read, for which there is no progress.
function progress(share) {
  const text = share === undefined ? t("Reading the video …") : t("{share} sent", { share: percent(share) });
  if (share === undefined) el("progress").removeAttribute("value");
  else el("progress").value = share;
  el("progress-text").textContent = text;
}

// XMLHttpRequest because fetch does not report upload progress.
function send(file, token) {
  const body = new FormData();
  body.append("file", file);
  const { vocabulary, sign_sets } = readingWith();
  if (vocabulary) body.append("vocabulary", vocabulary);
  const request = new XMLHttpRequest();
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
  request.upload.addEventListener("load", () => {
    progress(undefined);
    el("status").textContent = t("Sent; reading the video.");
  });
  request.addEventListener("load", () => {
    el("status").textContent = "";
    const answer = request.response ?? { title: t("The service did not answer"), detail: t("Try again.") };
    if (request.status === 200) showResult(answer);
    else complain(el("problem"), ...problemWords(answer.code, answer.title, answer.detail), wayOut(answer.code));
    countCredits();
  });
  request.addEventListener("error", () => {
    el("status").textContent = "";
    complain(el("problem"), t("The service did not answer"),
      t("It may be shutting down, or the file is larger than its limit. Try again."));
  });
  request.addEventListener("abort", () => { el("status").textContent = t("Cancelled."); });
  request.addEventListener("loadend", () => {
    sending = null;
    el("sending").hidden = true;
    el("send").disabled = false;
    const hadFocus = document.activeElement === el("stop");
    el("stop").hidden = true;
    if (hadFocus) el("send").focus();
  });
  request.open("POST", `/api/inference/predict${query({
    format: "cues", save: settings.save && signedIn() ? "true" : "", sign_sets: sign_sets?.join(",") ?? "",
  })}`);
  if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
  request.send(body);
  return request;
}

el("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = el("file").files[0];
  if (!file || sending) return;
  clearAnswer();
  if (!await mayCaption()) {
    const why = t("This service captions only for people who have signed in.");
    return complain(el("problem"), t("Sign in first"), why, wayOut("unauthenticated"));
  }
  const [token] = await Promise.all([bearer().catch(() => null), setsKnown]);
  if (sending) return;
  el("status").textContent = t("Sending the video.");
  progress(0);
  el("sending").hidden = false;
  el("stop").hidden = false;
  el("stop").focus();
  el("send").disabled = true;
  sending = send(file, token);
});

el("stop").addEventListener("click", () => sending?.abort());
el("file").addEventListener("change", showPreview);
for (const name of ["dragenter", "dragover"]) {
  el("drop").addEventListener(name, (event) => { event.preventDefault(); el("drop").classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  el("drop").addEventListener(name, () => el("drop").classList.remove("over"));
}
el("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) {
    el("file").files = event.dataTransfer.files;
    showPreview();
  }
});
