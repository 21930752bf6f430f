// API keys: list, make, show once, revoke.

import { act, onSubmit, say, sure, tell } from "./acting.js";
import { atMinute, copy, el, make, onDay } from "./dom.js";
import { ask } from "./session.js";

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
    `${key.name} (${key.hint}…): ${key.revoked_at ? `revoked on ${onDay(key.revoked_at)}` : `expired on ${onDay(key.expires_at)}`}`)));
}

function row(key) {
  const node = document.createElement("tr");
  const name = make("th", key.name);
  name.scope = "row";
  const hint = make("td", "");
  hint.append(make("code", `${key.hint}…`));
  const button = make("button", "Revoke", "plain small");
  button.type = "button";
  button.setAttribute("aria-label", `Revoke ${key.name}`);
  button.addEventListener("click", () => act(button, async () => {
    const yes = await sure(`Revoke “${key.name}”?`, "Programs that use it are refused from their next request on.", "Revoke it");
    if (!yes) return;
    await ask(`/api/keys/${key.id}`, { method: "DELETE" });
    await list();
    say(el("make-key"), `“${key.name}” is revoked.`);
  }));
  const last = make("td", "");
  last.append(button);
  node.append(name, hint, make("td", key.scopes.map((scope) => MAY[scope]).join(", ")),
    make("td", key.last_used_at ? atMinute(key.last_used_at) : "never"),
    make("td", key.expires_at ? onDay(key.expires_at) : "revoked"), last);
  return node;
}

onSubmit(el("make-key"), async () => {
  const form = el("make-key");
  const scopes = [...form.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  if (!scopes.length) return say(form, "Choose what the key may do.");
  const days = el("key-days").value;
  const body = { name: el("key-name").value, scopes, days: days ? Number(days) : null };
  const made = await ask("/api/keys", { method: "POST", body });
  form.reset();
  el("new-key-text").textContent = made.key;
  el("new-key").hidden = false;
  await list();
  say(form, `The key “${made.info.name}” is made. Copy it now.`);
  el("new-key-copy").focus();
});

el("new-key-copy").addEventListener("click", () => {
  copy(el("new-key-text").textContent, el("new-key-text"), el("keys").querySelector(".status"), "Key");
});
