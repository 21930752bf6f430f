// Finds body and hands in pictures, off the page's thread, with the networks that the service itself uses.
//
// Messages in: {load: ADDRESS OF THE PACKAGE}, {bitmap} (an ImageBitmap, which is closed here), {reset: true}.
// Messages out, one for each, in order: {loaded: {path, renderer}}, {points, ms, path} (Float32Array of 75 x [x, y, v]),
// {reset}, or {problem: text}; {lost: text} at any time when WebGL is taken away.
//
// The npm package @mediapipe/holistic brings WebAssembly and models. Its own loader (holistic.js) is not used: in a
// worker it makes no WebGL context that it could draw to, and its graph computes 468 points of the face that nobody
// reads. What is driven here is the WebAssembly module itself, with a graph of body and hands.

const POINTS = 75;
const BLOCKS = [["pose_landmarks", 0], ["left_hand_landmarks", 33], ["right_hand_landmarks", 54]];
// As the service does: MediaPipe's smoothing reads this clock, and the recogniser was trained on landmarks that were
// smoothed as if every video had 30 images a second.
const STEP_US = 33_333;
// The models lie one behind the other in one file of 17 MB; of these 8.6 MB are needed.
const PACK = "holistic_solution_packed_assets.data";
const MODULES = "third_party/mediapipe/modules/";
const MODELS = [
  ["pose_detection/pose_detection.tflite", 13_915_467, 16_877_755],
  ["hand_landmark/hand_landmark_full.tflite", 3_986_256, 9_464_944],
  ["hand_landmark/handedness.txt", 9_464_944, 9_464_955],
  ["holistic_landmark/hand_recrop.tflite", 9_464_955, 9_588_747],
];
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
// The graphics processor of a small machine may be slower than its CPU: where an empty picture takes it longer than this
// many milliseconds, both are tried.
const FAST_MS = 15;
const TRIAL = 3; // pictures

let wasm, solution, gl, canvas, texture, listener;
let clock = 0;
const found = new Map();

// -- the graph -------------------------------------------------------------------------------------------------------

const utf8 = new TextEncoder();
const field = (number, content) => {
  const bytes = typeof content === "string" ? utf8.encode(content) : content.flatMap((part) => [...part]);
  return [number << 3 | 2, ...varint(bytes.length), ...bytes];
};
const varint = (value) => (value < 128 ? [value] : [value & 127 | 128, ...varint(value >> 7)]);
const node = (calculator, inputs, outputs) => field(1, [
  field(2, calculator), ...inputs.map((name) => field(3, name)), ...outputs.map((name) => field(4, name)),
]);

// A CalculatorGraphConfig of MediaPipe.
const GRAPH = Uint8Array.from([
  node("GlScalerCalculator", ["VIDEO:picture"], ["VIDEO:image"]),
  node("PoseLandmarkGpu", ["IMAGE:image"], ["LANDMARKS:pose_landmarks"]),
  node("HandLandmarksLeftAndRightGpu", ["IMAGE:image", "POSE_LANDMARKS:pose_landmarks"],
    ["LEFT_HAND_LANDMARKS:left_hand_landmarks", "RIGHT_HAND_LANDMARKS:right_hand_landmarks"]),
  field(10, "picture"),
  field(14, [field(2, "ApplicationThreadExecutor")]),
].flat());

// -- loading ---------------------------------------------------------------------------------------------------------

async function bytesOf(address, from, to) {
  const headers = from === undefined ? {} : { Range: `bytes=${from}-${to - 1}` };
  const answer = await fetch(address, { headers });
  if (!answer.ok) throw new Error(`${address} is answered with ${answer.status}`);
  const bytes = await answer.arrayBuffer();
  return from !== undefined && answer.status === 200 ? bytes.slice(from, to) : bytes; // a proxy that ignores ranges
}

// A module of seven instructions, one of them SIMD.
const hasSimd = () => WebAssembly.validate(new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11]));

async function load(base) {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly");
  if (typeof OffscreenCanvas !== "function") throw new Error("this browser has no OffscreenCanvas");
  const models = MODELS.map(([name, from, to]) => bytesOf(base + PACK, from, to).then((bytes) => [name, bytes]));
  models.push(bytesOf(`${base}pose_landmark_full.tflite`)
    .then((bytes) => ["pose_landmark/pose_landmark_full.tflite", bytes]));
  const ready = Promise.all(models);
  ready.catch(() => {}); // awaited below; what fails before that is reported first
  importScripts(`${base}holistic_solution_${hasSimd() ? "simd_" : ""}wasm_bin.js`);
  wasm = await self.createMediapipeSolutionsWasm({
    locateFile: (name) => base + name, print: () => {}, printErr: () => {},
  });
  canvas = new OffscreenCanvas(1, 1);
  wasm.canvas = canvas;
  const context = wasm.GL.createContext(canvas, {
    majorVersion: 2, minorVersion: 0, alpha: false, antialias: false, depth: false, enableExtensionsByDefault: true,
  });
  if (!context) throw new Error("this browser gives no WebGL 2");
  canvas.addEventListener("webglcontextlost", () => postMessage({ lost: "the browser took WebGL away" }));
  wasm.GL.makeContextCurrent(context);
  gl = wasm.GL.getContext(context).GLctx;
  texture = wasm.createTexture();
  solution = new wasm.SolutionWasm();
  solution.loadGraph(GRAPH.buffer);
  for (const [name, bytes] of await ready) solution.overrideFile(MODULES + name, bytes);
  listen();
  const renderer = nameOfRenderer();
  await choosePath(renderer);
  solution.reset();
  return { path, renderer };
}

