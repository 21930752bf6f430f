// The page for developers: code with the address of this service, as it has to be where a key is asked for.

import { copy, el, make } from "./dom.js";
import { LANGUAGES, samples } from "./samples.js";
import { options } from "./session.js";
import { onLanguage, t } from "./texts.js";

const TASKS = { file: "A video file", live: "A camera, live" };
const ABOUT = {
  "file javascript": "In a page, with the file that somebody chose. Pages of other sites must be listed in the setting CORS_ORIGINS.",
  "file python": "Prints the sentence; the answer also has the signs and their times.",
  "file curl": "Prints the answer as JSON, then saves subtitles.",
  "live javascript": "A whole page. Body and hands are found on the device, where it can. Pages of other sites must be listed in the setting CORS_ORIGINS.",
  "live python": "Sends pictures as they come, and prints each sentence as it ends.",
  "live curl": "Captions of somebody else's live session, as they come.",
};

const chosen = { task: "file", language: "curl" };
let needsKey = false;

// A row of tabs: arrows, Home and End move, as screen readers announce.
function tabs(list, names, field) {
  const buttons = Object.entries(names).map(([value, name]) => {
    const tab = make("button", name);
    Object.assign(tab, { type: "button", role: "tab", id: `${field}-${value}` });
    tab.setAttribute("aria-controls", "sample");
    tab.addEventListener("click", () => choose(value));
    return [value, tab];
  });
  const choose = (value) => {
    chosen[field] = value;
    for (const [one, tab] of buttons) {
      tab.setAttribute("aria-selected", one === value);
      tab.tabIndex = one === value ? 0 : -1;
    }
    show();
  };
  list.addEventListener("keydown", (event) => {
    const at = buttons.findIndex(([value]) => value === chosen[field]);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
    const next = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1
      : step ? (at + step + buttons.length) % buttons.length : null;
    if (next === null) return;
    event.preventDefault();
    choose(buttons[next][0]);
    buttons[next][1].focus();
  });
  list.append(...buttons.map(([, tab]) => tab));
  choose(chosen[field]);
  return buttons;
}

function show() {
  el("code").textContent = samples(location.origin, needsKey)[chosen.task][chosen.language];
  el("sample-about").textContent = t(ABOUT[`${chosen.task} ${chosen.language}`]);
  el("copied").textContent = "";
}

function aboutKey() {
  el("with-key").hidden = !needsKey;
  el("key-about").textContent = needsKey
    ? t("Asked for here. It begins with gl_ and is shown once, when you make it.") : t("Not asked for here.");
}

el("address").textContent = location.origin;
const tasks = tabs(el("tasks"), TASKS, "task");
tabs(el("languages"), LANGUAGES, "language");
el("copy-code").addEventListener("click", () => copy(el("code").textContent, el("code"), el("copied"), t("Code")));

function inLanguage() {
  for (const [value, tab] of tasks) tab.textContent = t(TASKS[value]);
  show();
  aboutKey();
}

onLanguage(inLanguage);
needsKey = (await options)?.auth_mode === "required";
inLanguage();
