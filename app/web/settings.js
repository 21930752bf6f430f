// The viewer's settings, and the inputs for them. An input's data-setting names its setting.

import { el, make } from "./dom.js";
import { keepSettings, settings } from "./kept_settings.js";
import { plural, t } from "./texts.js";

export { settings };

// This language and the other one.
export const bothLanguages = (first) => (first === "es" ? ["es", "en"] : ["en", "es"]);

const listeners = [];
const inWords = {
  size: (value) => `${Math.round(value * 50)} %`,
  endpoint_ms: (value) => `${(value / 1000).toFixed(1)} s`,
  rate: (value) => `${value} ×`,
};

// `act` runs now and whenever the setting changes.
export function follow(name, act) {
  listeners.push((changed) => { if (changed === name) act(settings[name]); });
  act(settings[name]);
}

function valueOf(input) {
  if (input.type === "checkbox") return input.checked;
  return input.type === "range" ? Number(input.value) : input.value;
}

function show(input) {
  const name = input.dataset.setting;
  if (input.type === "checkbox") input.checked = settings[name];
  else input.value = settings[name];
  if (input.type === "range") settings[name] = valueOf(input); // within its bounds
  const words = inWords[name]?.(settings[name]);
  if (words) {
    input.setAttribute("aria-valuetext", words);
    document.querySelector(`[data-shows=${name}]`).textContent = words;
  }
}

for (const input of document.querySelectorAll("[data-setting]")) {
  const name = input.dataset.setting;
  show(input);
  input.addEventListener("input", () => {
    settings[name] = valueOf(input);
    show(input);
    keepSettings();
    listeners.forEach((listener) => listener(name));
  });
}

follow("size", (size) => document.documentElement.style.setProperty("--caption-size", `${size}rem`));

// Choices that are known only later: voices load late, cameras have names only after permission was given, and the
// vocabularies are those of the service.
function fill(select, choices) {
  select.replaceChildren(select.options[0], ...choices.map(([value, text]) => {
    const option = make("option", text);
    option.value = value;
    return option;
  }));
  select.value = settings[select.dataset.setting];
  if (!select.value) select.value = ""; // the chosen one is not available now
}

export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  fill(el("set-camera"), cameras.map((camera, i) => [camera.deviceId, camera.label || t("Camera {n}", { n: i + 1 })]));
  el("cameras").hidden = cameras.length < 2;
}

let byDefault = null;

export function listVocabularies({ vocabularies, default: usual }) {
  byDefault = usual;
  el("set-vocabulary").options[0].textContent = t("Default ({name})", { name: usual });
  fill(el("set-vocabulary"), vocabularies.map(({ name, size }) => [name, `${name}, ${plural(size, "1 sign", "{n} signs")}`]));
}

// The one to ask for; null: the default, also where the service has no such vocabulary any more.
export const vocabulary = () => el("set-vocabulary").value || null;

// The name of what is read, the default's too; null before it is known.
export const vocabularyName = () => vocabulary() ?? byDefault;

const voices = () => speechSynthesis.getVoices().filter((voice) => voice.lang.startsWith("en"));

if (el("aloud") && "speechSynthesis" in window) {
  const list = () => fill(el("set-voice"), voices().map((voice) => [voice.voiceURI, `${voice.name} (${voice.lang})`]));
  list();
  speechSynthesis.addEventListener("voiceschanged", list);
  follow("aloud", (aloud) => { if (!aloud) speechSynthesis.cancel(); });
} else if (el("aloud")) {
  el("aloud").disabled = true;
}

export function readAloud(sentence) {
  if (!settings.aloud || !el("aloud") || !("speechSynthesis" in window)) return;
  const words = new SpeechSynthesisUtterance(sentence);
  words.lang = "en";
  words.voice = voices().find((voice) => voice.voiceURI === settings.voice) ?? null;
  words.rate = settings.rate;
  speechSynthesis.speak(words);
}
