// A line chart as SVG: a few series over steps, two axes, no library. The table below it has the same numbers.

import { t } from "./texts.js";

const WIDTH = 480, HEIGHT = 220, LEFT = 44, RIGHT = 12, TOP = 8, BOTTOM = 28;
const SVG = "http://www.w3.org/2000/svg";
const STYLES = ["first", "second"];

export function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Round numbers that span low..high in about four steps.
export function ticks(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => span / size <= 5);
  const found = [];
  for (let i = Math.floor(low / step); i * step <= high + step * 0.999; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

export const short = (value) => (Math.abs(value) >= 10000 ? value.toExponential(1) : String(Number(value.toPrecision(4))));

// series: [{name, points: [[step, value], ...]}], at most two; show: how a value is written.
export function chart(box, title, series, show = short) {
  const drawn = series.filter(({ points }) => points.length);
  if (!drawn.length) {
    const nothing = document.createElement("p");
    nothing.className = "hint";
    nothing.textContent = t("No numbers yet.");
    box.replaceChildren(nothing);
    return;
  }
  const all = drawn.flatMap(({ points }) => points);
  const steps = all.map(([step]) => step), values = all.map(([, value]) => value);
  const ys = ticks(Math.min(0, ...values), Math.max(...values));
  const [low, high] = [ys[0], ys.at(-1)];
  const first = Math.min(...steps), last = Math.max(...steps, first + 1);
  const x = (step) => LEFT + ((step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const said = drawn.map(({ name, points }) => {
    const [step, value] = points.at(-1);
    const lowest = show(Math.min(...points.map((point) => point[1])));
    return t("{name} is {value} at step {step}, lowest {lowest}", { name, value: show(value), step, lowest });
  });
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${said.join("; ")}.` });
  for (const value of ys) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, show(value)));
  }
  for (const step of ticks(first, last).filter((step) => step >= first && step <= last && Number.isInteger(step))) {
    svg.append(shape("text", { x: x(step), y: HEIGHT - 8, "text-anchor": "middle" }, short(step)));
  }
  const legend = document.createElement("ul");
  legend.className = "legend";
  drawn.forEach(({ name, points }, i) => {
    const places = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    svg.append(shape("polyline", { class: `line ${STYLES[i]}`, points: places.join(" ") }));
    if (points.length <= 60) {
      for (const [step, value] of points) {
        svg.append(shape("circle", { class: `dot ${STYLES[i]}`, cx: x(step), cy: y(value), r: 3 }));
      }
    }
    const item = document.createElement("li");
    item.className = STYLES[i];
    const text = document.createElement("span");
    text.textContent = ` ${name}: ${show(points.at(-1)[1])}`;
    item.append(i ? "┅" : "━", text);
    legend.append(item);
  });
  box.replaceChildren(svg, legend);
}
