// Why there is no picture of a camera.

import { t } from "./texts.js";

// [title, what to do]
export function cameraTrouble(error) {
  if (!navigator.mediaDevices) {
    return [t("The camera cannot be used here"), t("Browsers allow the camera only on pages over https or on localhost.")];
  }
  if (error.name === "NotAllowedError" || error.name === "SecurityError") {
    return [t("The camera is blocked"), t("Allow it for this page: by the icon beside the address, or in the settings of the browser. Then press the button again.")];
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    return [t("No camera was found"), t("Connect one and press the button again, or watch a sample, or caption a video file.")];
  }
  if (error.name === "NotReadableError" || error.name === "AbortError") {
    return [t("The camera does not start"), t("Another program may be using it. Close that, then press the button again.")];
  }
  return [t("The camera cannot be used"), error.message];
}
