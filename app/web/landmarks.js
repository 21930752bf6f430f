// Landmarks of pictures, found on this device by a worker (landmark_worker.js). One worker serves the page; it loads
// 22 MB when it is first asked for, which the browser keeps.

const LOAD_MS = 120_000; // for a slow network
const FIND_MS = 30_000; // a picture that takes this long never comes back

let finder = null; // a promise of the one that works, or is being loaded

// Rejects with an Error whose message says why this device cannot find landmarks. service: address of the service, empty
// for that of the page. files: address of the folder with the files of @mediapipe/holistic, where the service's own cannot
// be used: browsers load scripts of a worker only from the page's own address.
export function landmarkFinder({ service = "", files = null } = {}) {
  finder ??= Finder.load(service, files).catch((error) => { finder = null; throw error; });
  return finder;
}

async function filesOf(service) {
  const answer = await fetch(`${service}/landmarks`);
  if (!answer.ok) throw new Error(`the service answers with ${answer.status}`);
  const { files, missing } = await answer.json();
  if (!files) throw new Error(missing);
  return new URL(files, answer.url).href;
}

class Finder {
  #worker;
  #waiting = []; // in the order of the questions
  #failed = null;

  static async load(service, files) {
    const folder = files ? new URL(files, document.baseURI).href : await filesOf(service);
    const one = new Finder();
    Object.assign(one, (await one.#ask({ load: folder }, [], LOAD_MS)).loaded);
    return one; // path: "gpu" or "cpu", renderer
  }

  constructor() {
    this.#worker = new Worker(new URL("landmark_worker.js", import.meta.url));
    this.#worker.onmessage = ({ data }) => {
      if (data.lost) return this.#fail(new Error(data.lost));
      if (data.problem) return this.#fail(new Error(data.problem));
      this.#waiting.shift()?.done(data);
    };
    this.#worker.onerror = (event) => this.#fail(new Error(event.message || "the worker cannot be loaded"));
  }

  // { points: Float32Array of 75 x [x, y, visibility], ms }. The bitmap is used up.
  find(bitmap) { return this.#ask({ bitmap }, [bitmap], FIND_MS); }

  // Another clip or person: nothing is tracked or smoothed from the pictures before.
  reset() { return this.#ask({ reset: true }, [], FIND_MS); }

  #ask(what, carry, limit_ms) {
    if (this.#failed) return Promise.reject(this.#failed);
    return new Promise((done, failed) => {
      const timer = setTimeout(() => this.#fail(new Error("the worker does not answer")), limit_ms);
      const settle = (act) => (value) => { clearTimeout(timer); act(value); };
      this.#waiting.push({ done: settle(done), failed: settle(failed) });
      this.#worker.postMessage(what, carry);
    });
  }

  // Nothing of it can be used any more; the next one who asks gets a new worker.
  #fail(error) {
    this.#failed = error;
    this.#worker.terminate();
    finder = null;
    for (const { failed } of this.#waiting.splice(0)) failed(error);
  }
}
