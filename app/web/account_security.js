// Security: the password, the second factor, other devices; and one's own data, to save or to delete.

import { onClick, onSubmit, say, sure } from "./acting.js";
import { copy, el, save } from "./dom.js";
import { ask, changePassword, deleteAccount, renewed, request, signOutEverywhere } from "./session.js";
import { t } from "./texts.js";

export function showSecurity(user) {
  el("password-user").value = user.email;
  el("second-state").textContent = user.second_factor ? t("On: signing in needs a code of your authenticator.")
    : t("Off. With it, a stolen password alone opens nothing.");
  el("second-begin").hidden = user.second_factor;
  el("second-off").hidden = !user.second_factor;
  el("second-on").hidden = true;
}

onSubmit(el("password"), async () => {
  await changePassword(el("password-old").value, el("password-new").value);
  el("password").reset();
  say(el("password"), t("The password is changed. All other devices have to sign in again."));
});

onClick(el("second-begin"), async () => {
  const { secret, uri, qr } = await ask("/api/auth/second-factor", { method: "POST" });
  el("second-qr").src = qr;
  el("second-secret").textContent = secret.replace(/(.{4})(?=.)/g, "$1 ");
  el("second-uri").href = uri;
  el("second-on").hidden = false;
  el("second-begin").hidden = true;
  el("second-code").focus();
});

el("second-copy").addEventListener("click", () => {
  const status = el("security").querySelector(".status");
  copy(el("second-secret").textContent.replaceAll(" ", ""), el("second-secret"), status, t("Text"));
});

el("second-cancel").addEventListener("click", () => {
  el("second-on").reset();
  el("second-on").hidden = true;
  el("second-begin").hidden = false;
  el("second-begin").focus();
});

onSubmit(el("second-on"), async () => {
  await ask("/api/auth/second-factor/on", { method: "POST", body: { code: el("second-code").value } });
  el("second-on").reset();
  showSecurity(await renewed());
  say(el("second-on"), t("The second factor is on."));
});

onSubmit(el("second-off"), async () => {
  await ask("/api/auth/second-factor/off", { method: "POST", body: { password: el("second-password").value } });
  el("second-off").reset();
  showSecurity(await renewed());
  say(el("second-off"), t("The second factor is off."));
});

onClick(el("sign-out-everywhere"), async () => {
  const yes = await sure(t("Sign out everywhere?"), t("All devices, this page too, have to sign in again."), t("Sign out everywhere"));
  if (yes) await signOutEverywhere();
});

// -- data ------------------------------------------------------------------------------------------------------------

onClick(el("export"), async () => {
  say(el("export"), t("Collecting …"));
  const answer = await request("/api/account/export");
  save("glossline-export.json", await answer.blob());
  say(el("export"), t("Saved."));
});

onSubmit(el("delete"), async () => {
  const yes = await sure(t("Delete the account?"), t("The account, its keys and its history are gone at once and for good."), t("Delete it"));
  if (yes) await deleteAccount(el("delete-password").value);
});
