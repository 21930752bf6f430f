// What was said, as signs: the drawn figure performs each sentence, with the words that have a sign and those that have none.

import { el, make } from "./dom.js";
import { Performer } from "./performer.js";
import { ask } from "./session.js";
import { follow, settings } from "./settings.js";

const MOST = 2; // sentences that wait; older ones are left out
const performer = new Performer(el("signer-canvas"), { onSign: named });
let performances = []; // sentences that wait
let signing = false;

// The word that is signed now; one without a sign is only written.
function named(item) {
  for (const node of el("signing").children) node.toggleAttribute("aria-current", item !== null && node.item === item);
}

function list({ items }) {
  el("signing").replaceChildren(...items.map((item) => {
    const node = make("span", item.text, item.kind === "text" ? "no-sign" : "");
    node.item = item;
    return node;
  }));
}

// Queue a sentence, to be signed after those before it. refused(problem): the service does not sign it.
export async function sign(text, language, refused = () => {}) {
  if (!settings.shown || !["en", "es"].includes(language)) return;
  performances = [...performances, { body: { text, language }, refused }].slice(-MOST);
  if (signing) return;
  signing = true;
  while (performances.length) {
    const next = performances.shift();
    try {
      const found = await ask("/api/signs/perform", { method: "POST", body: next.body });
      el("signer").hidden = !settings.shown;
      list(found);
      await performer.play(found);
    } catch (problem) {
      if (!problem.status) console.warn(problem); // subtitles go on without signs
      else next.refused(problem);
    }
  }
  signing = false;
}

el("signed-again").addEventListener("click", () => performer.again());
follow("shown", (wanted) => {
  if (wanted) return;
  performances = [];
  performer.stop();
  el("signer").hidden = true;
});
