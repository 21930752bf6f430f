// Live captions for a video element, for pages of anybody's own. No dependencies; types are in glossline.d.ts.
//
//   import { Glossline } from "http://localhost:8000/glossline.js";
//   const captions = new Glossline(video, { vocabulary: "everyday" });
//   captions.addEventListener("final", ({ detail }) => console.log(detail.sentence));
//   await captions.start();   // ...   await captions.stop();
//
// or, with the camera and everything else inside: <glossline-captions vocabulary="everyday"></glossline-captions>
//
// Events are those of docs/live.md under their own names (`ready`, `partial`, `final`, `stats`, `warning`, `error`, `done`),
// with the message as `detail`; `frame` for each frame that is sent ({ points, landmarks }); `sends` when what is sent
// changes ({ landmarks, problem }, see frame_source.js); `state`: "connecting", "live", "again" or "off".

import { FrameSource } from "./frame_source.js";
import { LiveSocket } from "./live_socket.js";
import { message } from "./wire.js";

const MAX_QUEUED_BYTES = 256 * 1024;
const TRIES = 20;

export class Glossline extends EventTarget {
  #video; #options; #service;
  #source = null; #line = null;
  #sequence = 0; #busy = false;
  #ended = null; // settles `stop`

  constructor(video, options = {}) {
    super();
    this.#video = video;
    this.#options = { where: "auto", ...options };
    this.#service = (options.service ?? new URL("..", import.meta.url).href).replace(/\/$/, "");
    this.state = "off";
  }

