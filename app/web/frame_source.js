// What live captions send of a video: landmarks that this device finds in it, or pictures. How to use it:
//
//   const source = new FrameSource(video, where, tell);  // where: "auto", "device" (never a picture) or "pictures"
//   // and, where wanted: { service, files } as for `landmarkFinder` of landmarks.js; text: (english, values) => the words
//   await source.open();       // rejects only for "device": this device cannot; the message says why
//   source.each(act);          // calls `act` whenever the video shows another picture
//   const frame = await source.next();  // or null. { kind, at, payload, points, picture }
//   source.close();
//
// kind, at and payload are for `message` of wire.js. points: [x, y, visibility] of 75 points, null for a JPEG. picture:
// the canvas with the picture they were found in, until the next call. One call at a time.
//
// `tell({ landmarks, problem })` is called whenever what is sent changes, and when there is something to say about it.
// landmarks: true, or false for pictures, or null when "device" can go on with neither: stop then. problem: null, or a
// sentence for the person. With "auto", pictures are sent where the device is too slow, or cannot, or is still loading.

import { landmarkFinder } from "./landmarks.js";
import { JPEG, LANDMARKS, landmarkBytes } from "./wire.js";

const WIDTH = 640;
const PICTURE_MS = 60; // between two pictures: the service reads about fifteen a second
const LATE_MS = 100; // without a word from the video, as in a page in the background: the clock decides
const LOADING_MS = 10_000;
// Below 6 pictures a second more signs are misread (RESULTS.md). One picture is in work at a time, so this is also what
// captions lag behind.
const SLOW_MS = 1000 / 6;
const WATCHED = 12; // pictures
const SURE = 5; // pictures, where every one of them is too slow
const WARM_UP = 4;

let slow = null; // pictures a second, once this device was found too slow; it is not tried again in this page

const english = (text, values = {}) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export class FrameSource {
  #video; #where; #tell; #from; #text;
  #canvas = document.createElement("canvas");
  #finder = null;
  #closed = false;
  #last = -Infinity; // capture time of the last picture
  #shown = null; // capture time of what the video shows, where the browser says so
  #acted = 0;
  #took = []; // milliseconds from taking a picture to its landmarks
  #seen = 0;
  #failed = false; // at the last picture
  #timer; #callback;

  constructor(video, where, tell, { text = english, ...from } = {}) {
    this.#from = from;
    this.#text = text;
    this.#video = video;
    this.#where = where;
    this.#tell = tell;
  }

  async open() {
    if (this.#where === "pictures") return this.#tell({ landmarks: false, problem: null });
    if (this.#where === "auto" && slow) return this.#tellSlow();
    const loading = landmarkFinder(this.#from).then(async (finder) => { await finder.reset(); return finder; });
    if (this.#where === "device") return this.#use(await loading);
    let late = false;
    const patience = new Promise((done) => { setTimeout(() => { late = true; done(); }, LOADING_MS); });
    await Promise.race([this.#useOrDoWithout(loading), patience]);
    if (!late || this.#closed) return;
    const problem = this.#text("This device is still being prepared; until then pictures are sent.");
    this.#tell({ landmarks: false, problem });
  }

  async #useOrDoWithout(loading) {
    try {
      this.#use(await loading);
    } catch (error) {
      this.#doWithout(error);
    }
  }

  #use(finder) {
    if (this.#closed) return;
    this.#finder = finder;
    this.#tell({ landmarks: true, problem: null });
  }

  #doWithout(error) {
    this.#finder = null;
    if (this.#closed) return;
    const values = { why: this.#text(error.message).replace(/\.$/, "") };
    const device = this.#where === "device";
    const problem = device ? this.#text("Body and hands cannot be found on this device: {why}.", values)
      : this.#text("Body and hands cannot be found on this device: {why}. Pictures are sent instead.", values);
    this.#tell({ landmarks: device ? null : false, problem });
  }

  each(act) {
    const now = () => { this.#acted = performance.now(); act(); };
    const shown = (when, { captureTime }) => {
      this.#shown = captureTime ?? when;
      now();
      this.#callback = this.#video.requestVideoFrameCallback(shown);
    };
    if ("requestVideoFrameCallback" in this.#video) this.#callback = this.#video.requestVideoFrameCallback(shown);
    this.#timer = setInterval(() => {
      if (performance.now() - this.#acted < LATE_MS && this.#callback) return;
      this.#shown = null;
      now();
    }, PICTURE_MS);
  }

  async next() {
    const video = this.#video;
    const at = this.#shown ?? performance.now();
    if (this.#closed || video.readyState < 2 || at <= this.#last) return null;
    if (!this.#finder && at - this.#last < PICTURE_MS) return null;
    this.#last = at;
    const began = performance.now();
    this.#draw();
    if (!this.#finder) {
      const blob = await new Promise((done) => { this.#canvas.toBlob(done, "image/jpeg", 0.8); });
      return blob && { kind: JPEG, at, payload: new Uint8Array(await blob.arrayBuffer()), points: null, picture: this.#canvas };
    }
    const points = await this.#find();
    if (!points) return null;
    this.#watch(performance.now() - began);
    const each = Array.from({ length: points.length / 3 }, (_, i) => points.subarray(3 * i, 3 * i + 3));
    return { kind: LANDMARKS, at, payload: landmarkBytes(points), points: each, picture: this.#canvas };
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    if (this.#callback) this.#video.cancelVideoFrameCallback(this.#callback);
  }

  #draw() {
    const scale = Math.min(1, WIDTH / this.#video.videoWidth);
    this.#canvas.width = Math.round(this.#video.videoWidth * scale);
    this.#canvas.height = Math.round(this.#video.videoHeight * scale);
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
  }

  // null: this picture is lost. After a failure the device is tried once more.
  async #find() {
    try {
      const { points } = await this.#finder.find(await createImageBitmap(this.#canvas));
      this.#failed = false;
      return points;
    } catch (error) {
      if (this.#closed) return null;
      const again = this.#failed ? Promise.reject(error) : landmarkFinder(this.#from);
      this.#failed = true;
      await again.then((finder) => { this.#finder = finder; }, () => this.#doWithout(error));
      return null;
    }
  }

  #watch(took_ms) {
    this.#seen += 1;
    if (this.#seen <= WARM_UP) return;
    this.#took.push(took_ms);
    const hopeless = this.#took.length === SURE && Math.min(...this.#took) > SLOW_MS;
    if (this.#took.length < WATCHED && !hopeless) return;
    const usual = this.#took.sort((a, b) => a - b)[this.#took.length >> 1];
    this.#took = [];
    if (usual <= SLOW_MS) return;
    const n = (1000 / usual).toFixed(usual > 500 ? 1 : 0);
    if (this.#where === "device") {
      this.#seen = -Infinity; // said once
      const problem = this.#text("This device reads only {n} pictures a second, so signs may be missed. In the settings, captions can be made from pictures.", { n });
      return this.#tell({ landmarks: true, problem });
    }
    slow = n;
    this.#finder = null;
    this.#tellSlow();
  }

  #tellSlow() {
    const problem = this.#text("This device reads only {n} pictures a second, too few for captions. Pictures are sent to the service instead; they are not stored.", { n: slow });
    this.#tell({ landmarks: false, problem });
  }
}
