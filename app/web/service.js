// About this service: its recogniser, the signs it knows, how to call it from a terminal.

import { copy, el } from "./dom.js";

el("curl").textContent = `curl -F file=@clip.mp4 ${location.origin}/api/inference/predict`;
el("copy").addEventListener("click", () => copy(el("curl").textContent, el("curl"), el("copied"), "Command"));

try {
  const ask = (path) => fetch(path).then((answer) => answer.json());
  const [ready, { labels }] = await Promise.all([ask("/api/health/ready"), ask("/api/labels")]);
  el("model").textContent = ready.model ?? ready.detail;
  el("device").textContent = ready.device ?? "";
  el("vocabulary").textContent = `${labels.length} signs: ${labels.map((label) => label.gloss).join(", ")}`;
} catch {
  el("model").textContent = "The service did not answer. Reload the page.";
}
