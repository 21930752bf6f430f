// A set that somebody shares: /teach#shared=TOKEN. The part behind # goes to no server.

import { onClick, say, tell } from "./acting.js";
import { choose } from "./chosen_sets.js";
import { el } from "./dom.js";
import { copyShared, sharedSet } from "./sign_sets.js";
import { refreshSets } from "./teach_sets.js";
import { plural, t } from "./texts.js";

let offered = null; // { token, name }

export async function offerShared() {
  const token = new URLSearchParams(location.hash.slice(1)).get("shared");
  el("shared").hidden = !token;
  if (!token) return;
  try {
    const { name, readable, glosses } = await sharedSet(token);
    offered = { token, name };
    el("shared-about").textContent = `“${name}”, ${plural(glosses.length, "1 sign", "{n} signs")}: ${glosses.slice(0, 40).join(", ")}. `
      + (readable ? t("They are read best from the person who taught them.")
        : t("They were taught to another recogniser and cannot be read here."));
    el("shared-use").hidden = !readable;
  } catch (problem) {
    el("shared-use").hidden = el("shared-copy").hidden = true;
    tell(el("shared-about"), problem);
  }
}

onClick(el("shared-use"), async () => {
  choose({ id: offered.token, name: offered.name }, true);
  location.assign("/");
});
onClick(el("shared-copy"), async () => {
  const made = await copyShared(offered.token);
  await refreshSets(made.id);
  say(el("shared-copy"), t("“{name}” is among your sets now.", { name: made.name }));
});
addEventListener("hashchange", offerShared);
