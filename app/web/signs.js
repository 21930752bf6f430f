// How a sign is made: the prototype signer performs a gloss, or several.

import { complain, el, make, wayOut } from "./dom.js";
import { drawFigure } from "./figure.js";
import { ask, mayCaption } from "./session.js";

let turn = 0; // counts what was asked for, so that an old performance stops

const shown = mayCaption().then((may) => (may ? ask("/api/signs") : { signs: [] }))
  .then(({ signs }) => new Map(signs.map((sign) => [sign.gloss, sign])))
  .catch(() => new Map());

// A gloss as a button that shows how it is made; as plain text where there is no performance of it.
export async function glossButton(gloss) {
  if (!(await shown).has(gloss)) return document.createTextNode(gloss);
  const button = make("button", gloss, "link");
  button.type = "button";
  button.title = "How is it made?";
  button.addEventListener("click", () => {
    el("sign-wanted").value = gloss;
    show(gloss);
    el("signs-made").scrollIntoView({ block: "nearest" });
  });
  return button;
}

function play(sign) {
  const mine = ++turn;
  const canvas = el("sign-canvas");
  const frames = sign.pose.length;
  const from = performance.now();
  const frame = (number) => drawFigure(canvas, {
    pose: sign.pose[number], left: sign.left[number], right: sign.right[number],
  });
  const lasts = (frames * 1000) / sign.fps;
  const step = (now) => {
    if (mine !== turn) return;
    const since = Math.max(0, now - from);
    frame(Math.min(frames - 1, Math.floor((since / 1000) * sign.fps)));
    if (since < lasts) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

const madeOf = ({ gloss, signers, clips }) => `${gloss}: the average of ${clips} recordings of ${signers} people`;

async function show(wanted) {
  const glosses = wanted.trim().split(/[\s,]+/).filter(Boolean).join(",").toUpperCase();
  el("sign-problem").hidden = true;
  if (!glosses) return;
  let content;
  try {
    content = await ask(`/api/signs/${encodeURIComponent(glosses)}`);
  } catch (problem) {
    const why = problem.status ? problem.message : "The service did not answer. Try again.";
    complain(el("sign-problem"), "This cannot be shown", why, wayOut(problem.code));
    return;
  }
  el("sign-stage").hidden = false;
  el("sign-about").textContent = `${content.signs.map(madeOf).join("; ")}.`;
  el("sign-canvas").setAttribute("aria-label", `A drawn figure signs ${glosses.replaceAll(",", " ")}`);
  play(content);
}

el("sign-form").addEventListener("submit", (event) => {
  event.preventDefault();
  show(el("sign-wanted").value);
});

shown.then((signs) => {
  el("sign-list").replaceChildren(...[...signs.keys()].map((gloss) => {
    const option = make("option", "");
    option.value = gloss;
    return option;
  }));
  el("sign-hint").textContent = signs.size === 0 ? "" : `One of ${signs.size} signs, or several: MOTHER WANT WATER.`;
});
