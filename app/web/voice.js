// A voice that reads sentences aloud: pieces of sound that come with a session, or whole sentences from the service.

import { request } from "./session.js";

const MAX_WAITING = 3; // sentences; older ones are left out
const AFTER_MS = 250; // what still sounds in the room

export class Voice {
  #context = null; #on;
  #ends = 0; // of what is scheduled, on the clock of the context
  #sources = new Set();
  #turn = 0; #jobs = 0; #queue = Promise.resolve(); #after = null;

  // on.playing(whether). on.late(ms): from asking to the first sound. on.problem(error).
  constructor(on) { this.#on = on; }

  // Browsers play sound only after people have pressed something.
  unlock() {
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {});
  }

  // A sentence, after those before it.
  say(text, language) {
    if (this.#jobs >= MAX_WAITING) return;
    const turn = this.#turn, asked = performance.now();
    this.#jobs += 1;
    this.#queue = this.#queue.then(async () => {
      try {
        if (turn !== this.#turn) return;
        const answer = await request("/api/speech/synthesise", { method: "POST", body: { text, language } });
        this.unlock();
        const sound = await this.#context.decodeAudioData(await answer.arrayBuffer());
        if (turn === this.#turn) this.#play(sound, asked);
      } catch (problem) {
        this.#on.problem(problem);
      } finally {
        this.#jobs -= 1;
      }
    });
  }

  // A piece of sound as the event `audio` has it.
  piece({ data, rate }) {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
    if (bytes.length < 2) return;
    this.unlock();
    const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    const sound = this.#context.createBuffer(1, samples.length, rate);
    sound.copyToChannel(Float32Array.from(samples, (one) => one / 32768), 0);
    this.#play(sound);
  }

  stop() {
    this.#turn += 1;
    this.#ends = 0;
    for (const source of this.#sources) source.stop();
  }

  #play(sound, asked = null) {
    const source = this.#context.createBufferSource();
    source.buffer = sound;
    source.connect(this.#context.destination);
    const from = Math.max(this.#context.currentTime + 0.02, this.#ends);
    this.#ends = from + sound.duration;
    source.start(from);
    clearTimeout(this.#after);
    if (!this.#sources.size) this.#on.playing(true);
    this.#sources.add(source);
    if (asked !== null) this.#on.late(performance.now() - asked);
    source.onended = () => {
      this.#sources.delete(source);
      if (this.#sources.size) return;
      this.#after = setTimeout(() => this.#on.playing(false), AFTER_MS);
    };
  }
}
