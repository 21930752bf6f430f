// The microphone: pieces of 16-bit mono sound with their level, and why there is none.

import { t } from "./texts.js";

const RATE = 16_000; // as the service reads it; the browser converts
const PIECE_S = 0.064;

// piece(samples, level): level 0 to 1. lost(): it was unplugged, or taken away.
// Resolves to { rate, close() }; rejects as getUserMedia does.
export async function openMicrophone({ piece, lost }) {
  if (!navigator.mediaDevices || !globalThis.AudioWorkletNode) throw new DOMException("no microphone", "NotSupportedError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true }, video: false,
  });
  const [track] = stream.getAudioTracks();
  let context = null;
  try {
    let source;
    [context, source] = await joined(stream);
    await context.audioWorklet.addModule("/web/microphone_worklet.js");
    const node = new AudioWorkletNode(context, "pieces", { processorOptions: { samples: Math.round(context.sampleRate * PIECE_S) } });
    node.port.onmessage = ({ data }) => piece(data.piece, data.level);
    source.connect(node).connect(context.destination); // silent; what leads nowhere is not run
    await context.resume();
  } catch (problem) {
    track.stop();
    context?.close();
    throw problem;
  }
  track.addEventListener("ended", lost);
  return {
    rate: context.sampleRate,
    close() {
      track.removeEventListener("ended", lost);
      track.stop();
      context.close();
    },
  };
}

// Where the browser does not convert a microphone's rate, the service does.
async function joined(stream) {
  for (const options of [{ sampleRate: RATE }, {}]) {
    const context = new AudioContext(options);
    try {
      return [context, context.createMediaStreamSource(stream)];
    } catch (problem) {
      await context.close();
      if (!options.sampleRate) throw problem;
    }
  }
  return undefined;
}

// [title, what to do]
export function microphoneTrouble(error) {
  if (error.name === "NotSupportedError") {
    return [t("The microphone cannot be used here"), t("Browsers allow the microphone only on pages over https or on localhost.")];
  }
  if (error.name === "NotAllowedError" || error.name === "SecurityError") {
    return [t("The microphone is blocked"), t("Allow it for this page: by the icon beside the address, or in the settings of the browser. Then press the button again.")];
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    return [t("No microphone was found"), t("Connect one and press the button again. Signs are captioned without it.")];
  }
  if (error.name === "NotReadableError" || error.name === "AbortError") {
    return [t("The microphone does not start"), t("Another program may be using it. Close that, then press the button again.")];
  }
  return [t("The microphone cannot be used"), error.message];
}
