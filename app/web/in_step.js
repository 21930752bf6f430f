// The body in step with the picture: landmarks come later than the picture they were found in, so both are drawn
// together, over the moving picture. When landmarks come too seldom for that, the drawing fades and the picture moves on.

import { el } from "./dom.js";
import { draw, wipe } from "./skeleton.js";

const KEPT = 24; // pictures: 1.6 s at 15 a second
const LATE_MS = 300;
const canvas = el("skeleton");
const pictures = []; // { stream_ms, picture }: the oldest is overwritten
let next = 0;
let fading = null;

// Keep what `source` shows, sent as the frame of `stream_ms`.
export function remember(stream_ms, source) {
  const kept = pictures[next] ??= { picture: document.createElement("canvas") };
  next = (next + 1) % KEPT;
  kept.stream_ms = stream_ms;
  if (kept.picture.width !== source.width) kept.picture.width = source.width;
  if (kept.picture.height !== source.height) kept.picture.height = source.height;
  kept.picture.getContext("2d").drawImage(source, 0, 0);
}

// The landmarks of the frame of `stream_ms`, with its picture if that is still known.
export function drawInStep(stream_ms, points) {
  const found = pictures.find((one) => Math.abs(one.stream_ms - stream_ms) < 2);
  draw(canvas, points, found?.picture);
  canvas.classList.remove("late");
  clearTimeout(fading);
  fading = setTimeout(() => canvas.classList.add("late"), LATE_MS);
}

export function nothingDrawn() {
  clearTimeout(fading);
  for (const one of pictures) one.stream_ms = NaN;
  wipe(canvas);
}
