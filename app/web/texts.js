// The texts of the pages in the language of the person. The English text is the key: what a language lacks stays English.
// Captions are in the language that the service writes; elements that hold them have a `lang` of their own.

import { es } from "./texts_es.js";

const KEY = "glossline.language";
const TABLES = { en: {}, es };
const NAMES = { en: "English", es: "Español" };
const SHOWN = ["aria-label", "placeholder", "title", "alt"];
const listeners = [];
const title = document.title;
const english = new WeakMap(); // text node or element: its English
let table = {};

export let language = "en";

function wanted() {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept in TABLES) return kept;
  } catch { /* the browser's language */ }
  return navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in TABLES) ?? "en";
}

// The text in the person's language; {name} stands for a value.
export function t(text, values = {}) {
  return (table[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// "1 sign", "{n} signs".
export const plural = (n, one, many) => t(n === 1 ? one : many, { n: new Intl.NumberFormat(language).format(Math.floor(n)) });

// The texts that the HTML of the page holds.
function translate(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, {
    acceptNode: (node) => (node.nodeType === 1 && (node.lang || node.matches("script, code, [translate=no]"))
      ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT),
  });
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === 3) {
      const known = english.get(node);
      // A text that a script has changed since is not that of the HTML any more.
      const source = known && node.data === known.shown ? known.source : node.data;
      const bare = source.trim();
      if (!bare || (!known && !(bare in es))) continue;
      const shown = source.replace(bare, () => t(bare));
      english.set(node, { source, shown });
      node.data = shown;
      continue;
    }
    for (const name of SHOWN) {
      if (!node.hasAttribute(name)) continue;
      const kept = english.get(node) ?? {};
      kept[name] ??= node.getAttribute(name);
      english.set(node, kept);
      if (kept[name] in es) node.setAttribute(name, t(kept[name]));
    }
  }
}

function use(name) {
  language = name;
  table = TABLES[name];
  document.documentElement.lang = name;
  translate(document.body);
  document.title = t(title);
}

// `act` runs when the language changes.
export const onLanguage = (act) => listeners.push(act);

export function chooseLanguage(name) {
  try { localStorage.setItem(KEY, name); } catch { /* until the page is closed */ }
  use(name);
  listeners.forEach((act) => act(name));
}

export function fillLanguages(select) {
  select.replaceChildren(...Object.entries(NAMES).map(([code, name]) => {
    const option = document.createElement("option");
    Object.assign(option, { value: code, textContent: code.toUpperCase(), lang: code });
    option.setAttribute("aria-label", name);
    return option;
  }));
  select.value = language;
  select.addEventListener("change", () => chooseLanguage(select.value));
}

use(wanted());
