// A place where captions are shown: the sentence before, the running one, its signs. Used on the page, in the small window
// and on the page of captions alone.

import { make, percent } from "./dom.js";
import { t } from "./texts.js";

export const unsureOf = (event) => event.gloss.filter((sign) => sign.unsure).map((sign) => sign.gloss);

function chip(sign) {
  const text = sign.unsure ? `${sign.gloss}? ${percent(sign.confidence)}` : `${sign.gloss} ${percent(sign.confidence)}`;
  const node = make("span", text, [sign.final ? "" : "open", sign.unsure ? "unsure" : ""].join(" ").trim());
  if (sign.unsure) node.append(make("i", t(", unsure"), "spoken"));
  node.style.setProperty("--share", sign.confidence);
  return node;
}

// parts: { before, sentence, other, gloss }, elements; the last two may be missing or null. languages(): of `sentence` and
// of `other`; the same sentence is in both where it is not translated.
export class CaptionView {
  #finished = ""; // the sentence in `sentence`, if it is final

  constructor(parts, languages = () => ["en"]) {
    this.parts = parts;
    this.languages = languages;
  }

  // open: the sentence may still change.
  show(event, open) {
    const { before, sentence, other, gloss } = this.parts;
    const [first, second] = this.languages();
    const text = event.text?.[first] ?? event.sentence;
    if (this.#finished) before.textContent = this.#finished;
    before.lang = sentence.lang = event.text?.[first] ? first : event.language ?? "en";
    this.#finished = open ? "" : text;
    sentence.textContent = open ? text.replace(/[.?!]$/, " …") : text;
    sentence.classList.toggle("open", open);
    if (other) {
      other.textContent = (event.text?.[second] ?? event.sentence) === text ? "" : event.text?.[second] ?? event.sentence;
      other.lang = event.text?.[second] ? second : event.language ?? "en";
      other.classList.toggle("open", open);
    }
    gloss?.replaceChildren(...event.gloss.map(chip));
  }

  clear() {
    this.#finished = "";
    for (const part of Object.values(this.parts)) part?.replaceChildren();
  }

  get open() { return this.parts.sentence.classList.contains("open"); }
}
