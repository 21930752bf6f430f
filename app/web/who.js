// In the header of every page: who has signed in, and their credits.

import { el, make } from "./dom.js";
import { ask, follow, options } from "./session.js";
import { plural, t } from "./texts.js";

function link(text, href, className = "") {
  const node = make("a", text, className);
  node.href = href;
  return node;
}

export function showCredits(left) {
  const node = el("who-credits");
  if (!node || left === null || left === undefined) return;
  node.textContent = plural(Math.floor(left), "1 credit", "{n} credits");
  node.classList.toggle("low", left < 60);
}

// Ask the service what is left, such as after something was used.
export async function countCredits() {
  if (!el("who-credits")) return;
  try {
    showCredits((await ask("/api/billing/usage")).credits.available);
  } catch { /* the number stays as it was */ }
}

follow(async (user) => {
  const known = await options;
  const box = el("who");
  if (!known?.accounts) return box.replaceChildren();
  if (!user) {
    const here = location.pathname === "/account" ? "" : `?next=${encodeURIComponent(location.pathname)}`;
    return box.replaceChildren(...(location.pathname === "/account" ? [] : [link(t("Sign in"), `/account${here}`)]));
  }
  const parts = location.pathname === "/account" ? [make("span", user.email, "email")] : [link(user.email, "/account", "email")];
  if (known.charging) {
    const credits = link("", "/account#plan", "credits");
    credits.id = "who-credits";
    parts.push(credits);
  }
  box.replaceChildren(...parts);
  countCredits();
});
