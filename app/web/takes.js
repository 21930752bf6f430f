// The recordings that a sign is taught by. While one is checked the next is taken; where one is in doubt the person is
// asked before the next countdown, so nobody records three bad ones.

// act: {
//   record(n, putOff): resolves to a recording, or null where none came of it. putOff(): true where it should not begin.
//   taken(open): after each; open: how many are left to take. The next begins once it resolves.
//   learn(recording): has it checked. Resolves to null where it is good, else to what is in doubt: { why, keep, kept,
//     again }. keep: what the person may answer instead of "again", or null. kept(), if there: what is to be done then; it
//     resolves as learn does. again(), if there: forgets what was kept of it.
//   ask(n, why, keep): resolves to "again" or "keep".
//   show(states): whenever one changes: "open", "now" (it is taken), "checking", "doubt" or "good".
//   waiting(): nothing is left to take.
//   signal: aborts when the person stops.
// }, where n says which recording, from 1.
// Resolves when `wanted` are good. Rejects with what one of these does; what was being checked is known then, unless the
// person has stopped.
export async function takeAll(wanted, act) {
  const takes = Array.from({ length: wanted }, () => ({ state: "open", doubt: null, checking: null }));
  const first = (state) => takes.findIndex((one) => one.state === state);
  let failure = null;

  function set(take, state) {
    take.state = state;
    if (!act.signal.aborted) act.show(takes.map((one) => one.state));
  }

  // One after another, as they were taken: the service compares each with those before.
  let queue = Promise.resolve();
  function check(take, checked) {
    set(take, "checking");
    queue = queue.then(() => { if (failure) throw failure; return checked(); }).then((doubt) => {
      take.doubt = doubt;
      set(take, doubt ? "doubt" : "good");
    }).catch((problem) => { failure ??= problem; });
    take.checking = queue;
  }

  async function decide(n) {
    const take = takes[n], { why, keep, kept, again } = take.doubt;
    if (await act.ask(n + 1, why, keep) === "keep") return kept ? check(take, kept) : set(take, "good");
    await again?.();
    set(take, "open");
  }

  async function fill(n) {
    const take = takes[n];
    set(take, "now");
    const recording = await act.record(n + 1, () => failure !== null || first("doubt") >= 0);
    if (!recording) return set(take, "open");
    check(take, () => act.learn(recording));
    await act.taken(takes.filter(({ state }) => state === "open").length);
  }

  try {
    act.show(takes.map((one) => one.state));
    while (takes.some(({ state }) => state !== "good")) {
      if (failure) throw failure;
      if (first("doubt") >= 0) await decide(first("doubt"));
      else if (first("open") >= 0) await fill(first("open"));
      else {
        act.waiting();
        await Promise.race(takes.filter(({ state }) => state === "checking").map(({ checking }) => checking));
      }
    }
  } catch (problem) {
    if (!act.signal.aborted) await queue;
    throw problem;
  }
}
