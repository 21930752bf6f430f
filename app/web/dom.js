// The few things every part of the page does with elements.

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

// Copies text; where the browser does not let us, selects `source` so that the keyboard can.
export async function copy(text, source, told, what) {
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = `${what} copied.`;
  } catch {
    getSelection().selectAllChildren(source);
    told.textContent = `${what} selected; copy with the keyboard.`;
  }
}

export const percent = (share) => `${Math.round(share * 100)} %`;

// What the recogniser looked at: the weights of its two streams, in words where one of them is all there is.
export function readFrom({ rgb, pose }) {
  if (rgb < 0.005) return "the body and hands alone, not the picture";
  if (pose < 0.005) return "the picture alone";
  return `body and hands ${percent(pose)}, picture ${percent(rgb)}`;
}
