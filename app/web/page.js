"use strict";

const $ = (id) => document.getElementById(id);
let running = null;
let previewUrl = null;

$("curl").textContent = `curl -F file=@clip.mp4 ${location.origin}/api/inference/predict`;

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("status").textContent = "The command was copied.";
  } catch {
    getSelection().selectAllChildren($("curl"));
    $("status").textContent = "The command is selected; copy it with the keyboard.";
  }
});

function showPreview() {
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  const file = $("file").files[0];
  previewUrl = file ? URL.createObjectURL(file) : null;
  $("preview").hidden = !file;
  if (file) $("preview").src = previewUrl;
  $("result").hidden = true;
  $("problem").hidden = true;
  $("status").textContent = "";
}

$("file").addEventListener("change", showPreview);

for (const name of ["dragenter", "dragover"]) {
  $("drop").addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
}
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) {
    $("file").files = event.dataTransfer.files;
    showPreview();
  }
});

function showProblem(title, detail) {
  const strong = document.createElement("strong");
  strong.textContent = title;
  $("problem").replaceChildren(strong, document.createTextNode(detail));
  $("problem").hidden = false;
}

function showResult(answer) {
  $("sentence").textContent = answer.sentence || "Nothing was recognised.";
  $("signs").replaceChildren(...answer.segments.map((segment) => {
    const row = document.createElement("tr");
    const cells = [
      segment.gloss, `${segment.start_s.toFixed(2)} s`, `${segment.end_s.toFixed(2)} s`, `${Math.round(segment.confidence * 100)} %`,
    ];
    cells.forEach((text, column) => {
      const cell = document.createElement(column ? "td" : "th");
      if (!column) cell.scope = "row";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  }));
  $("note").textContent = answer.warnings.map((warning) => warning.message).join(" ");
  $("result").hidden = false;
  const signs = answer.gloss.length === 1 ? "1 sign" : `${answer.gloss.length} signs`;
  $("status").textContent =
    `${signs} in ${answer.duration_s.toFixed(1)} s of video, read in ${answer.processing_time_s.toFixed(1)} s. ${answer.sentence}`;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = $("file").files[0];
  if (!file || running) return;
  running = new AbortController();
  $("send").disabled = true;
  $("stop").hidden = false;
  $("result").hidden = true;
  $("problem").hidden = true;
  $("status").textContent = "Reading the video …";
  try {
    const body = new FormData();
    body.append("file", file);
    const response = await fetch("/api/inference/predict", { method: "POST", body, signal: running.signal });
    const answer = await response.json();
    if (response.ok) {
      showResult(answer);
    } else {
      $("status").textContent = "";
      showProblem(answer.title, answer.detail);
    }
  } catch (error) {
    if (error.name === "AbortError") {
      $("status").textContent = "Stopped.";
    } else {
      $("status").textContent = "";
      showProblem("The service did not answer", "It may be stopping, or it refused a file that is too large while it was sent. Try again.");
    }
  } finally {
    running = null;
    $("send").disabled = false;
    $("stop").hidden = true;
  }
});

$("stop").addEventListener("click", () => running?.abort());

async function describe() {
  try {
    const [ready, labels] = await Promise.all([
      fetch("/api/health/ready").then((r) => r.json()), fetch("/labels").then((r) => r.json()),
    ]);
    $("model").textContent = ready.model ?? ready.detail;
    $("device").textContent = ready.device ?? "";
    $("vocabulary").textContent = `${labels.labels.length} signs: ${labels.labels.map((label) => label.gloss).join(", ")}`;
  } catch {
    $("model").textContent = "The service did not answer. Reload the page.";
  }
}
describe();
