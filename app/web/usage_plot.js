// Credits used on each of the last 30 days, as bars in SVG; the table beside it has the same numbers.

import { shape, ticks } from "./chart.js";
import { make, number } from "./dom.js";
import { language, t } from "./texts.js";

const WIDTH = 600, HEIGHT = 220, LEFT = 58, RIGHT = 4, TOP = 10, BOTTOM = 26;
const KINDS = [["live", "live captions"], ["clip", "files"]];

export const inWords = (day) => new Date(`${day}T00:00Z`).toLocaleDateString(language === "en" ? "en-GB" : language, {
  day: "numeric", month: "short", timeZone: "UTC",
});

// days: oldest first, those without usage too.
export function plotUsage(figure, days) {
  const total = days.reduce((sum, day) => sum + day.live + day.clip, 0);
  const most = days.reduce((best, day) => (day.live + day.clip > best.live + best.clip ? day : best));
  const said = total === 0 ? t("Nothing was used in the last 30 days.")
    : t("{n} credits in the last 30 days, most on {day}: {most}.", { n: number(total), day: inWords(most.day), most: number(most.live + most.clip) });
  const scale = ticks(0, Math.max(4, most.live + most.clip)), high = scale.at(-1);
  const y = (value) => HEIGHT - BOTTOM - (value / high) * (HEIGHT - TOP - BOTTOM);
  const step = (WIDTH - LEFT - RIGHT) / days.length;
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("Bars: {said}", { said }) });
  for (const value of scale) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      shape("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)));
  }
  days.forEach((day, i) => {
    let from = 0;
    for (const [kind, name] of KINDS) {
      if (!day[kind]) continue;
      const bar = shape("rect", {
        class: kind, x: LEFT + i * step + 1.5, width: step - 3, y: y(from + day[kind]), height: y(from) - y(from + day[kind]),
      });
      bar.append(shape("title", {}, t("{day}: {n} credits for {name}", { day: inWords(day.day), n: number(day[kind]), name: t(name) })));
      svg.append(bar);
      from += day[kind];
    }
    if ((days.length - 1 - i) % 7 === 0) {
      svg.append(shape("text", { x: LEFT + (i + 0.5) * step, y: HEIGHT - 8, "text-anchor": i + 1 === days.length ? "end" : "middle" },
        inWords(day.day)));
    }
  });
  const legend = make("ul", "", "legend");
  legend.append(...KINDS.map(([kind, name]) => make("li", t(name), kind)));
  figure.replaceChildren(svg, legend, make("figcaption", said, "hint"));
}
