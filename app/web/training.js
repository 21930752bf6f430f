// The training page: jobs, a form, the curves and the log of one job, and the active recogniser.

import { act, ask, follow, keep, Refused } from "./api.js";
import { chart, short } from "./chart.js";
import { atMinute, complain, el, make, percent } from "./dom.js";
import { problemWords } from "./problem_texts.js";
import { language, onLanguage, t } from "./texts.js";

const ACTIVE = ["queued", "starting", "running", "stopping"];
const PAGE = 10;
const LOG_CHARACTERS = 200_000;
const chosen = { id: null, attempt: 0, lines: [], next: 0, stop: null };
let shown = PAGE;

// -- errors -------------------------------------------------------------------------------------------------------

function report(problem) {
  el("door").hidden = problem.status !== 401;
  if (problem.status === 401 || problem.status === 403) el("all").hidden = true;
  if (problem.status === 401 && !el("token").value) el("problem").hidden = true;
  else if (problem instanceof Refused) complain(el("problem"), ...problemWords(problem.code, problem.title, problem.message));
  else complain(el("problem"), t("The service did not answer"), t("It may be shutting down. This page keeps trying."));
}

async function trying(work) {
  try {
    const answer = await work();
    el("problem").hidden = true;
    return answer;
  } catch (problem) {
    report(problem);
    return null;
  }
}

// -- jobs -----------------------------------------------------------------------------------------------------------

function progressOf({ step, steps, epoch, epochs }) {
  if (step === null || step === undefined) return "";
  const parts = [steps ? t("step {step} of {steps}", { step, steps }) : t("step {step}", { step })];
  if (epochs) parts.push(t("epoch {epoch} of {epochs}", { epoch: epoch ?? 0, epochs }));
  return parts.join(", ");
}

function stateOf(state) {
  const node = make("span", t(state), "state");
  node.dataset.state = state;
  return node;
}

const time = (text) => (text ? atMinute(text) : "");

// Rows are changed in place: replacing them would lose the keyboard focus.
function rows(body, items, fill) {
  const old = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const now = items.map((item) => {
    const row = old.get(item.id) ?? document.createElement("tr");
    const text = JSON.stringify([item, chosen.id === item.id, language]);
    if (row.dataset.text !== text) {
      const focused = row.contains(document.activeElement);
      row.dataset.id = item.id;
      row.dataset.text = text;
      row.replaceChildren(...fill(item, row));
      if (focused) row.querySelector("button")?.focus();
    }
    return row;
  });
  if (now.length !== body.children.length || now.some((row, i) => row !== body.children[i])) {
    const focused = document.activeElement;
    body.replaceChildren(...now);
    if (body.contains(focused)) focused.focus();
  }
}

function cell(...content) {
  const node = document.createElement("td");
  node.append(...content);
  return node;
}

async function loadJobs() {
  const { jobs, total } = await ask(`/jobs?limit=${shown}`);
  el("no-jobs").hidden = total > 0;
  el("jobs-table").hidden = total === 0;
  el("older").hidden = total <= shown;
  rows(el("jobs"), jobs, (job, row) => {
    if (job.id === chosen.id) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    const open = make("button", job.id, "link");
    open.type = "button";
    open.addEventListener("click", () => choose(job.id, true));
    return [cell(open), cell(stateOf(job.state)), cell(progressOf(job.progress) || "–"),
      cell(time(job.started_at ?? job.created_at))];
  });
  const listed = jobs.find((job) => job.id === chosen.id);
  if (listed) showJob(listed);
  else if (chosen.id) showJob(await ask(`/jobs/${chosen.id}`));
}

// -- one job --------------------------------------------------------------------------------------------------------

function choose(id, focus) {
  if (chosen.id !== id) {
    chosen.stop?.abort();
    Object.assign(chosen, { id, attempt: 0, lines: [], next: 0, stop: null });
    el("log").textContent = "";
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  }
  el("job").hidden = false;
  el("job-title").textContent = t("Job {id}", { id });
  if (focus) el("job-title").focus();
  return trying(refresh);
}

