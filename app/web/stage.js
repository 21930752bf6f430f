// What the stage shows: the invitation to begin (idle), captions as they come (live), or the last ones (ended); problems
// stand where the person looks, which is beside the button that was pressed.

import { complain, el, make, toast } from "./dom.js";
import { nothingDrawn } from "./in_step.js";
import { t } from "./texts.js";

export { cameraTrouble } from "./camera_trouble.js";

const FIRST = [ // samples that are offered by a button; all others are in a list
  ["hello.mp4", "Hello"], ["thank-you_goodbye.mp4", "Thank you, goodbye"], ["yes_please.mp4", "Yes, please"],
  ["i-love-you.mp4", "I love you"],
];
const still = matchMedia("(prefers-reduced-motion: reduce)");

export function setStage(state) {
  const stage = el("stage");
  const had = document.activeElement;
  stage.dataset.state = state;
  // The one large button stands in the picture until captions have been there, then below it.
  const home = (state === "idle" && el("hero-action")) || el("dock-action");
  if (el("camera").parentElement !== home) home.prepend(el("camera"));
  el("camera").hidden = state === "live";
  el("live-stop").hidden = state !== "live";
  el("more-samples").hidden = state !== "ended";
  if (state === "idle") nothingDrawn();
  if (had === el("live-stop") || had === el("more-samples") || had === el("camera")) el(state === "live" ? "live-stop" : "camera").focus();
}

export function problem(title, text, link) {
  complain(el("live-problem"), title, text, link);
  setStage("idle");
}

export function noProblem() { el("live-problem").hidden = el("live-warning").hidden = true; }

// Something to know while captions go on.
export function notice(title, text, link) { toast(el("live-warning"), title, text, link); }

el("more-samples").addEventListener("click", () => setStage("idle"));

// -- samples ---------------------------------------------------------------------------------------------------------

const nameOf = (file) => file.replace(/\.mp4$/, "").split("_").map((sign) => sign.replaceAll("-", " ")).join(" + ");

export async function offerSamples(watch) {
  let samples = [];
  try {
    ({ samples } = await fetch("/samples").then((answer) => answer.json()));
  } catch { /* none are offered */ }
  const first = FIRST.filter(([file]) => samples.includes(file));
  const buttons = first.map(([file, name]) => {
    const button = make("button", t(name));
    button.type = "button";
    button.dataset.sample = file;
    button.addEventListener("click", () => watch(file));
    return button;
  });
  const others = samples.filter((file) => !first.some(([one]) => one === file));
  const list = document.createElement("select");
  list.id = "sample";
  list.setAttribute("aria-label", t("More samples"));
  list.append(new Option(t("More …"), ""), ...others.map((file) => new Option(nameOf(file), file)));
  list.addEventListener("change", () => { if (list.value) watch(list.value); list.value = ""; });
  el("sample-chips").replaceChildren(...buttons, ...(others.length ? [list] : []));
  document.querySelector(".chips").hidden = samples.length === 0;
  if (samples.includes("hello.mp4") && el("hero-signer")) greet();
}

// The prototype signer says hello once, with its caption: what this page does, without a word.
function greet() {
  const video = el("hero-signer");
  const words = video.nextElementSibling;
  video.src = "/samples/hello.mp4";
  video.addEventListener("loadeddata", () => {
    words.textContent = "Hello.";
    if (still.matches) video.currentTime = video.duration / 2;
    else video.play().catch(() => {});
  }, { once: true });
  video.addEventListener("ended", () => { video.currentTime = video.duration / 2; });
}
