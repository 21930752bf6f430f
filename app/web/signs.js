// The vocabulary as a sheet of cards, each with the sign as the prototype signer makes it; a phrase of several signs.

import { complain, el, make, wayOut } from "./dom.js";
import { drawFigure } from "./figure.js";
import { openSheet } from "./frame.js";
import { problemWords } from "./problem_texts.js";
import { ask, mayCaption } from "./session.js";
import { plural, t } from "./texts.js";

const PAGE = 120; // cards at once
const AT_ONCE = 3; // performances that are fetched for cards
const MIDDLE = 0.5; // of a performance: what the picture of a card shows
const still = matchMedia("(prefers-reduced-motion: reduce)");

let turn = 0; // counts what was asked for, so that an old performance stops
let known = { name: "", glosses: [] }; // the vocabulary that is listed
let listed = PAGE;
let chosen = null;

const shown = mayCaption().then((may) => (may ? ask("/api/signs") : { signs: [] }))
  .then(({ signs }) => new Map(signs.map((sign) => [sign.gloss, sign])))
  .catch(() => new Map());

// -- performances ----------------------------------------------------------------------------------------------------

const performances = new Map(); // of single signs, by gloss: a promise

function performanceOf(gloss) {
  if (!performances.has(gloss)) {
    const coming = ask(`/api/signs/${encodeURIComponent(gloss)}`);
    performances.set(gloss, coming);
    coming.catch(() => performances.delete(gloss));
  }
  return performances.get(gloss);
}

function drawAt(canvas, sign, share) {
  const number = Math.min(sign.pose.length - 1, Math.floor(share * sign.pose.length));
  drawFigure(canvas, { pose: sign.pose[number], left: sign.left[number], right: sign.right[number] });
}

function play(sign) {
  const mine = ++turn;
  const canvas = el("sign-canvas");
  const lasts = (sign.pose.length * 1000) / sign.fps;
  const from = performance.now();
  const step = (now) => {
    if (mine !== turn) return;
    const share = Math.max(0, now - from) / lasts;
    drawAt(canvas, sign, Math.min(share, 0.999));
    if (share < 1) requestAnimationFrame(step);
    else if (still.matches) drawAt(canvas, sign, MIDDLE);
  };
  requestAnimationFrame(step);
}

function madeOf({ gloss, signers, clips }) {
  return t("{gloss}: the average of {clips} recordings of {signers} people", { gloss, clips, signers });
}

async function show(wanted) {
  const glosses = wanted.trim().split(/[\s,]+/).filter(Boolean).join(",").toUpperCase();
  el("sign-problem").hidden = true;
  if (!glosses) return;
  let content;
  try {
    content = await performanceOf(glosses);
  } catch (problem) {
    const why = problem.status ? problemWords(problem.code, "", problem.message)[1] : t("The service did not answer. Try again.");
    complain(el("sign-problem"), t("This cannot be shown"), why, wayOut(problem.code));
    return;
  }
  chosen = content;
  el("sign-stage").hidden = false;
  el("perform-stage").dispatchEvent(new Event("covered")); // one figure at a time
  el("sign-name").textContent = glosses.replaceAll(",", " ");
  el("sign-about").textContent = `${content.signs.map(madeOf).join("; ")}.`;
  el("sign-canvas").setAttribute("aria-label", t("A drawn figure signs {glosses}", { glosses: glosses.replaceAll(",", " ") }));
  for (const card of el("vocabulary").querySelectorAll("button[data-gloss]")) card.setAttribute("aria-pressed", card.dataset.gloss === glosses);
  el("sign-stage").scrollIntoView({ block: "nearest" });
  play(content);
}

// A button that shows how the sign is made; null where there is no performance of it.
export async function howButton(gloss) {
  if (!(await shown).has(gloss)) return null;
  const button = make("button", t("How it is made"), "link");
  button.type = "button";
  button.setAttribute("aria-label", t("How {gloss} is made", { gloss }));
  button.addEventListener("click", () => {
    openSheet("signs-sheet");
    el("sign-wanted").value = "";
    list();
    show(gloss);
  });
  return button;
}

// -- the cards -------------------------------------------------------------------------------------------------------

// Pictures of cards are drawn when they come into sight.
const waiting = [];
let fetching = 0;
const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    waiting.push(target);
  }
  fetchNext();
}, { root: document.querySelector(".signs-body"), rootMargin: "200px" });

function fetchNext() {
  while (fetching < AT_ONCE && waiting.length) {
    const canvas = waiting.shift();
    if (!canvas.isConnected) continue;
    fetching += 1;
    performanceOf(canvas.dataset.gloss)
      .then((sign) => drawAt(canvas, sign, MIDDLE), () => {})
      .finally(() => { fetching -= 1; fetchNext(); });
  }
}

function card(gloss, drawn) {
  const item = document.createElement("li");
  if (!drawn) {
    const node = make("button", "");
    node.disabled = true;
    node.append(make("span", t("no drawing"), "none"), make("span", gloss));
    item.append(node);
    return item;
  }
  const node = make("button", "");
  node.type = "button";
  node.dataset.gloss = gloss;
  node.setAttribute("aria-pressed", "false");
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 200, height: 150 });
  canvas.dataset.gloss = gloss;
  canvas.setAttribute("aria-hidden", "true");
  node.append(canvas, make("span", gloss));
  node.addEventListener("click", () => show(gloss));
  item.append(node);
  sight.observe(canvas);
  return item;
}

async function list() {
  const drawn = await shown;
  const words = el("sign-wanted").value.trim().toUpperCase().split(/[\s,]+/).filter(Boolean);
  const wanted = words.at(-1) ?? "";
  const found = known.glosses.filter((gloss) => gloss.includes(wanted))
    .sort((a, b) => b.startsWith(wanted) - a.startsWith(wanted) || drawn.has(b) - drawn.has(a));
  sight.disconnect();
  waiting.length = 0;
  const cards = found.slice(0, listed).map((gloss) => card(gloss, drawn.has(gloss)));
  if (found.length > listed) {
    const more = make("button", t("Show more"), "plain");
    more.type = "button";
    more.addEventListener("click", () => {
      const at = listed;
      listed += PAGE;
      list().then(() => el("vocabulary").children[at]?.querySelector("button")?.focus());
    });
    const item = make("li", "", "more");
    item.append(more);
    cards.push(item);
  }
  el("vocabulary").replaceChildren(...cards);
  const count = plural(found.length, "1 sign", "{n} signs");
  if (!known.name) return;
  el("vocabulary-title").textContent = !wanted ? t("Read now: {signs} ({name}).", { signs: count, name: known.name })
    : found.length ? t("{signs} with “{wanted}”.", { signs: count, wanted })
      : t("The vocabulary “{name}” has no sign with “{wanted}”.", { name: known.name, wanted });
}

// List this vocabulary: { name, glosses }.
export function listSigns(vocabulary) {
  known = vocabulary;
  listed = PAGE;
  return list();
}

el("sign-wanted").addEventListener("input", () => { listed = PAGE; list(); });
el("sign-form").addEventListener("submit", (event) => {
  event.preventDefault();
  show(el("sign-wanted").value);
});
el("sign-again").addEventListener("click", () => { if (chosen) play(chosen); });
el("signs-sheet").addEventListener("close", () => { turn += 1; });
shown.then((signs) => {
  el("sign-hint").textContent = signs.size === 0 ? ""
    : t("{n} signs are drawn. Several words are shown as a phrase: MOTHER WANT WATER.", { n: signs.size });
});
