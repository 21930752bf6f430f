// Loads what finds body and hands on this device (22 MB) once somebody seems about to need it, so that it is there when the
// camera is. Those who only read pay nothing.

import { settings } from "./kept_settings.js";
import { landmarkFinder } from "./landmarks.js";

const sparing = () => navigator.connection?.saveData === true;

function prepare() {
  if (settings.where === "pictures" || sparing()) return;
  landmarkFinder().catch(() => {}); // it is tried again, and said, when it is needed
}

// When a button is pointed at or reached by keyboard.
export function prepareFor(button) {
  for (const event of ["pointerenter", "pointerdown", "focus"]) button.addEventListener(event, prepare, { once: true });
}

// When nothing else is to be done, for somebody who has used the camera here before.
export async function prepareForUser() {
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null); // Firefox knows none
  if (permission?.state !== "granted") return;
  (globalThis.requestIdleCallback ?? setTimeout)(prepare);
}
