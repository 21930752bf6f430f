// The times of a session's captions as times of the day. The service counts milliseconds from the first frame and leaves
// gaps out (app/services/captions/clock.py); this clock does the same with the frames that were sent.

const MAX_GAP_MS = 2000;
const AFTER_GAP_MS = 40; // a frame of the rate that `start` leaves at its default

export class StreamClock {
  #anchors = []; // { stream_ms, wall_ms }: from here on both run alike
  #offset_ms = 0; // stream time minus capture time
  #last_ms = -AFTER_GAP_MS;

  // A frame is sent: its stream time in ms. at_ms: on the clock of the page; wall_ms: Date.now() of the same moment.
  sent(at_ms, wall_ms) {
    let stream_ms = at_ms + this.#offset_ms;
    if (!this.#anchors.length || Math.abs(stream_ms - this.#last_ms) > MAX_GAP_MS) {
      stream_ms = this.#last_ms + AFTER_GAP_MS;
      this.#offset_ms = stream_ms - at_ms;
      this.#anchors.push({ stream_ms, wall_ms });
    }
    this.#last_ms = stream_ms;
    return stream_ms;
  }

  // When that was, in ms since 1970; null before the first frame.
  wall(stream_ms) {
    if (!this.#anchors.length) return null;
    const anchor = this.#anchors.findLast((one) => one.stream_ms <= stream_ms + 1) ?? this.#anchors[0];
    return anchor.wall_ms + stream_ms - anchor.stream_ms;
  }
}
