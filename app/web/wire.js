// Binary messages of live captions (docs/live.md): 16 bytes of header, then a JPEG or landmarks as float16; little-endian.

export const JPEG = 1;
export const LANDMARKS = 3;
const HEADER_BYTES = 16;

// at: capture time in milliseconds, on the clock of the page.
export function message(kind, sequence, at, payload) {
  const bytes = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const head = new DataView(bytes.buffer);
  head.setUint8(0, 1); // version
  head.setUint8(1, kind);
  head.setUint32(4, sequence, true);
  head.setBigUint64(8, BigInt(Math.round(at * 1000)), true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

// float16 of a number, rounded to the nearest; what is too small becomes 0, what is too large 65504.
export function half(number) {
  single[0] = Math.min(Math.max(number, -65504), 65504);
  const sign = bits[0] >>> 16 & 0x8000;
  const exponent = (bits[0] >>> 23 & 255) - 112;
  if (exponent <= 0) return sign | (exponent < -10 ? 0 : Math.round(Math.abs(single[0]) * 2 ** 24));
  const rounded = (exponent << 10 | bits[0] >>> 13 & 1023) + (bits[0] >>> 12 & 1);
  return sign | Math.min(rounded, 0x7bff);
}

// points: Float32Array of 75 x [x, y, visibility].
export function landmarkBytes(points) {
  const bytes = new Uint8Array(2 * points.length);
  const view = new DataView(bytes.buffer);
  points.forEach((number, i) => view.setUint16(2 * i, half(number), true));
  return bytes;
}

// The numbers of { encoding: "float16", data }, base64 as the service sends arrays: Float32Array.
export function numbers({ data }) {
  const text = atob(data);
  const view = new DataView(Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer);
  return Float32Array.from({ length: view.byteLength / 2 }, (_, i) => whole(view.getUint16(2 * i, true)));
}

// The number that these bits of a float16 mean.
function whole(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = half >>> 10 & 31, rest = half & 1023;
  if (exponent === 0) return sign * rest * 2 ** -24;
  return sign * (1 + rest / 1024) * 2 ** (exponent - 15);
}
