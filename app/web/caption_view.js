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

// parts: { before, sentence, gloss }, elements; `gloss` may be missing.
export class CaptionView {
  #finished = ""; // the sentence in `sentence`, if it is final

  constructor(parts) { this.parts = parts; }

  // open: the sentence may still change.
  show(event, open) {
    const { before, sentence, gloss } = this.parts;
    if (this.#finished) before.textContent = this.#finished;
    this.#finished = open ? "" : event.sentence;
    sentence.textContent = open ? event.sentence.replace(/[.?!]$/, " …") : event.sentence;
    sentence.classList.toggle("open", open);
    gloss?.replaceChildren(...event.gloss.map(chip));
  }

  clear() {
    this.#finished = "";
    for (const part of Object.values(this.parts)) part.replaceChildren();
  }

  get open() { return this.parts.sentence.classList.contains("open"); }
}