  // Rejects where landmarks are to be found on this device (`where: "device"`) and cannot.
  async start() {
    if (this.#source) return;
    const { where, files } = this.#options;
    this.#state("connecting");
    const source = this.#source = new FrameSource(this.#video, where, (said) => this.#sends(said), {
      service: this.#service, files,
    });
    try {
      if (!this.#video.videoWidth) {
        await new Promise((done) => { this.#video.addEventListener("loadedmetadata", done, { once: true }); });
      }
      await source.open();
    } catch (error) {
      this.#finish();
      throw error;
    }
    if (this.#source !== source) return; // stopped meanwhile
    source.each(() => this.#frame());
    this.#connect();
  }

  // The last sentence becomes final; fulfilled when all has arrived.
  stop() {
    if (!this.#source) return Promise.resolve();
    if (!this.#ended) {
      this.#ended = Promise.withResolvers?.() ?? withResolvers();
      this.#source.close();
      if (this.#line) this.#line.stop();
      else this.#finish();
    }
    return this.#ended?.promise ?? Promise.resolve();
  }

  // From the next sentence on: a name or a list of glosses; null: the default.
  read(vocabulary) {
    this.#options.vocabulary = vocabulary;
    this.#line?.send({ type: "vocabulary", vocabulary });
  }

  #connect() {
    const line = this.#line = new LiveSocket({
      address: async () => {
        const ticket = await this.#options.ticket?.().catch(() => null);
        const address = new URL(`${this.#service.replace(/^http/, "ws")}/api/ws/stream`);
        if (ticket) address.searchParams.set("ticket", ticket);
        return address;
      },
      start: () => {
        const { where, files, service, ticket, ...start } = this.#options;
        return { aspect: this.#video.videoWidth / this.#video.videoHeight, ...start };
      },
      event: (event) => {
        if (event.type === "ready") this.#state("live");
        this.dispatchEvent(new CustomEvent(event.type, { detail: event }));
      },
      lost: () => this.#state("again"),
      over: () => { if (line === this.#line) this.#finish(); },
    }, TRIES);
    line.connect();
  }

  async #frame() {
    const line = this.#line;
    if (!line?.ready || this.#busy || this.#video.paused || line.queued > MAX_QUEUED_BYTES) return;
    this.#busy = true;
    try {
      const got = await this.#source?.next();
      if (!got || this.#ended || line !== this.#line) return;
      if (!line.send(message(got.kind, this.#sequence++, got.at, got.payload))) return;
      this.dispatchEvent(new CustomEvent("frame", { detail: { points: got.points, landmarks: got.points !== null } }));
    } finally {
      this.#busy = false;
    }
  }

  #sends(said) {
    this.dispatchEvent(new CustomEvent("sends", { detail: said }));
    if (said.landmarks === null) this.stop();
  }

  #finish() {
    this.#source?.close();
    this.#source = this.#line = null;
    const ended = this.#ended;
    this.#ended = null;
    this.#state("off");
    ended?.resolve();
  }

  #state(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

// -- the element -----------------------------------------------------------------------------------------------------

const STYLE = `
  :host { display: block; position: relative; background: #14101e; color: #fff; font: 1.25rem/1.3 system-ui, sans-serif;
    border-radius: .5rem; overflow: hidden; min-height: 12rem; }
  video { display: block; width: 100%; }
  video.mirror { transform: scaleX(-1); }
  p { position: absolute; inset-inline: 0; bottom: 3.25rem; margin: 0 auto; width: fit-content; max-width: 90%;
    padding: .2em .5em; background: rgb(0 0 0 / .8); border-radius: .25em; }
  p:empty { display: none; }
  p.open { font-style: italic; }
  small { position: absolute; inset: .5rem .5rem auto; font-size: .875rem; background: rgb(0 0 0 / .8); padding: .2em .5em; }
  small:empty { display: none; }
  button { position: absolute; bottom: .5rem; inset-inline-start: .5rem; font: inherit; padding: .25em .75em; }
`;

export class GlosslineCaptions extends HTMLElement {
  #client = null; #stream = null;
  #video = document.createElement("video");
  #text = document.createElement("p");
  #note = document.createElement("small");
  #button = document.createElement("button");

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    Object.assign(this.#video, { muted: true, playsInline: true });
    this.#text.setAttribute("aria-live", "polite");
    this.#text.lang = "en";
    this.#note.setAttribute("role", "status");
    this.#button.type = "button";
    this.#button.textContent = "Caption the camera";
    this.#button.addEventListener("click", () => (this.#client ? this.stop() : this.start()));
    root.append(this.#video, this.#note, this.#text, this.#button);
  }

  // The Glossline that runs, or null.
  get client() { return this.#client; }

  async start() {
    if (this.#client) return;
    this.#note.textContent = this.#text.textContent = "";
    const options = { ticket: this.ticket };
    for (const name of ["vocabulary", "service", "files", "where"]) {
      if (this.hasAttribute(name)) options[name] = this.getAttribute(name);
    }
    const client = this.#client = new Glossline(this.#video, options);
    this.#button.textContent = "Stop";
    for (const name of ["ready", "partial", "final", "stats", "warning", "error", "done", "sends", "state", "frame"]) {
      client.addEventListener(name, ({ detail }) => this.dispatchEvent(new CustomEvent(name, { detail })));
    }
    const said = ({ type, detail }) => {
      this.#text.textContent = detail.sentence;
      this.#text.className = type === "partial" ? "open" : "";
    };
    client.addEventListener("partial", said);
    client.addEventListener("final", said);
    client.addEventListener("sends", ({ detail }) => { this.#note.textContent = detail.problem ?? ""; });
    client.addEventListener("error", ({ detail }) => { this.#note.textContent = detail.message; });
    client.addEventListener("state", ({ detail }) => { if (detail === "off") this.#off(client); });
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
      this.#video.srcObject = this.#stream;
      this.#video.className = this.#stream.getVideoTracks()[0].getSettings().facingMode === "environment" ? "" : "mirror";
      await this.#video.play();
      await client.start();
    } catch (error) {
      this.#note.textContent = error.message;
      this.#off(client);
    }
  }

  async stop() {
    await this.#client?.stop();
    this.#off(this.#client);
  }

  disconnectedCallback() { this.stop(); }

  #off(client) {
    if (client !== this.#client) return;
    this.#client = null;
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = this.#video.srcObject = null;
    this.#button.textContent = "Caption the camera";
  }
}

if (!customElements.get("glossline-captions")) customElements.define("glossline-captions", GlosslineCaptions);
