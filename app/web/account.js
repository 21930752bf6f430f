// The account page: the doors to it, and who sees which part.

import { onSubmit, say } from "./acting.js";
import { showHistory } from "./account_history.js";
import { showKeys } from "./account_keys.js";
import { showPlan } from "./account_plan.js";
import { showSecurity } from "./account_security.js";
import { el, make } from "./dom.js";
import { ask, follow, options, register, signedIn, signIn, signOut } from "./session.js";
import { t } from "./texts.js";

const DOORS = ["sign-in", "register", "forgotten", "reset"];
// Where to go after signing in: only pages of this service that ask for it.
const NEXT = ["/", "/conversation", "/teach", "/training"];

let resetToken = null; // of a link; it is taken out of the address at once
let wasIn = false;

const news = (text) => {
  el("news").textContent = text;
  el("news").hidden = !text;
};

function open(name, focus = true) {
  for (const door of DOORS) el(`door-${door}`).hidden = door !== name;
  if (!name) return;
  el(`door-${name}`).querySelector(".problem").hidden = true;
  if (focus) el(`${name}-title`).focus();
}

function closeForms() {
  for (const form of document.querySelectorAll("form")) form.reset();
  el("sign-in-second").hidden = true;
  el("sign-in-code").required = false;
}

// -- the doors -------------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-door]")) {
  button.addEventListener("click", () => {
    news("");
    const from = el(`${DOORS.find((door) => !el(`door-${door}`).hidden)}-email`)?.value;
    const to = el(`${button.dataset.door}-email`);
    if (from && to && !to.value) to.value = from;
    open(button.dataset.door);
  });
}

onSubmit(el("sign-in"), async () => {
  news("");
  const code = el("sign-in-second").hidden ? null : el("sign-in-code").value;
  try {
    await signIn(el("sign-in-email").value, el("sign-in-password").value, code);
  } catch (problem) {
    if (problem.code !== "second_factor_required") {
      el("sign-in-code").value = "";
      throw problem;
    }
    el("sign-in-second").hidden = false;
    el("sign-in-code").required = true;
    el("sign-in-code").focus();
    return;
  }
  entered();
});

onSubmit(el("register"), async () => {
  await register(el("register-email").value, el("register-password").value);
  entered();
});

onSubmit(el("forgotten"), async () => {
  const sent = await ask("/api/auth/password-reset", { method: "POST", body: { email: el("forgotten-email").value } });
  say(el("forgotten"), sent.detail);
});

onSubmit(el("reset"), async () => {
  const body = { token: resetToken ?? "", new_password: el("reset-password").value };
  await ask("/api/auth/password-reset/confirm", { method: "POST", body });
  resetToken = null;
  closeForms();
  if (signedIn()) await signOut(); // whose link it was, is known to the service alone
  open("sign-in");
  news(t("The new password is set. Sign in with it."));
});

el("sign-out").addEventListener("click", async () => {
  await signOut();
  news(t("You have signed out."));
});

function entered() {
  closeForms();
  const next = new URLSearchParams(location.search).get("next");
  if (NEXT.includes(next)) location.assign(next);
}

// -- what is shown ---------------------------------------------------------------------------------------------------

function takeLink() {
  const found = location.hash.match(/^#reset=([\w-]+)$/);
  if (!found) return;
  resetToken = found[1];
  history.replaceState(null, "", location.pathname);
  el("mine").hidden = true;
  news("");
  open("reset");
}

// What to know before there is an account: whether one is needed, and what for.
function notNeeded(known) {
  const box = el("not-needed");
  box.hidden = known !== null && known.auth_mode === "required";
  if (box.hidden) return;
  if (!known) {
    box.replaceChildren(make("strong", t("The service does not answer.")), t("Reload the page in a moment."));
  } else if (!known.accounts) {
    box.replaceChildren(make("strong", t("You need no account here, and there are none.")),
      t("Captions of the camera, of samples and of files work without one; nothing is charged and nothing is kept. The people who run this service turn accounts on with DATABASE_URL or AUTH_MODE=required."));
  } else {
    box.replaceChildren(make("strong", t("You need no account here.")),
      t("Captions of the camera, of samples and of files work without one; nothing is charged and nothing is kept. An account adds a history of your captions, and API keys."));
  }
}

follow(async (user) => {
  const known = await options;
  el("waiting").hidden = true;
  el("mine").hidden = user === null || resetToken !== null;
  if (user) {
    wasIn = true;
    el("not-needed").hidden = true;
    if (resetToken === null) open(null);
    showSecurity(user);
    showKeys(user);
    showPlan(known);
    showHistory(known);
    if (resetToken === null) goToPart();
    return;
  }
  notNeeded(known);
  closeForms();
  if (wasIn) news(t("You are not signed in any more."));
  wasIn = false;
  for (const door of document.querySelectorAll("[data-door=register]")) door.hidden = !known?.registration;
  el("forgotten-hint").textContent = known?.reset_by === "mail" ? t("A link to set a new one is mailed to you. It works once.")
    : t("This service sends no mail: the link is written to its log. Ask the people who run it for the link.");
  if (resetToken === null) open(known?.accounts ? "sign-in" : null, false);
});

function goToPart() {
  const part = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!part || part.hidden || part.tagName !== "SECTION") return;
  part.scrollIntoView();
  part.focus({ preventScroll: true });
}

addEventListener("hashchange", takeLink);
takeLink();

const paid = new URLSearchParams(location.search).get("checkout");
if (paid === "done") news(t("Thank you. The plan applies as soon as the payment is confirmed, usually within seconds."));
if (paid === "cancelled") news(t("Nothing was bought."));
