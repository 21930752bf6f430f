// Helpers for elements, shared by all parts of the page.

import { language, t } from "./texts.js";

export const el = (id) => document.getElementById(id);

export function make(tag, text, className = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = className;
  return node;
}

// link: [text, address] of where to go from here.
export function complain(box, title, detail, link) {
  box.replaceChildren(make("strong", title), document.createTextNode(detail));
  if (link) {
    const way = make("a", link[0]);
    way.href = link[1];
    box.append(" ", way);
  }
  box.hidden = false;
}

// Over a picture, where it may lie over a face or a hand: the person can put it away.
export function toast(box, title, text, link) {
  complain(box, title, text, link);
  const words = make("span", "");
  words.append(...box.childNodes);
  words.firstChild.after(" ");
  const close = make("button", "✕", "bare");
  close.type = "button";
  close.setAttribute("aria-label", t("Close"));
  close.addEventListener("click", () => { box.hidden = true; });
  box.replaceChildren(words, close);
}

// What people can do about a refusal: sign in, or get more credits.
export function wayOut(code) {
  if (code === "unauthenticated") return [t("Sign in"), `/account?next=${encodeURIComponent(location.pathname)}`];
  if (code === "insufficient_credits" || code === "plan_limit") return [t("Credits and plans"), "/account#plan"];
  return undefined;
}

// A file for the person to keep.
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Copies text; if the browser refuses, selects `source` for copying by keyboard. `status` shows the result.
export async function copy(text, source, status, what) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = t("{what} copied.", { what });
  } catch {
    getSelection().selectAllChildren(source);
    status.textContent = t("{what} selected; copy with the keyboard.", { what });
  }
}

export const number = (value) => new Intl.NumberFormat(language).format(Math.floor(value));

const dates = () => (language === "en" ? "en-GB" : language);
export const onDay = (moment) => new Date(moment).toLocaleDateString(dates(), { dateStyle: "medium" });
export const atMinute = (moment) => new Date(moment).toLocaleString(dates(), { dateStyle: "medium", timeStyle: "short" });

export const percent = (share) => `${Math.round(share * 100)} %`;

// What the recogniser read from: the weights of its two streams, in words if only one of them was used.
export function readFrom({ rgb, pose }) {
  if (rgb < 0.005) return t("body and hands only, not the image");
  if (pose < 0.005) return t("the image only");
  return t("body and hands {pose}, image {rgb}", { pose: percent(pose), rgb: percent(rgb) });
}
