// Forms and buttons that ask the service: busy while they wait, and what came of it beside them.

import { complain, el, wayOut } from "./dom.js";
import { problemWords } from "./problem_texts.js";
import { t } from "./texts.js";

const part = (node, which) => node.closest("section").querySelector(`:scope > ${which}`);

// Beside the form or button: what has happened, in words.
export function say(node, text) {
  part(node, ".problem").hidden = true;
  const status = part(node, ".status");
  if (status) status.textContent = text;
}

export function tell(node, problem) {
  const [title, why] = problem.status ? problemWords(problem.code, problem.title, problem.message)
    : [t("The service did not answer"), t("Check the connection and try again.")];
  const box = part(node, ".problem");
  complain(box, title, why, problem.status === 401 ? undefined : wayOut(problem.code));
  if (!problem.status) console.warn(problem);
}

// Runs `work` unless it runs already; its problem is shown beside `node`.
export async function act(node, work) {
  if (node.ariaBusy === "true") return;
  node.ariaBusy = "true";
  say(node, "");
  try {
    await work();
  } catch (problem) {
    tell(node, problem);
  } finally {
    node.ariaBusy = "false";
  }
}

export const onSubmit = (form, work) => form.addEventListener("submit", (event) => {
  event.preventDefault();
  act(form, work);
});

export const onClick = (button, work) => button.addEventListener("click", () => act(button, work));

// Whether the person is sure, asked in a dialog.
export function sure(title, text, yes) {
  const dialog = el("sure");
  el("sure-title").textContent = title;
  el("sure-text").textContent = text;
  el("sure-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}
