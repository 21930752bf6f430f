// One take: countdown, recording, end. A recording is landmarks where this device finds them (hand_watch.js), else a short
// video; whether hands are seen comes from hand_watch.js too.

const KINDS = ["video/webm;codecs=vp8", "video/mp4", "video/webm"];
const BITS = 1_200_000; // a second
const COUNT_MS = 700;
const LOWER_MS = 3000; // how long it waits for hands that should be down at the beginning
const DOWN_MS = 500; // hands that are down again for this long end the recording
const BLIND_MS = 4000; // lasts without a watch over the hands
const LONGEST_MS = 8000;
const NONE_MS = 3500; // without any hand until then, there is no use in going on
const STEP_MS = 50;
const FPS = 15; // as live captions are read

export class Stopped extends Error {}
// There is no recording: it was put off before it began, or what records went away in the middle, because the device became
// too slow for landmarks, or has come to find them.
export class Changed extends Error {}

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

export async function openCamera(video, deviceId) {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 480, frameRate: { ideal: FPS }, ...(deviceId && { deviceId }) }, audio: false,
  });
  video.srcObject = stream;
  await video.play();
  return stream;
}

// Records video. start(), end(): promise of { content, name }, drop(): what was recorded is not wanted, holds(): whether
// this is still what should record.
export function videoRecorder(stream, holds) {
  const mimeType = globalThis.MediaRecorder && KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  if (!mimeType) throw new Error("recorder");
  const recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: BITS });
  const pieces = [];
  recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
  const finished = new Promise((done, failed) => {
    recorder.addEventListener("stop", () => done(new Blob(pieces, { type: recorder.mimeType })), { once: true });
    recorder.addEventListener("error", () => failed(new Error("recorder")), { once: true });
  });
  finished.catch(() => {}); // where it is not waited for
  const over = () => { if (recorder.state !== "inactive") recorder.stop(); };
  return {
    holds, drop: over,
    start: () => recorder.start(),
    async end() {
      over();
      const content = await finished;
      return { content, name: content.type.startsWith("video/mp4") ? "sign.mp4" : "sign.webm" };
    },
  };
}

// stream: of a camera. recorder(): makes what records, when it comes to that. seen(): what the watch saw last, null without
// one. done(): whether the person ends it by hand. putOff(): whether it should not begin. count: from where it counts down.
// show(state, number): "count" with a number, "lower", "record". signal: aborts it with Stopped. Rejects with Changed where
// it has to be taken again.
// Resolves to { content, name, handsSeen }; handsSeen is null where nobody watched.
export async function take({ stream, recorder, seen, done, putOff, count, show, signal }) {
  let recording = null;
  const check = () => {
    if (signal.aborted) throw new Stopped();
    if (!stream.active) throw new Error("camera");
    if (recording ? !recording.holds() : putOff()) throw new Changed();
  };
  const steps = async (ms, until = () => false) => {
    const from = performance.now();
    for (let passed = 0; passed < ms && !until(passed); passed = performance.now() - from) {
      await wait(STEP_MS);
      check();
    }
  };
  for (let number = count; number > 0; number -= 1) {
    show("count", number);
    await steps(COUNT_MS);
  }
  if (seen()?.up) {
    show("lower");
    await steps(LOWER_MS, () => !seen()?.up);
  }
  recording = recorder();
  recording.start();
  show("record");
  let any = false, raised = false, downSince = null;
  try {
    await steps(LONGEST_MS, (passed) => {
      const now = seen();
      if (done()) return true;
      if (now === null) return passed > BLIND_MS;
      any ||= now.hands > 0;
      raised ||= now.up;
      downSince = now.up ? null : downSince ?? passed;
      if (!any && passed > NONE_MS) return true;
      return raised && downSince !== null && passed - downSince > DOWN_MS;
    });
  } catch (problem) {
    recording.drop();
    throw problem;
  }
  const { content, name } = await recording.end();
  check();
  return { content, name, handsSeen: seen() === null ? null : any };
}