function showJob(job) {
  el("job-state").textContent = t(job.state);
  el("job-state").dataset.state = job.state;
  const { step, steps } = job.progress;
  el("progress-text").textContent = progressOf(job.progress) || t("No step yet");
  el("progress").hidden = !steps;
  if (steps) el("progress").value = step / steps;
  el("reason").textContent = job.reason ?? "";
  el("reason").hidden = !job.reason;
  button("stop", ACTIVE.includes(job.state) && job.state !== "stopping");
  button("resume", job.resumable);
  if (job.attempt !== chosen.attempt) {
    Object.assign(chosen, { attempt: job.attempt, lines: [], next: 0 });
    chosen.stop?.abort();
    chosen.stop = new AbortController();
    el("log").textContent = "";
    follow(job.id, chosen.stop.signal, (kind, data) => (kind === "log" ? addLog(data.text) : trying(refresh)));
  }
}

function button(name, wanted) {
  if (!wanted && document.activeElement === el(name)) el("job-title").focus();
  el(name).hidden = !wanted;
}

function addLog(text) {
  const log = el("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.textContent = (log.textContent + text).slice(-LOG_CHARACTERS);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// One at a time: two at once would read the same lines.
let reading = Promise.resolve();
function loadNumbers() {
  reading = reading.catch(() => {}).then(readNumbers);
  return reading;
}

async function readNumbers() {
  const { id, attempt } = chosen;
  if (!id) return;
  for (let more = true; more;) {
    const found = await ask(`/jobs/${id}/metrics?since=${chosen.next}`);
    if (chosen.id !== id || found.attempt !== attempt) return;
    chosen.lines.push(...found.lines);
    chosen.next = found.next;
    more = found.more;
  }
  drawNumbers();
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function series(key, name) {
  const points = chosen.lines.filter((line) => isNumber(line.step) && isNumber(line[key]));
  return { name, points: points.map((line) => [line.step, line[key]]) };
}

function drawNumbers() {
  chart(el("loss"), t("Loss"), [series("ctc", "CTC"), series("aux", t("auxiliary"))]);
  chart(el("wer"), t("Word error rate on dev"), [series("wer", "WER")], percent);
  const keys = ["step", "epoch", "lr", "ctc", "aux", "wer"].filter((key) => chosen.lines.some((line) => isNumber(line[key])));
  const head = document.createElement("tr");
  head.append(...keys.map((key) => {
    const title = make("th", { step: t("Step"), epoch: t("Epoch"), lr: t("Learning rate"), ctc: "CTC", aux: t("Auxiliary"), wer: "WER" }[key]);
    title.scope = "col";
    return title;
  }));
  el("numbers-head").replaceChildren(head);
  el("numbers-body").replaceChildren(...chosen.lines.filter((line) => isNumber(line.step)).slice(-400).reverse()
    .map((line) => {
      const row = document.createElement("tr");
      row.append(...keys.map((key) => make("td", !isNumber(line[key]) ? "" : key === "wer" ? percent(line[key]) : short(line[key]))));
      return row;
    }));
}

async function doing(name, path, done) {
  el(name).disabled = true;
  const job = await trying(() => act(path));
  el(name).disabled = false;
  if (!job) return;
  el("notice").textContent = t(done, { id: chosen.id });
  await trying(refresh);
}

el("stop").addEventListener("click", () => doing("stop", `/jobs/${chosen.id}/stop`, "Job {id} is being stopped."));
el("resume").addEventListener("click", () => doing("resume", `/jobs/${chosen.id}/resume`, "Job {id} was resumed."));
el("older").addEventListener("click", () => { shown = Math.min(200, shown + 4 * PAGE); trying(loadJobs); });

// -- recognisers ----------------------------------------------------------------------------------------------------

// Why a recogniser cannot be used here, for those who want to know.
function whyNot(problem) {
  const why = make("details", "");
  const text = make("p", problem, "hint");
  text.lang = "en";
  why.append(make("summary", t("cannot be used here")), text);
  return why;
}

async function loadCheckpoints() {
  const { checkpoints } = await ask("/checkpoints");
  rows(el("checkpoints"), checkpoints, (found) => {
    const name = make("th", found.id);
    name.scope = "row";
    let state = make("td", t("active"), "yes");
    if (!found.active && found.problem) state = cell(whyNot(found.problem));
    else if (!found.active) {
      const use = make("button", t("Activate"), "plain small");
      use.type = "button";
      use.setAttribute("aria-label", t("Activate {id}", { id: found.id }));
      use.addEventListener("click", () => activate(found.id, use));
      state = cell(use);
    }
    return [name, cell(found.source === "run" ? t("a job") : t("this service")), cell(found.glosses ? String(found.glosses.length) : "–"),
      cell(found.wer === null ? "–" : percent(found.wer)), state];
  });
}

async function activate(id, use) {
  use.disabled = true;
  const done = await trying(() => act(`/checkpoints/${encodeURIComponent(id)}/activate`));
  use.disabled = false;
  if (!done) return;
  const open = done.live_sessions;
  el("notice").textContent = [t("{id} is now active.", { id }),
    open ? t("Open live sessions finish on the previous recogniser: {open}.", { open }) : ""].join(" ");
  await trying(loadCheckpoints);
  el("checkpoints-title").tabIndex = -1;
  el("checkpoints-title").focus();
}

// -- the form -------------------------------------------------------------------------------------------------------

function options(select, names) {
  if ([...select.options].map((option) => option.value).join("/") === names.join("/")) return;
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before)) select.value = before;
}

let descriptions = {};

function describeConfig() {
  el("config-about").textContent = descriptions[el("config").value] ?? "";
}

el("config").addEventListener("change", describeConfig);

async function loadChoices() {
  const { datasets, configs, config_descriptions } = await ask("/status");
  options(el("dataset"), datasets);
  options(el("config"), configs);
  descriptions = config_descriptions;
  describeConfig();
  const ready = datasets.length > 0 && configs.length > 0;
  el("begin").disabled = !ready;
  el("nothing-to-train").hidden = ready;
  el("nothing-to-train").textContent = datasets.length ? t("The service has no config in CONFIGS_DIR.")
    : t("There is no dataset yet: put one into the service’s DATASETS_DIR.");
}

el("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = { dataset: el("dataset").value, config: el("config").value, device: el("device").value };
  for (const name of ["num_epochs", "batch_size", "learning_rate", "nproc"]) {
    if (el(name).value !== "") body[name] = Number(el(name).value);
  }
  if (el("gpu_sharing").value) body.gpu_sharing = el("gpu_sharing").value;
  el("begin").disabled = true;
  const job = await trying(() => ask("/start", body));
  el("begin").disabled = false;
  if (!job) return;
  el("notice").textContent = t("Job {id} was started.", { id: job.id });
  await choose(job.id, true);
});

el("door").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(el("token").value);
  trying(everything);
});

// -- loading --------------------------------------------------------------------------------------------------------

async function refresh() {
  await loadJobs();
  await loadNumbers();
}

async function everything() {
  await loadChoices();
  el("door").hidden = true;
  el("all").hidden = false;
  await refresh();
  await loadCheckpoints();
}

onLanguage(() => {
  if (chosen.id) el("job-title").textContent = t("Job {id}", { id: chosen.id });
  drawNumbers();
  trying(everything);
});

const asked = decodeURIComponent(location.hash.slice(1));
await trying(everything);
if (asked && !el("all").hidden) await choose(asked, false);
setInterval(() => { if (!document.hidden && !el("all").hidden) trying(refresh); }, 3000);
setInterval(() => { if (!document.hidden && !el("all").hidden) trying(everything); }, 15000);
