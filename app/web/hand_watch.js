// Whether the camera sees shoulders and hands, several times a second, while somebody teaches a sign; and what it saw
// during a recording. Body and hands are found on this device where it can (frame_source.js), else by the service, in a
// live session whose captions are not used.

import { FrameSource } from "./frame_source.js";
import { socketAddress } from "./session.js";
import { t } from "./texts.js";
import { JPEG, message } from "./wire.js";

const EVERY_MS = 160;
const WIDTH = 480;
const DIGITS = 1e5; // of the numbers that are sent
const POSE = { left: 11, right: 12 }; // shoulders
const HANDS = [33, 54]; // their first points are the wrists
// As the service has it (teaching.py): a hand is up that is at most so many shoulder widths below the shoulders.
const UP = 0.8;

// points: 75 x [x, y, visibility] -> { shoulders, hands: 0 to 2, up }
export function seenIn(points) {
  const [left, right] = [points[POSE.left], points[POSE.right]];
  const lowest = (left[1] + right[1]) / 2 + UP * Math.abs(left[0] - right[0]);
  const hands = HANDS.filter((wrist) => points[wrist][2] > 0);
  return { shoulders: left[2] > 0.5 && right[2] > 0.5, hands: hands.length, up: hands.some((wrist) => points[wrist][1] < lowest) };
}

// where: as FrameSource has it. `tell` gets what is seen, or null when nothing can be said any more. `sends` gets what
// FrameSource tells: whether landmarks leave this device, or pictures, or nothing any more. Resolves once it watches, and
// rejects for "device" where this device cannot. Returns { end(), pause(wanted), landmarks(), recorder() }.
export async function watchHands(video, where, tell, sends) {
  let byService = null, ended = false, busy = false, paused = false, landmarks = null, frames = null;

  const source = new FrameSource(video, where, (said) => {
    landmarks = said.landmarks;
    if (ended) return;
    if (landmarks) {
      byService?.end();
      byService = null;
    } else if (landmarks === false) {
      byService ??= watchByService(video, tell);
    } else tell(null);
    sends(said);
  }, { text: t });

  async function look() {
    if (ended || busy || !landmarks) return;
    busy = true;
    try {
      const frame = await source.next();
      if (ended || !frame?.points) return;
      frames?.push(frame);
      if (!paused) tell(seenIn(frame.points));
    } finally {
      busy = false;
    }
  }

  const end = () => {
    ended = true;
    source.close();
    byService?.end();
  };
  try {
    await source.open();
  } catch (error) {
    end();
    throw error;
  }
  if (!ended) source.each(look);

  // Records landmarks, as take.js wants it.
  function recorder() {
    frames = [];
    return {
      start() { frames = []; },
      end() {
        const taken = frames ?? [];
        frames = null;
        return Promise.resolve({ content: landmarksOf(taken, video), name: "sign.json" });
      },
      drop() { frames = null; },
      holds: () => landmarks === true,
    };
  }
  return {
    end, recorder, landmarks: () => landmarks,
    pause: (wanted) => { paused = wanted; byService?.pause(wanted); },
  };
}

// The landmarks of a recording as the API reads them (docs/api.md).
function landmarksOf(frames, video) {
  const round = (number) => Math.round(number * DIGITS) / DIGITS;
  return JSON.stringify({
    width: video.videoWidth, height: video.videoHeight,
    times: frames.map(({ at }) => (at - frames[0].at) / 1000),
    points: frames.map(({ points }) => points.map((point) => [...point].map(round))),
  });
}

// To pause leaves the service its time for reading a recording.
function watchByService(video, tell) {
  const canvas = document.createElement("canvas");
  let socket = null, timer = null, ended = false, busy = false, paused = false, sequence = 0;

  const end = () => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    socket?.close(1000);
  };
  const over = () => { if (!ended) { end(); tell(null); } };

  async function send() {
    if (busy || paused || socket.readyState !== WebSocket.OPEN || video.readyState < 2 || socket.bufferedAmount > 100_000) return;
    busy = true;
    try {
      canvas.width = WIDTH;
      canvas.height = Math.round(WIDTH * video.videoHeight / video.videoWidth);
      const at = performance.now();
      canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.75); });
      if (!blob || ended) return;
      const picture = new Uint8Array(await blob.arrayBuffer());
      if (!ended) socket.send(message(JPEG, sequence++, at, picture));
    } finally {
      busy = false;
    }
  }

  socketAddress("/ws/stream").then((address) => {
    if (ended) return;
    socket = new WebSocket(address, "glossline.v1");
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ type: "start", landmarks: true, interim: false, aspect: video.videoWidth / video.videoHeight }));
    });
    socket.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      if (ended) return;
      if (event.type === "ready") timer = setInterval(send, EVERY_MS);
      else if (event.type === "landmarks" && !paused) tell(seenIn(event.points));
      else if (event.type === "error" && event.fatal) over();
    });
    socket.addEventListener("close", over);
  }).catch(over);
  return { end, pause: (wanted) => { paused = wanted; } };
}
