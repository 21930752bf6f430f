// Credits and plan: what is left, what was used, other plans, the subscription at Stripe.

import { act, onClick, tell } from "./acting.js";
import { atMinute, el, make, number, onDay } from "./dom.js";
import { ask, query } from "./session.js";
import { inWords, plotUsage } from "./usage_plot.js";
import { showCredits } from "./who.js";
import { plural, t } from "./texts.js";

const KINDS = {
  grant: "of the month", expire: "expired", debit: "used", adjust: "by an admin", refund: "taken back after a refund",
};
const SOURCES = { live: "live captions", clip: "a file" };
let before = null; // the page of the ledger that comes next

export async function showPlan(known) {
  const charging = known?.charging ?? false;
  el("plan").hidden = !charging;
  document.querySelector("[data-charging]").hidden = !charging;
  if (charging) await load(known.payments).catch((problem) => tell(el("portal"), problem));
}

async function load(payments) {
  const [usage, { plans, credits_per_second: rates }] = await Promise.all([ask("/api/billing/usage"), ask("/api/billing/plans")]);
  const { credits, subscription } = usage;
  const mine = plans.find((plan) => plan.name === credits.plan) ?? { title: credits.plan, monthly_credits: 0 };
  el("plan-credits").textContent = number(credits.available);
  showCredits(credits.available);
  el("plan-name").textContent = mine.title;
  el("plan-today").textContent = minutes(credits.today_left_s / 60);
  el("plan-about").textContent = [about(subscription), price(rates),
    credits.reserved ? t("{n} more are held for what is running.", { n: number(credits.reserved) }) : ""].filter(Boolean).join(" ");
  const bought = subscription?.source === "stripe" && ["active", "trialing", "past_due", "unpaid"].includes(subscription.status);
  el("portal").hidden = !payments || !bought;
  el("plans").replaceChildren(...plans.map((plan) => card(plan, plan === mine,
    plan.can_be_bought && !bought && plans.indexOf(plan) > plans.indexOf(mine))));
  el("plans-hint").textContent = payments ? "" : t("This service takes no payments. The people who run it can give you another plan.");
  plotUsage(el("usage-plot"), usage.days);
  const days = usage.days.filter((day) => day.live || day.clip).reverse();
  el("usage-days").replaceChildren(...(days.length ? days.map(row) : [nothing(t("Nothing was used."), 4)]));
  if (el("ledger").open) await loadLedger(true);
}

const minutes = (count) => (count >= 1440 ? t("all day") : count >= 120 ? `${Math.floor(count / 60)} h` : `${Math.floor(count)} min`);

const price = ({ live, clip }) => (live === clip ? t("A second of captions costs {credits}.", { credits: live === 1 ? t("1 credit") : t("{n} credits", { n: live }) })
  : t("A second of live captions costs {live}, of a file {clip} credits.", { live, clip }));

function about(subscription) {
  if (!subscription) return "";
  if (subscription.source === "admin") return t("The plan was given by an admin.");
  const until = subscription.period_end && onDay(subscription.period_end);
  if (subscription.status === "past_due") return t("The last payment failed. Manage the subscription to pay it.");
  if (!until || subscription.status !== "active") return "";
  return subscription.ends_at_period_end ? t("The subscription ends on {until}.", { until }) : t("It is paid until {until} and renews then.", { until });
}

function card(plan, current, buy) {
  const node = document.createElement("li");
  if (current) node.setAttribute("aria-current", "true");
  const sessions = plural(plan.concurrent_sessions, "1 live session", "{n} live sessions");
  node.append(make("strong", current ? t("{plan} (yours)", { plan: plan.title }) : plan.title),
    make("p", t("{n} credits a month", { n: number(plan.monthly_credits) })),
    make("p", t(plan.minutes_a_day >= 1440 ? "{sessions} at once, {time}, files up to {mb} MB" : "{sessions} at once, {time} a day, files up to {mb} MB", {
        sessions, time: minutes(plan.minutes_a_day), mb: number(plan.upload_mb),
      }), "hint grow"));
  if (buy) {
    const button = make("button", t("Choose {plan}", { plan: plan.title }), "small");
    button.type = "button";
    button.addEventListener("click", () => act(button, async () => {
      location.assign((await ask("/api/billing/checkout", { method: "POST", body: { plan: plan.name } })).url);
    }));
    node.append(button);
  }
  return node;
}

function row(day) {
  const node = document.createElement("tr");
  const name = make("th", inWords(day.day));
  name.scope = "row";
  node.append(name, ...[day.live, day.clip, Math.ceil(day.seconds)].map((value) => make("td", number(value), "number")));
  return node;
}

function nothing(text, columns) {
  const node = document.createElement("tr");
  const cell = make("td", text, "hint-cell");
  cell.colSpan = columns;
  node.append(cell);
  return node;
}

onClick(el("portal"), async () => {
  location.assign((await ask("/api/billing/portal", { method: "POST" })).url);
});

// -- the ledger ------------------------------------------------------------------------------------------------------

async function loadLedger(again) {
  const page = await ask(`/api/billing/ledger${query({ limit: 50, before: again ? null : before })}`);
  before = page.before;
  el("ledger-more").hidden = before === null;
  const rows = page.entries.map((entry) => {
    const node = document.createElement("tr");
    const what = [KINDS[entry.kind] && t(KINDS[entry.kind]), SOURCES[entry.source] && t(SOURCES[entry.source]), entry.reason].filter(Boolean).join(", ");
    node.append(make("td", atMinute(entry.created_at), "when"), make("td", what), make("td", `${entry.amount > 0 ? "+" : "−"}${number(Math.abs(entry.amount))}`, "number"),
      make("td", number(entry.balance), "number"));
    return node;
  });
  if (again) el("ledger-entries").replaceChildren(...rows);
  else el("ledger-entries").append(...rows);
}

el("ledger").addEventListener("toggle", () => {
  if (el("ledger").open) loadLedger(true).catch((problem) => tell(el("ledger"), problem));
});
onClick(el("ledger-more"), () => loadLedger(false));
