// Client of /api/signs/sets: signs that people teach (README, "Teach it your signs").

import { ask, bearer, query, Refused } from "./session.js";

const SETS = "/api/signs/sets";
const at = (set, ...more) => [SETS, set, ...more].map((part, i) => (i ? encodeURIComponent(part) : part)).join("/");
const post = (path, body) => ask(path, { method: "POST", body });

// A body that is not JSON text of ours: a form with a recording, or a file. Refused then also has `reason`.
async function send(path, body, headers = {}, signal = undefined) {
  const token = await bearer();
  const answer = await fetch(path, { method: "POST", body, signal, headers: { ...headers, ...(token && { Authorization: `Bearer ${token}` }) } });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Refused(answer.status, problem), { reason: problem.reason });
}

export const listSets = async () => (await ask(SETS)).sets;
export const contentsOf = (set) => ask(at(set));
export const makeSet = (given) => post(SETS, given);
export const changeSet = (set, changes) => ask(at(set), { method: "PATCH", body: changes });
export const deleteSet = (set) => ask(at(set), { method: "DELETE" });
export const exportSet = (set, landmarks) => ask(at(set, "export") + query({ landmarks: landmarks ? "true" : "" }));
export const importSet = (file) => send(`${SETS}/import`, file, { "Content-Type": "application/json" });
export const shareSet = async (set) => (await post(at(set, "share"))).token;
export const unshareSet = (set) => ask(at(set, "share"), { method: "DELETE" });
export const sharedSet = (token) => post(`${SETS}/shared`, { token });
export const copyShared = (token) => post(`${SETS}/copy`, { token });
// The text that is agreed to, { version, text, consents }; and to agree, or take it back.
export const corpusOf = () => ask("/api/signs/corpus");
export const giveSet = (set, given) => post(at(set, "consent"), given);
export const takeBack = (set) => ask(at(set, "consent"), { method: "DELETE" });
export const addSign = (set, name) => post(at(set, "signs"), { name });
export const renameSign = (set, sign, name) => ask(at(set, "signs", sign), { method: "PATCH", body: { name } });
export const deleteSign = (set, sign) => ask(at(set, "signs", sign), { method: "DELETE" });
export const deleteRecording = (set, sign, recording) => ask(at(set, "signs", sign, "recordings", recording), { method: "DELETE" });

// recording: { content, name }: landmarks as JSON text, or a Blob and a file name that says what it is: a video, or
// landmarks (.npz, .pose). signal: aborts it.
export function addRecording(set, sign, { content, name }, insist = false, signal = undefined) {
  const path = at(set, "signs", sign, "recordings") + query({ insist: insist ? "true" : "" });
  if (typeof content === "string") return send(path, content, { "Content-Type": "application/json" }, signal);
  const form = new FormData();
  form.append("file", content, name);
  return send(path, form, {}, signal);
}
