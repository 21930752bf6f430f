// API keys: list, make, show once, revoke.

import { act, onSubmit, say, sure, tell } from "./acting.js";
import { atMinute, copy, el, make, onDay } from "./dom.js";
import { ask } from "./session.js";
import { t } from "./texts.js";

const MAY = { captions: "caption", history: "history", account: "read the account", training: "train" };

const over = (key) => key.revoked_at !== null || (key.expires_at !== null && new Date(key.expires_at) <= new Date());

export async function showKeys(user) {
  el("new-key").hidden = true;
  el("new-key-text").textContent = "";
  el("scope-training").hidden = user.role === "user";
  await list().catch((problem) => tell(el("make-key"), problem));
}

async function list() {
  const { keys } = await ask("/api/keys");
  const good = keys.filter((key) => !over(key)), bad = keys.filter(over);
  el("keys-table").hidden = good.length === 0;
  el("keys-rows").replaceChildren(...good.map(row));
  el("keys-old").hidden = bad.length === 0;
  el("keys-over").replaceChildren(...bad.map((key) => make("li",
    `${key.name} (${key.hint}…): ${key.revoked_at ? t("revoked on {day}", { day: onDay(key.revoked_at) }) : t("expired on {day}", { day: onDay(key.expires_at) })}`)));
}

function row(key) {
  const node = document.createElement("tr");
  const name = make("th", key.name);
  name.scope = "row";
  const hint = make("td", "");
  hint.append(make("code", `${key.hint}…`));
  const button = make("button", t("Revoke"), "plain small");
  button.type = "button";
  button.setAttribute("aria-label", t("Revoke {name}", { name: key.name }));
  button.addEventListener("click", () => act(button, async () => {
    const yes = await sure(t("Revoke “{name}”?", { name: key.name }), t("Programs that use it are refused from their next request on."), t("Revoke it"));
    if (!yes) return;
    await ask(`/api/keys/${key.id}`, { method: "DELETE" });
    await list();
    say(el("make-key"), t("“{name}” is revoked.", { name: key.name }));
  }));
  const last = make("td", "");
  last.append(button);
  node.append(name, hint, make("td", key.scopes.map((scope) => t(MAY[scope])).join(", ")),
    make("td", key.last_used_at ? atMinute(key.last_used_at) : t("never")),
    make("td", key.expires_at ? onDay(key.expires_at) : t("until it is revoked")), last);
  return node;
}

onSubmit(el("make-key"), async () => {
  const form = el("make-key");
  const scopes = [...form.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  if (!scopes.length) return say(form, t("Choose what the key may do."));
  const days = el("key-days").value;
  const body = { name: el("key-name").value, scopes, days: days ? Number(days) : null };
  const made = await ask("/api/keys", { method: "POST", body });
  form.reset();
  el("new-key-text").textContent = made.key;
  el("new-key").hidden = false;
  await list();
  say(form, t("The key “{name}” is made. Copy it now.", { name: made.info.name }));
  el("new-key-copy").focus();
});

el("new-key-copy").addEventListener("click", () => {
  copy(el("new-key-text").textContent, el("new-key-text"), el("keys").querySelector(".status"), t("Key"));
});
