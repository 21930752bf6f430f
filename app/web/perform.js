// "See it signed": a sentence in English or Spanish, signed by the prototype signer, with what has no sign shown as text.

import { complain, el, make, wayOut } from "./dom.js";
import { Performer } from "./performer.js";
import { ask } from "./session.js";
import { t } from "./texts.js";

const performer = new Performer(el("perform-canvas"), { onSign: named });
let items = []; // of what is played
let wanted = 0; // counts what was asked for, so that a late answer is not played

function named(item) {
  el("perform-now").textContent = item?.text ?? "";
  el("perform-now").classList.toggle("no-sign", item?.kind === "text");
  const number = item ? items.indexOf(item) : -1;
  [...el("perform-items").children].forEach((node, i) => node.toggleAttribute("aria-current", i === number));
  buttons();
}

function buttons() {
  el("perform-pause").textContent = performer.playing ? t("Pause") : t("Play");
}

function listed(item) {
  const node = make("li", item.text, item.kind === "text" ? "no-sign" : "");
  if (item.kind === "text") node.title = t("no sign");
  return node;
}

async function show(answer) {
  el("perform-stage").hidden = false;
  el("sign-stage").hidden = true; // one figure at a time
  ({ items } = answer);
  el("perform-items").replaceChildren(...items.map(listed));
  const missing = answer.without_sign.length ? t("No sign for: {words}.", { words: answer.without_sign.join(", ") }) : "";
  const read = answer.translator ? t("Read as: {text}", { text: answer.english }) : "";
  const signs = t("A drawn figure signs {glosses}", { glosses: items.map(({ text }) => text).join(" ") });
  el("perform-canvas").setAttribute("aria-label", signs);
  el("perform-about").textContent = [`${signs}.`, missing, read].filter(Boolean).join(" ");
  el("perform-stage").scrollIntoView({ block: "nearest" });
  const playing = performer.play(answer);
  buttons();
  await playing;
  buttons();
}

el("perform-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = el("perform-text").value.trim();
  el("perform-problem").hidden = true;
  if (!text) return;
  const mine = ++wanted;
  try {
    const answer = await ask("/api/signs/perform", { method: "POST", body: { text } });
    if (mine === wanted) await show(answer);
  } catch (problem) {
    const why = problem.status ? problem.message : t("The service did not answer. Try again.");
    complain(el("perform-problem"), t("This cannot be signed"), why, wayOut(problem.code));
  }
});
el("perform-pause").addEventListener("click", () => {
  if (performer.playing) performer.pause();
  else performer.resume();
  buttons();
});
el("perform-before").addEventListener("click", () => performer.step(-1));
el("perform-next").addEventListener("click", () => performer.step(1));
el("perform-speed").addEventListener("change", () => { performer.speed = el("perform-speed").value; });
el("signs-sheet").addEventListener("close", () => performer.pause());
el("perform-stage").addEventListener("covered", () => { // a single sign is shown instead (signs.js)
  performer.stop();
  el("perform-stage").hidden = true;
});
