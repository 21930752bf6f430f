"use strict";

// Live captions: pictures of the camera or of a sample go to /ws/stream, captions come back (docs/live.md).

const FRAME_MS = 66;
const MAX_QUEUED_BYTES = 256 * 1024;
const HEADER_BYTES = 16;
const el = (id) => document.getElementById(id);

let live = null; // what runs now: { video, socket, ... }
const said = []; // finals: { start_ms, end_ms, sentence }

function tell(text) { el("live-status").textContent = text; }

function complain(title, detail) {
  const strong = document.createElement("strong");
  strong.textContent = title;
  el("live-problem").replaceChildren(strong, document.createTextNode(detail));
  el("live-problem").hidden = false;
}

function connect(run) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/stream`, "glossline.v1");
  socket.binaryType = "arraybuffer";
  run.socket = socket;
  socket.addEventListener("open", () => {
    const start = { type: "start", endpoint_ms: 1200 };
    if (run.session) start.resume = { session_id: run.session, token: run.token, last_seq: run.seq };
    socket.send(JSON.stringify(start));
  });
  socket.addEventListener("message", (message) => hear(run, JSON.parse(message.data)));
  socket.addEventListener("close", (farewell) => lost(run, farewell));
}

function lost(run, farewell) {
  run.ready = false;
  if (live !== run || run.ending) return finish(run);
  if (run.fatal && farewell.code !== 4400) return finish(run);
  if (farewell.code === 4400) run.session = null; // too late to resume: begin anew
  run.attempt = Math.min(run.attempt + 1, 6);
  tell(`The connection was lost; trying again (${run.attempt}) …`);
  setTimeout(() => { if (live === run && !run.ending) connect(run); }, 250 * 2 ** run.attempt);
}

function hear(run, event) {
  run.seq = Math.max(run.seq, event.seq ?? 0);
  if (event.type === "ready") {
    Object.assign(run, { session: event.session_id, token: event.resume_token, ready: true, attempt: 0, fatal: false });
    tell(`Captions are on: ${event.model.id} knows ${event.model.glosses} signs.`);
  } else if (event.type === "partial") {
    show(event, true);
  } else if (event.type === "final") {
    show(event, false);
    said.push({ start_ms: event.start_ms + run.offset_ms, end_ms: event.end_ms + run.offset_ms, sentence: event.sentence });
    const item = document.createElement("li");
    item.textContent = event.sentence;
    el("history").append(item);
    el("history").scrollTop = el("history").scrollHeight;
    el("said").hidden = false;
    if (el("speak").checked && "speechSynthesis" in window) {
      const words = new SpeechSynthesisUtterance(event.sentence);
      words.lang = "en";
      speechSynthesis.speak(words);
    }
  } else if (event.type === "stats") {
    el("live-numbers").textContent =
      `${Math.round(event.lag_ms)} ms behind, ${event.used} pictures read, ${event.dropped + run.skipped} left out`;
  } else if (event.type === "error") {
    if (event.fatal) {
      run.fatal = true;
      if (!run.ending && event.code !== "unknown_session") complain("Captions stopped", event.message);
    }
  } else if (event.type === "done") {
    run.socket.close(1000);
  }
}

function show(event, open) {
  el("live-sentence").textContent = event.sentence;
  el("live-sentence").classList.toggle("open", open);
  el("live-gloss").replaceChildren(...event.gloss.map((sign) => {
    const span = document.createElement("span");
    span.textContent = `${sign.gloss} ${Math.round(sign.confidence * 100)} %`;
    if (!sign.final) span.className = "open";
    return span;
  }));
}

// Binary messages: version 1, kind 1 (JPEG), flags, sequence, capture time in microseconds; little-endian.
async function frame(run) {
  const { video, canvas, socket } = run;
  if (!run.ready || socket.readyState !== WebSocket.OPEN || video.readyState < 2 || video.paused || run.busy) return;
  if (socket.bufferedAmount > MAX_QUEUED_BYTES) { run.skipped += 1; return; }
  run.busy = true;
  try {
    const scale = Math.min(1, 640 / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const at = performance.now();
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
    if (!blob || socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(HEADER_BYTES + blob.size);
    const head = new DataView(message.buffer);
    head.setUint8(0, 1);
    head.setUint8(1, 1);
    head.setUint32(4, run.sequence++, true);
    head.setBigUint64(8, BigInt(Math.round(at * 1000)), true);
    message.set(new Uint8Array(await blob.arrayBuffer()), HEADER_BYTES);
    socket.send(message);
  } finally {
    run.busy = false;
  }
}

async function begin(source) {
  if (live) stop();
  el("live-problem").hidden = true;
  const video = el("live-video");
  const run = {
    video, canvas: document.createElement("canvas"), socket: null, session: null, token: null, seq: 0, sequence: 0,
    skipped: 0, attempt: 0, ready: false, busy: false, ending: false, fatal: false, stream: null,
    offset_ms: said.length ? said[said.length - 1].end_ms + 1000 : 0,
  };
  if (source) {
    video.srcObject = null;
    video.src = `/samples/${encodeURIComponent(source)}`;
    video.onended = () => stop();
  } else {
    try {
      run.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
    } catch (error) {
      const why = navigator.mediaDevices ? error.message : "Browsers give the camera to pages over https or on localhost only.";
      complain("The camera cannot be used", `${why} Allow it in the browser, or watch a sample performance.`);
      return;
    }
    video.onended = null;
    video.srcObject = run.stream;
  }
  live = run;
  el("live-sentence").textContent = "";
  el("live-gloss").replaceChildren();
  el("live-numbers").textContent = "";
  el("stage").hidden = false;
  el("live-stop").hidden = false;
  tell("Connecting …");
  connect(run);
  const ready = setInterval(() => {
    if (live !== run) clearInterval(ready);
    else if (run.ready) { clearInterval(ready); video.play(); }
  }, 30);
  run.timer = setInterval(() => frame(run), FRAME_MS);
}

function stop() {
  const run = live;
  if (!run || run.ending) return;
  run.ending = true;
  clearInterval(run.timer);
  run.stream?.getTracks().forEach((track) => track.stop());
  if (run.socket?.readyState === WebSocket.OPEN) run.socket.send('{"type":"stop"}');
  else run.socket?.close();
  tell("Reading the end …");
}

function finish(run) {
  clearInterval(run.timer);
  run.stream?.getTracks().forEach((track) => track.stop());
  if (live !== run) return;
  live = null;
  el("live-stop").hidden = true;
  el("sample").value = "";
  tell(said.length ? "Captions are off." : "Captions are off; nothing was recognised.");
}

function clock(ms, comma) {
  const pad = (n, width) => String(n).padStart(width, "0");
  const s = Math.floor(ms / 1000);
  return `${pad(Math.floor(s / 3600), 2)}:${pad(Math.floor(s / 60) % 60, 2)}:${pad(s % 60, 2)}${comma}${pad(ms % 1000, 3)}`;
}

function asFile(kind) {
  if (kind === "txt") return said.map((c) => c.sentence).join("\n") + "\n";
  const comma = kind === "srt" ? "," : ".";
  const cues = said.map((c, i) =>
    `${kind === "srt" ? `${i + 1}\n` : ""}${clock(c.start_ms, comma)} --> ${clock(Math.max(c.end_ms, c.start_ms + 1000), comma)}\n${c.sentence}\n`);
  return (kind === "vtt" ? "WEBVTT\n\n" : "") + cues.join("\n");
}

el("camera").addEventListener("click", () => begin(null));
el("live-stop").addEventListener("click", stop);
el("sample").addEventListener("change", () => { if (el("sample").value) begin(el("sample").value); });
el("copy-text").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(asFile("txt"));
    tell("The captions were copied.");
  } catch {
    getSelection().selectAllChildren(el("history"));
    tell("The captions are selected; copy them with the keyboard.");
  }
});
el("download").addEventListener("change", () => {
  const kind = el("download").value;
  if (!kind) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([asFile(kind)], { type: "text/plain" }));
  link.download = `captions.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  el("download").value = "";
});

(async () => {
  try {
    for (const name of (await fetch("/samples").then((r) => r.json())).samples) {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = name.replace(/\.mp4$/, "").replaceAll("_", " ");
      el("sample").append(option);
    }
  } catch {
    el("sample").disabled = true;
  }
})();
