// One live session over a WebSocket (docs/live.md): says `start`, hands its events on, and connects again with `resume` when
// the connection is lost. Signs, speech and the client for other pages use it.

const FIRST_TRY_MS = 250;
const LAST_TRY_MS = 3000;
const TRY_AGAIN = ["unknown_session", "draining"]; // too late to resume; the service restarts

export class LiveSocket {
  ready = false; // events come and input may be sent
  opened = false; // it has been ready before
  #on;
  #socket = null;
  #again = null; // timer
  #session = null; // { session_id, token } of `ready`
  #seen = 0; // seq of the last event
  #attempt = 0;
  #ended = false; // from here
  #refusal = null;
  #over = false;

  // on.address(): resolves to the address; a rejection with a `status` of 4xx, but for 429, ends it.
  // on.start(): the message `start` without `resume`.
  // on.event(event): each event. on.lost(attempt): the connection is lost, and another is tried by itself.
  // on.over(refusal): nothing follows. refusal: { code, message } why, or null where it was ended from here.
  // on.fresh(): what follows is a session of its own, whose times begin at 0 again; optional.
  // on.forgives(event): whether to try again after this fatal error; optional. tries: how often, in a row.
  constructor(on, tries = Infinity) {
    this.#on = on;
    this.tries = tries;
  }

  get queued() { return this.#socket?.bufferedAmount ?? 0; } // bytes

  async connect() {
    this.#again = null;
    let address;
    try {
      address = await this.#on.address();
    } catch (problem) {
      if (problem.status && problem.status < 500 && problem.status !== 429) this.#refusal = problem;
      return this.#lost();
    }
    if (this.#over) return;
    const socket = this.#socket = new WebSocket(address, "glossline.v1");
    socket.onopen = () => {
      const resume = this.#session && { resume: { ...this.#session, last_seq: this.#seen } };
      socket.send(JSON.stringify({ ...this.#on.start(), type: "start", ...resume }));
    };
    socket.onmessage = ({ data }) => { if (socket === this.#socket) this.#receive(JSON.parse(data)); };
    socket.onclose = ({ code }) => { if (socket === this.#socket) this.#lost(code); };
  }

  // data: bytes, or an object that is sent as JSON. Whether it could be sent.
  send(data) {
    if (!this.ready || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(ArrayBuffer.isView(data) ? data : JSON.stringify(data));
    return true;
  }

  // Do not wait any longer before the next attempt.
  tryNow() {
    if (!this.#again) return;
    clearTimeout(this.#again);
    this.connect();
  }

  // What was sent becomes final, then `on.over` is called.
  stop() {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send('{"type":"stop"}');
    else this.#end();
  }

  // At once, as when the page goes.
  close() {
    this.#ended = true;
    this.#end();
  }

  #receive(event) {
    this.#seen = Math.max(this.#seen, event.seq ?? 0);
    if (event.type === "ready") {
      this.#session = { session_id: event.session_id, token: event.resume_token };
      this.ready = this.opened = true;
      this.#attempt = 0;
    } else if (event.type === "error" && event.fatal) {
      if (event.code === "unknown_session") this.#attempt = 0; // it answers again
      if (!TRY_AGAIN.includes(event.code) && !this.#on.forgives?.(event)) this.#refusal = event;
      this.#session = null;
      this.#seen = 0;
      this.#on.fresh?.();
    }
    this.#on.event(event);
    if (event.type === "done") this.#socket.close(1000);
  }

  #lost(code) {
    this.ready = false;
    this.#attempt += 1;
    if (this.#over) return;
    if (this.#ended || this.#refusal || code === 1000 || this.#attempt > this.tries) return this.#end();
    this.#again = setTimeout(() => this.connect(), Math.min(FIRST_TRY_MS * 2 ** this.#attempt, LAST_TRY_MS));
    this.#on.lost(this.#attempt);
  }

  #end() {
    if (this.#over) return;
    this.#over = true;
    this.ready = false;
    clearTimeout(this.#again);
    this.#socket?.close(1000);
    this.#on.over(this.#ended ? null : this.#refusal);
  }
}
