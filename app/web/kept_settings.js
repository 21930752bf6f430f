// The viewer's settings as this browser keeps them, for all pages.

import { language } from "./texts.js";

const KEY = "glossline.settings";
export const settings = {
  size: 2, partials: true, glosses: true, skeleton: true, endpoint_ms: 1200, camera: "", vocabulary: "", aloud: false,
  voice: "", rate: 1, save: false, keep: false, where: "auto",
  // Of a conversation. reads, speaks: the languages of the person who signs and of the one who speaks; "" is detected.
  // types: whether the one who speaks types instead.
  reads: language, speaks: language, signsAloud: true, speechAloud: false, shown: true, types: false,
};

// Private windows and locked-down browsers have no storage; settings then last until the page is closed.
try {
  const kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
  for (const name in settings) if (typeof kept[name] === typeof settings[name]) settings[name] = kept[name];
} catch { /* use the defaults */ }

export function keepSettings() {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch { /* kept until the page is closed */ }
}
