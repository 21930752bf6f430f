// Giving the recordings of a set for training, and taking them back.

import { onClick, say } from "./acting.js";
import { el, make, onDay } from "./dom.js";
import { options, signedIn } from "./session.js";
import { corpusOf, giveSet, takeBack } from "./sign_sets.js";
import { language, plural, t } from "./texts.js";

// Whether the person agrees, asked in a dialog with the whole text: { version, signed_by }, or null.
async function agreed({ version, text }) {
  el("consent-text").replaceChildren(...Object.entries(text[language] ?? text.en).flatMap(([about, words]) => [make("dt", about), make("dd", words)]));
  const oneMachine = signedIn() === null && (await options)?.auth_mode !== "required";
  el("consent-who").hidden = !oneMachine;
  const dialog = el("consent");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => { dialog.addEventListener("close", done, { once: true }); });
  if (dialog.returnValue !== "yes") return null;
  return { version, ...(oneMachine && { signed_by: el("consent-name").value.trim() }) };
}

function button(text, work) {
  const made = make("button", text, "link");
  made.type = "button";
  onClick(made, work);
  return made;
}

// What the set's details show of it. changed(): the set has changed.
export async function corpusPart(set, changed) {
  const known = await corpusOf();
  const consent = known.consents.find(({ set_id: id, revoked_at: back }) => id === set.id && !back);
  const box = make("div", "", "corpus");
  if (!consent) {
    box.append(button(t("Give these recordings for training"), async () => {
      const given = await agreed(known);
      if (!given) return;
      const { recordings, without_landmarks: without } = await giveSet(set.id, given);
      await changed();
      say(el("set-list"), [t("Thank you."), plural(recordings, "1 recording was given.", "{n} recordings were given."), without
        ? plural(without, "1 was not: its points were not kept. Record it again to give it too.", "{n} were not: their points were not kept. Record them again to give them too.") : "",
      ].filter(Boolean).join(" "));
    }));
    return box;
  }
  const about = t("Given for training on {day}, as {signer}:", { day: onDay(consent.given_at), signer: consent.signer });
  box.append(make("p", `${about} ${plural(consent.recordings, "1 recording", "{n} recordings")}`), button(t("Take them back"), async () => {
    await takeBack(set.id);
    await changed();
    say(el("set-list"), t("They are out of the corpus. Recognisers that were trained before stay as they are."));
  }));
  return box;
}
