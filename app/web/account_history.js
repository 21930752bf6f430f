// The history: search it, read a session, correct a line, save it as a file, delete it.

import { act, onClick, onSubmit, say, sure, tell } from "./acting.js";
import { atMinute, el, make, save } from "./dom.js";
import { ask, query, request } from "./session.js";
import { clock } from "./subtitles.js";
import { plural, t } from "./texts.js";

const PAGE = 20;
let cursor = null;
let asked = {}; // what the list shows

const at = (ms) => clock(ms, "").slice(0, 8).replace(/^00:/, "");

export async function showHistory(known) {
  el("history-about").textContent = t("Captions that you chose to keep. Images are never kept.")
    + (known?.history_days ? ` ${t("What is older than {days} is deleted.", { days: plural(known.history_days, "1 day", "{n} days") })}` : "");
  el("history-search").reset();
  asked = {};
  await list(true).catch((problem) => tell(el("history-search"), problem));
}

// A day of the person's own calendar as a moment; `days` later.
function moment(day, days) {
  if (!day) return "";
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + days).toISOString();
}

async function list(again) {
  const page = await ask(`/api/history${query({ ...asked, limit: PAGE, cursor: again ? null : cursor })}`);
  cursor = page.cursor;
  el("history-more").hidden = cursor === null;
  const entries = page.sessions.map(entry);
  if (again) el("sessions").replaceChildren(...entries);
  else el("sessions").append(...entries);
  const some = Object.values(asked).some(Boolean);
  if (again && !entries.length) {
    say(el("history-search"), some ? t("Nothing was found.") : t("Nothing is kept yet. On the caption page, choose “Keep captions in my history”."));
  } else if (again && some) {
    say(el("history-search"), t(cursor ? "{sessions} found, and older ones." : "{sessions} found.", { sessions: plural(entries.length, "1 session", "{n} sessions") }));
  }
  return entries;
}

onSubmit(el("history-search"), async () => {
  asked = {
    q: el("history-q").value.trim(), kind: el("history-kind").value,
    since: moment(el("history-since").value, 0), until: moment(el("history-until").value, 1),
  };
  await list(true);
});

onClick(el("history-more"), async () => {
  const [first] = await list(false);
  first?.querySelector("summary").focus();
});

// -- one session -----------------------------------------------------------------------------------------------------

function button(text, className, label, work) {
  const node = make("button", text, className);
  node.type = "button";
  if (label) node.setAttribute("aria-label", label);
  node.addEventListener("click", () => work(node));
  return node;
}

function entry(session) {
  const item = document.createElement("li");
  const details = document.createElement("details");
  const when = atMinute(session.started_at);
  const facts = [session.kind === "live" ? t("Live") : t("File"), at(session.duration_s * 1000), plural(session.lines, "1 sentence", "{n} sentences"),
    session.credits ? plural(session.credits, "1 credit", "{n} credits") : "", session.lines_lost ? t("{n} not kept", { n: session.lines_lost }) : ""];
  const summary = make("summary", "");
  summary.append(make("span", when, "hint"), make("span", session.excerpt ?? t("Nothing was recognised"), "excerpt"),
    make("span", facts.filter(Boolean).join(", "), "hint facts"));
  const lines = make("ol", "", "lines");
  const actions = make("div", "", "actions");
  const file = (kind, name) => button(name, "plain small", t("Save as {name}", { name }), (node) => act(node, () => download(session, kind)));
  actions.append(file("json", "JSON"), file("srt", "SRT"), file("vtt", "WebVTT"),
    button(t("Delete"), "plain small", t("Delete the session of {when}", { when }), (node) => act(node, async () => {
      if (!await sure(t("Delete this session?"), t("Its sentences of {when} are gone for good.", { when }), t("Delete it"))) return;
      await ask(`/api/history/${session.id}`, { method: "DELETE" });
      const near = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      say(el("history-search"), t("The session is deleted."));
      (near?.querySelector("summary") ?? el("history-q")).focus();
    })));
  details.append(summary, lines, actions);
  details.addEventListener("toggle", () => {
    if (!details.open || lines.childElementCount) return;
    all(session.id).then(
      (whole) => lines.replaceChildren(...whole.lines.map((line) => lineOf(session, line))),
      (problem) => tell(el("history-search"), problem),
    );
  });
  item.append(details);
  return item;
}

// The session with all its lines, which come in pages.
async function all(id) {
  const whole = await ask(`/api/history/${id}?limit=500`);
  for (let after = whole.after; after !== null;) {
    const page = await ask(`/api/history/${id}?limit=500&after=${after}`);
    whole.lines.push(...page.lines);
    after = page.after;
  }
  return whole;
}

async function download(session, kind) {
  const name = `captions-${session.started_at.slice(0, 16).replace(/[T:]/g, "-")}.${kind}`;
  if (kind === "json") {
    const { after, ...whole } = await all(session.id);
    return save(name, new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
  }
  save(name, await (await request(`/api/history/${session.id}?format=${kind}`)).blob());
}

function lineOf(session, line) {
  const item = document.createElement("li");
  const sentence = line.correction?.sentence ?? line.sentence;
  const glosses = line.correction?.glosses ?? line.glosses.map((sign) => sign.gloss);
  const row = make("div", "", "row");
  const edit = button(t("Correct"), "link", t("Correct: {sentence}", { sentence }), () => open());
  row.append(make("span", at(line.start_ms), "at"), make("span", sentence), edit);
  item.append(row, make("span", glosses.join(" "), "hint"));
  if (line.correction) {
    const was = line.glosses.map((sign) => sign.gloss).join(" ");
    item.append(make("span", t("Corrected. Recognised was: {sentence} ({signs})", { sentence: line.sentence || t("nothing"), signs: was || t("no sign") }), "hint"));
  }

  async function send(body) {
    const changed = await ask(`/api/history/${session.id}/lines/${line.number}`, { method: "PATCH", body });
    const next = lineOf(session, changed);
    item.replaceWith(next);
    next.querySelector("button").focus();
    say(el("history-search"), body.sentence === null ? t("The correction is taken back.") : t("Corrected. What was recognised is kept beside it."));
  }

  function open() {
    const form = document.createElement("form");
    const id = `line-${session.id}-${line.number}`;
    const field = (name, title, value) => {
      const label = make("label", title);
      const input = document.createElement("input");
      Object.assign(input, { type: "text", id: `${id}-${name}`, value, maxLength: 2000 });
      label.htmlFor = input.id;
      form.append(label, input);
      return input;
    };
    const words = field("sentence", t("What was signed, in English"), sentence);
    const signs = field("glosses", t("The signs"), glosses.join(" "));
    words.required = true;
    const submit = make("button", t("Save"), "small");
    const actions = make("div", "", "actions");
    actions.append(submit, button(t("Cancel"), "plain small", "", () => {
      item.replaceChildren(...shown);
      edit.focus();
    }));
    if (line.correction) {
      actions.append(button(t("Take the correction back"), "plain small", "", (node) => act(node, () => send({ sentence: null, glosses: null }))));
    }
    form.append(actions);
    onSubmit(form, () => send({
      sentence: words.value.trim(), glosses: signs.value.trim() ? signs.value.trim().toUpperCase().split(/[\s,]+/) : [],
    }));
    const shown = [...item.childNodes];
    item.replaceChildren(form);
    words.focus();
  }
  return item;
}
