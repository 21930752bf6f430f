// What the service says of a problem, in the person's language. The service writes English, which says most; where the
// page is in another language, the text goes by the stable code, with the numbers of the English one.

import { spanishProblems } from "./problem_texts_es.js";
import { language, t } from "./texts.js";

const TABLES = { es: spanishProblems };

// What an engine of speech lacks; "The package x is not installed." and its like name what they miss.
export function engineWords(detail) {
  const named = detail.match(/^(The package|Apertium's program) (\S+) is not installed\.$/);
  return named ? t("{name} is not installed.", { name: named[2] }) : t(detail);
}

// [title, what happened and what to do]; without a text for the code, as the service wrote it.
export function problemWords(code, title, message) {
  const [inTitle, text] = TABLES[language]?.[code] ?? [title, message];
  if (text === message) return [inTitle, message];
  const numbers = message?.match(/\d+(?:\.\d+)?/g) ?? [];
  const filled = text.replace(/\{(\d)\}/g, (whole, n) => numbers[n - 1] ?? whole);
  // A sentence whose number the service did not say is left out.
  return [inTitle, filled.match(/[^.]+\.(?:\s|$)/g)?.filter((sentence) => !sentence.includes("{")).join("").trim() || filled];
}
