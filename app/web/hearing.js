// What the hearing person says: the microphone to /api/ws/speech, and its captions back (docs/speech.md).

import { LiveSocket } from "./live_socket.js";
import { openMicrophone } from "./microphone.js";
import { socketAddress } from "./session.js";

const MAX_QUEUED_BYTES = 256 * 1024;
const MAX_WAITING = 160; // pieces, 10 s, that wait for a connection
const TAIL_MS = 200; // people let go of a button on their last word
const IDLE_MS = 45_000; // without talk, the microphone and the session are let go

export class Hearing {
  listening = false;
  #on; #line = null; #microphone = null; #opening = null;
  #waiting = []; #flush = false; #held = false;
  #sent_ms = 0; #anchors = []; // { stream_ms, wall_ms }: from here on both run alike
  #idle = null; #tail = null;

  // on.start(): of the message `start`. on.event(event). on.level(level). on.state(state, attempt): "asking" for the
  // microphone, "connecting", "live", "quiet" (may be talked to), "again", "off". on.trouble(error): no microphone; or
  // on.refused({ code, message }): the service does not take it. on.forgives(event): as for LiveSocket.
  constructor(on) { this.#on = on; }

  async listen() {
    clearTimeout(this.#idle);
    clearTimeout(this.#tail);
    if (this.listening) return;
    this.listening = true;
    this.#anchors.push(null); // the next piece says when it was
    if (!this.#microphone && !await this.#open()) return;
    if (!this.listening) return; // let go while the browser asked
    if (!this.#line) this.#connect();
    else this.#tell();
  }

  // The sentence ends here.
  quiet() {
    if (!this.listening) return;
    clearTimeout(this.#tail);
    this.#tail = setTimeout(() => {
      this.listening = false;
      this.#flush = true;
      this.#drain();
      this.#tell();
      this.#rest();
    }, this.#microphone ? TAIL_MS : 0);
  }

  // While a voice is played, it must not hear itself.
  hold(wanted) {
    if (this.#held === wanted) return;
    this.#held = wanted;
    if (!wanted) return this.#anchors.push(null);
    this.#flush = this.listening;
    this.#drain();
  }

  // The next words go to a session of their own, such as in another language.
  again() {
    if (!this.#line) return;
    const { listening } = this;
    this.end();
    if (listening) this.listen();
  }

  // What was said becomes final.
  end() {
    this.listening = false;
    clearTimeout(this.#idle);
    clearTimeout(this.#tail);
    this.#release();
    const line = this.#line;
    this.#line = null;
    this.#waiting = [];
    this.#flush = false;
    line?.stop();
    this.#tell();
  }

  // At once, as when the page goes.
  close() {
    this.#line?.close();
    this.#release();
  }

  // When that was, in ms since 1970.
  wall(stream_ms) {
    const known = this.#anchors.filter(Boolean);
    const anchor = known.findLast((one) => one.stream_ms <= stream_ms + 1) ?? known[0];
    return anchor ? anchor.wall_ms + stream_ms - anchor.stream_ms : Date.now();
  }

  tryNow() { this.#line?.tryNow(); }

  #tell() {
    this.#on.state(!this.#line ? (this.#microphone ? "quiet" : "off") : !this.#line.ready ? "connecting" : this.listening ? "live" : "quiet");
  }

  async #open() {
    this.#on.state("asking");
    this.#opening ??= openMicrophone({
      piece: (samples, level) => this.#piece(samples, level),
      lost: () => this.#trouble(new DOMException("unplugged", "Unplugged")),
    });
    try {
      this.#microphone = await this.#opening;
    } catch (error) {
      this.#trouble(error);
      return false;
    } finally {
      this.#opening = null;
    }
    this.#tell();
    if (!this.listening) this.#rest();
    return true;
  }

  #trouble(error) {
    this.end();
    this.#on.trouble(error);
  }

  #release() {
    this.#microphone?.close();
    this.#microphone = null;
    this.#on.level(0);
  }

  #rest() {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.end(), IDLE_MS);
  }

  #connect() {
    const line = this.#line = new LiveSocket({
      address: () => socketAddress("/api/ws/speech"),
      start: () => ({ ...this.#on.start(), encoding: "pcm16", rate: this.#microphone?.rate ?? 16_000 }),
      event: (event) => {
        this.#on.event(event);
        if (event.type !== "ready" || line !== this.#line) return;
        this.#tell();
        this.#drain();
      },
      lost: (attempt) => { if (line === this.#line) this.#on.state("again", attempt); },
      fresh: () => {
        this.#sent_ms = 0;
        this.#anchors = [null];
      },
      forgives: (event) => this.#on.forgives(event),
      over: (refusal) => {
        if (line !== this.#line) return;
        this.#line = null;
        this.end();
        if (refusal) this.#on.refused(refusal);
      },
    });
    this.#sent_ms = 0;
    this.#anchors = [null];
    this.#on.state("connecting");
    line.connect();
  }

  #piece(samples, level) {
    const takes = this.listening && !this.#held;
    this.#on.level(takes ? level : 0);
    if (!takes) return;
    const long_ms = (1000 * samples.length) / this.#microphone.rate;
    if (this.#anchors.at(-1) === null) this.#anchors[this.#anchors.length - 1] = { stream_ms: this.#sent_ms, wall_ms: Date.now() - long_ms };
    this.#sent_ms += long_ms;
    this.#waiting.push(samples);
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#sent_ms -= long_ms;
    }
    this.#drain();
  }

  #drain() {
    while (this.#waiting.length && this.#line?.ready && this.#line.queued < MAX_QUEUED_BYTES) {
      if (!this.#line.send(this.#waiting[0])) return;
      this.#waiting.shift();
    }
    if (this.#flush && !this.#waiting.length && this.#line?.send({ type: "flush" })) this.#flush = false;
  }
}
