// Plays an answer of POST /api/signs/perform on a canvas: the prototype signer, with pause, speed, and the sign that is being
// made. Where people want little motion, it shows one still picture for each sign instead.
//
//   const performer = new Performer(canvas, { onSign: (item) => caption(item?.text ?? "") });
//   await performer.play(answer);  // true: to its end; false: stopped, or something else was played
//
// onSign gets an item of the answer { kind, text, glosses, start_s, end_s } when it begins, and null at the end.

import { drawFigure } from "./figure.js";
import { numbers } from "./wire.js";

const POSE = 33, HAND = 21, POINTS = POSE + 2 * HAND;
const LEAD_S = 0.15; // a sign is named this long before it begins, on the way to it
const MOST_S = 0.1; // between two pictures
const STILL_S = 1.2; // a still picture is shown at least this long
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

export class Performer {
  #canvas;
  #onSign;
  #points = null; // Float32Array of frames x 75 x [x, y, visibility]
  #content = null;
  #at = 0; // seconds
  #speed = 1;
  #last = null; // when the last picture was drawn
  #item = null;
  #turn = 0; // counts what was played, so that an old performance stops
  #settle = () => {};

  constructor(canvas, { onSign = () => {}, speed = 1 } = {}) {
    this.#canvas = canvas;
    this.#onSign = onSign;
    this.speed = speed;
  }

  get playing() { return this.#last !== null; }

  get loaded() { return this.#content !== null; }

  get speed() { return this.#speed; }

  set speed(value) { this.#speed = Math.min(2, Math.max(0.25, Number(value) || 1)); }

  // From the start. The promise is settled at its end.
  play(performance) {
    this.stop();
    this.#content = performance;
    this.#points = numbers(performance.landmarks);
    return new Promise((settle) => {
      this.#settle = settle;
      this.#at = 0;
      this.resume();
    });
  }

  // From the start, once more.
  again() { return this.#content ? this.play(this.#content) : Promise.resolve(false); }

  pause() {
    this.#turn += 1;
    this.#last = null;
  }

  resume() {
    if (!this.#content || this.playing) return;
    if (this.#at >= this.#content.duration_s) this.#at = 0;
    const mine = ++this.#turn;
    this.#last = performance.now();
    const step = (now) => {
      if (mine !== this.#turn) return;
      // A machine that is busy plays more slowly, and leaves no sign out.
      const passed = Math.min(MOST_S, Math.max(0, now - this.#last) / 1000);
      this.#at += passed * this.#speed * this.#pace();
      this.#last = now;
      const over = this.#at >= this.#content.duration_s;
      this.#show(over);
      if (!over) requestAnimationFrame(step);
      else this.#end(true);
    };
    requestAnimationFrame(step);
  }

  stop() {
    this.pause();
    this.#end(false);
  }

  // Pauses at the sign before (-1) or after (1) the one that is shown.
  step(way) {
    if (!this.#content) return;
    this.pause();
    const { items } = this.#content;
    const now = items.indexOf(this.#item);
    const next = items[Math.min(items.length - 1, Math.max(0, now + way))];
    this.#at = (next.start_s + next.end_s) / 2;
    this.#show(false);
  }

  #end(well) {
    this.#last = null;
    if (this.#item) this.#onSign(this.#item = null);
    const settle = this.#settle;
    this.#settle = () => {};
    settle(well);
  }

  // Stills last longer than short signs do.
  #pace() {
    if (!reduced.matches || !this.#item) return 1;
    return Math.min(1, (this.#item.end_s - this.#item.start_s) / STILL_S);
  }

  #show(over) {
    const { items, fps, landmarks: { shape: [frames] } } = this.#content;
    const item = over ? null : items.findLast(({ start_s }) => start_s - LEAD_S <= this.#at) ?? null;
    if (item !== this.#item) {
      this.#item = item;
      this.#onSign(item);
    }
    if (over && !reduced.matches) return this.#draw(frames - 1);
    if (!reduced.matches) return this.#draw(Math.floor(this.#at * fps));
    const still = item ?? (over ? items.at(-1) : items[0]);
    return this.#draw(Math.floor((still.start_s + still.end_s) / 2 * fps));
  }

  #draw(number) {
    const frames = this.#content.landmarks.shape[0];
    const from = Math.min(frames - 1, Math.max(0, number)) * POINTS * 3;
    const point = (i) => this.#points.subarray(from + 3 * i, from + 3 * i + 3);
    const row = (first, count) => Array.from({ length: count }, (_, i) => point(first + i));
    const hand = (first) => row(first, HAND).map(([x, y, there]) => (there > 0 ? [x, y] : [0, 0]));
    drawFigure(this.#canvas, { pose: row(0, POSE), left: hand(POSE), right: hand(POSE + HAND) });
  }
}
