// A typed sentence in the place of a spoken one: for people who cannot or do not want to speak, and where nothing here writes
// down speech. It is a caption in both languages, and signed.

import { el } from "./dom.js";
import { ask, mayCaption } from "./session.js";
import { settings } from "./settings.js";

// on.refused(problem): the text is not taken; problem: Refused, or null where people have to sign in first.
// on.show(event, open): the sentence as an event of live speech; open: its translation is on its way.
// on.typed(event): it is complete. on.untranslated(problem): it is complete, in one language alone.
// on.translates(): whether there is a translator. on.language(): of the text where the person has not chosen one.
export function typing(on) {
  let busy = false;

  // In the other language too, as far as it can be had.
  async function translated(sentence) {
    const source = settings.speaks || null;
    const found = { language: source ?? on.language(), text: { en: null, es: null } };
    const into = async (target) => {
      const body = { text: sentence, target, ...(source && { source }) };
      const { text, source: known } = await ask("/api/speech/translate", { method: "POST", body });
      if (!source) found.language = known;
      found.text[target] = text;
    };
    let problem = null;
    if (on.translates()) {
      try {
        await into(found.language === "es" ? "en" : "es");
        // It was guessed, and is the language it was to be put into.
        if (found.text[found.language] !== null) await into(found.language === "es" ? "en" : "es");
      } catch (error) {
        problem = error;
      }
    }
    found.text[found.language] = sentence;
    return { found, problem };
  }

  el("type-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const sentence = el("typed").value.trim().replace(/\s+/g, " ");
    if (!sentence || busy) return;
    busy = true;
    try {
      if (!await mayCaption()) return on.refused(null);
      el("typed").value = "";
      const said = { sentence, segment: 0, start_ms: 0, end_ms: 0 };
      const first = settings.speaks || on.language();
      on.show({ ...said, language: first, text: { [first]: sentence } }, true);
      const { found, problem } = await translated(sentence);
      const complete = { ...said, ...found };
      on.show(complete, false);
      on.typed(complete);
      if (problem || !on.translates()) on.untranslated(problem);
    } finally {
      busy = false;
    }
  });
}
