// Whether the camera sees shoulders and hands, several times a second, while somebody teaches a sign. The service finds
// them, in a live session whose captions are not used; a page that finds landmarks itself needs to replace only this.

import { socketAddress } from "./session.js";

const EVERY_MS = 160;
const WIDTH = 480;
const HEADER_BYTES = 16;
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

// `tell` gets what is seen, or null when nothing can be said any more. Returns { end(), pause(wanted) }; to pause leaves the
// service its time for reading a recording.
export function watchHands(video, tell) {
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
      // Version 1, kind 1 (JPEG), flags, sequence, capture time in microseconds (docs/live.md).
      const message = new Uint8Array(HEADER_BYTES + blob.size);
      const head = new DataView(message.buffer);
      head.setUint8(0, 1);
      head.setUint8(1, 1);
      head.setUint32(4, sequence++, true);
      head.setBigUint64(8, BigInt(Math.round(at * 1000)), true);
      message.set(new Uint8Array(await blob.arrayBuffer()), HEADER_BYTES);
      if (!ended) socket.send(message);
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