function nameOfRenderer() {
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

function listen() {
  const names = new wasm.StringList();
  BLOCKS.forEach(([name]) => names.push_back(name));
  listener = wasm.PacketListener.implement({
    onResults(results) {
      BLOCKS.forEach(([name], i) => {
        const packet = results.get(i); // a view of memory that changes
        if (packet instanceof Uint8Array) found.set(name, packet.slice());
      });
    },
  });
  solution.attachMultiListener(names, listener);
  names.delete();
}

// -- GPU or CPU ------------------------------------------------------------------------------------------------------

let path = null;

function compute(on) {
  const changes = new wasm.GraphOptionChangeRequestList();
  changes.push_back({
    calculatorType: "InferenceCalculator", calculatorName: "", calculatorIndex: 0, fieldName: "use_cpu_inference",
    valueBoolean: on === "cpu", valueNumber: 0, valueString: "",
  });
  solution.changeOptions(changes);
  changes.delete();
  path = on;
}

// Milliseconds for an empty picture, in which only the first network looks for a person. What is compiled on first use
// is compiled by the picture before.
async function trial(on) {
  compute(on);
  const times = [];
  for (let i = 0; i <= TRIAL; i += 1) {
    const picture = await createImageBitmap(new ImageData(640, 480));
    const began = performance.now();
    find(picture);
    if (i) times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[Math.floor(TRIAL / 2)];
}

async function choosePath(renderer) {
  // Software that pretends to be a graphics processor takes seconds for a picture; iOS lacks what the networks need.
  const onlyCpu = SOFTWARE.test(renderer) || /iPad|iPhone|iPod/.test(navigator.userAgent);
  const gpu = onlyCpu ? Infinity : await trial("gpu");
  if (gpu < FAST_MS) return;
  if (await trial("cpu") > gpu) await trial("gpu");
}

// -- a picture -------------------------------------------------------------------------------------------------------

function find(bitmap) {
  const { width, height } = bitmap;
  gl.activeTexture(gl.TEXTURE0);
  wasm.bindTexture2d(texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  wasm.bindTexture2d(0);
  bitmap.close();
  found.clear();
  clock += STEP_US;
  const packets = new wasm.PacketDataList();
  packets.pushTexture2d({ glName: texture, width, height, stream: "picture", timestamp: clock });
  solution.send(packets); // returns when the results are there
  packets.delete();
  if (gl.isContextLost()) throw new Error("the browser took WebGL away");
  const points = new Float32Array(POINTS * 3);
  for (const [name, first] of BLOCKS) if (found.has(name)) readList(found.get(name), points, first);
  return points;
}

// A NormalizedLandmarkList: field 1 is a landmark, with x, y, z, visibility and presence as floats 1 to 5.
function readList(bytes, points, first) {
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (let i = first; at < bytes.length; i += 1) {
    if (view.getUint8(at) !== 0x0a) throw new Error("the landmarks have another form than expected");
    const end = at + 2 + view.getUint8(at + 1); // shorter than 128 bytes
    points[3 * i + 2] = first ? 1 : 0; // hands have no visibility
    for (at += 2; at < end; at += 5) {
      const number = view.getUint8(at) >> 3;
      const value = view.getFloat32(at + 1, true);
      if (number < 3) points[3 * i + number - 1] = value;
      else if (number === 4 && !first) points[3 * i + 2] = value;
    }
  }
}

// -- the page --------------------------------------------------------------------------------------------------------

async function answer({ load: base, bitmap, reset }) {
  if (base) return { loaded: await load(base) };
  if (reset) {
    solution.reset(); // another person or another clip: nothing is tracked or smoothed across
    return { reset: true };
  }
  const began = performance.now();
  const points = find(bitmap);
  return { points, ms: performance.now() - began, path };
}

let queue = Promise.resolve();
onmessage = ({ data }) => {
  queue = queue.then(() => answer(data)).then(
    (said) => postMessage(said, said.points ? [said.points.buffer] : []),
    (error) => postMessage({ problem: String(error?.message ?? error) }),
  );
};
