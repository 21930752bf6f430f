// A video file: chosen or dropped, sent with progress, answered with its sentence and signs.

import { complain, el, make, percent, readFrom, wayOut } from "./dom.js";
import { bearer, mayCaption, query, signedIn } from "./session.js";
import { settings, vocabulary } from "./settings.js";
import { glossButton } from "./signs.js";
import { countCredits } from "./who.js";

let sending = null;
let previewUrl = null;

function showPreview() {
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  const file = el("file").files[0];
  previewUrl = file ? URL.createObjectURL(file) : null;
  el("preview").hidden = !file;
  if (file) el("preview").src = previewUrl;
  clearAnswer();
}

function clearAnswer() {
  el("result").hidden = true;
  el("problem").hidden = true;
  el("status").textContent = "";
}

function showResult(answer) {
  el("sentence").textContent = answer.sentence || "Nothing was recognised.";
  el("signs").replaceChildren(...answer.segments.map((segment) => {
    const row = document.createElement("tr");
    const name = make("th", segment.gloss);
    name.scope = "row";
    glossButton(segment.gloss).then((button) => name.replaceChildren(button));
    row.append(name, make("td", `${segment.start_s.toFixed(2)} s`), make("td", `${segment.end_s.toFixed(2)} s`),
      make("td", segment.unsure ? `${percent(segment.confidence)}, unsure` : percent(segment.confidence),
        segment.unsure ? "unsure" : ""));
    return row;
  }));
  const notes = [...answer.warnings.map((warning) => warning.message), `Read from ${readFrom(answer.attention)}.`];
  el("note").textContent = notes.join(" ");
  el("result").hidden = false;
  const signs = answer.gloss.length === 1 ? "1 sign" : `${answer.gloss.length} signs`;
  const times = `${answer.duration_s.toFixed(1)} s of video, read in ${answer.processing_time_s.toFixed(1)} s`;
  el("status").textContent = `${signs} in ${times}. ${answer.sentence}`;
}

// Share of the file that was sent; undefined while it is being read, for which there is no progress.
function progress(share) {
  const text = share === undefined ? "Reading the video …" : `${percent(share)} sent`;
  if (share === undefined) el("progress").removeAttribute("value");
  else el("progress").value = share;
  el("progress-text").textContent = text;
}

// XMLHttpRequest because fetch does not report upload progress.
function send(file, token) {
  const body = new FormData();
  body.append("file", file);
  if (vocabulary()) body.append("vocabulary", vocabulary());
  const request = new XMLHttpRequest();
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
  request.upload.addEventListener("load", () => {
    progress(undefined);
    el("status").textContent = "Sent; reading the video.";
  });
  request.addEventListener("load", () => {
    el("status").textContent = "";
    const answer = request.response ?? { title: "The service did not answer", detail: "Try again." };
    if (request.status === 200) showResult(answer);
    else complain(el("problem"), answer.title, answer.detail, wayOut(answer.code));
    countCredits();
  });
  request.addEventListener("error", () => {
    el("status").textContent = "";
    complain(el("problem"), "The service did not answer",
      "It may be shutting down, or the file is larger than its limit. Try again.");
  });
  request.addEventListener("abort", () => { el("status").textContent = "Cancelled."; });
  request.addEventListener("loadend", () => {
    sending = null;
    el("sending").hidden = true;
    el("send").disabled = false;
    const hadFocus = document.activeElement === el("stop");
    el("stop").hidden = true;
    if (hadFocus) el("send").focus();
  });
  request.open("POST", `/api/inference/predict${query({ save: settings.save && signedIn() ? "true" : "" })}`);
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
    const why = "This service captions only for people who have signed in.";
    return complain(el("problem"), "Sign in first", why, wayOut("unauthenticated"));
  }
  const token = await bearer().catch(() => null);
  if (sending) return;
  el("status").textContent = "Sending the video.";
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
