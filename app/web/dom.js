// Helpers for elements, shared by all parts of the page.

export const el = (id) => document.getElementById(id);

export function make(tag, text, className = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = className;
  return node;
}

export function complain(box, title, detail) {
  box.replaceChildren(make("strong", title), document.createTextNode(detail));
  box.hidden = false;
}

// Copies text; if the browser refuses, selects `source` for copying by keyboard. `status` shows the result.
export async function copy(text, source, status, what) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = `${what} copied.`;
  } catch {
    getSelection().selectAllChildren(source);
    status.textContent = `${what} selected; copy with the keyboard.`;
  }
}

export const percent = (share) => `${Math.round(share * 100)} %`;

// What the recogniser read from: the weights of its two streams, in words if only one of them was used.
export function readFrom({ rgb, pose }) {
  if (rgb < 0.005) return "body and hands only, not the image";
  if (pose < 0.005) return "the image only";
  return `body and hands ${percent(pose)}, image ${percent(rgb)}`;
}
