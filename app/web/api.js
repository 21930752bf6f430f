// Client of /api/training: the token, errors, and a log as server-sent events.

import { bearer, Refused } from "./session.js";

export { Refused };

const KEY = "glossline.training.token";

// The token is kept until the tab is closed.
export const keep = (token) => sessionStorage.setItem(KEY, token);

// TRAINING_TOKEN where it was given, else the sign-in of an operator.
async function headers(more = {}) {
  const token = sessionStorage.getItem(KEY) ?? await bearer();
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function checked(answer) {
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

export async function ask(path, body) {
  const options = body === undefined ? { headers: await headers() }
    : { method: "POST", headers: await headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  return (await checked(await fetch(`/api/training${path}`, options))).json();
}

export async function act(path) {
  return (await checked(await fetch(`/api/training${path}`, { method: "POST", headers: await headers() }))).json();
}

const wait = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
});

// With fetch, because an EventSource sends no token. Resumes after a lost connection until the job ends or `signal`
// aborts.
export async function follow(job, signal, on) {
  let last = null;
  while (!signal.aborted) {
    try {
      const more = last === null ? {} : { "Last-Event-ID": last };
      const answer = await checked(await fetch(`/api/training/jobs/${job}/logs?follow=true&tail=500`,
        { headers: await headers({ Accept: "text/event-stream", ...more }), signal }));
      let rest = "";
      for await (const piece of pieces(answer.body)) {
        const events = (rest + piece).split("\n\n");
        rest = events.pop();
        for (const text of events) {
          const event = Object.fromEntries(text.split("\n").filter((line) => line && !line.startsWith(":"))
            .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
          if (!event.event) continue;
          last = event.id;
          on(event.event, JSON.parse(event.data));
          if (event.event === "end") return;
        }
      }
    } catch (problem) {
      if (signal.aborted || (problem instanceof Refused && problem.status < 500)) return;
    }
    await wait(2000, signal);
  }
}

async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
