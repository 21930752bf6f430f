// Draws the prototype signer: a simple figure that makes a sign. Points as in skeleton.js, hands apart.

const SHIRT = "#2f6f7e", SKIN = "#efb794", HAIR = "#4a2c22", EDGE = "#3b2018", GROUND = "#e6edec";
const FINGERS = [1, 5, 9, 13, 17].map((first) => [0, first, first + 1, first + 2, first + 3]);
const PALM = [0, 1, 5, 9, 13, 17];

function path(points, closed = false) {
  const way = new Path2D();
  points.forEach(([x, y], i) => (i ? way.lineTo(x, y) : way.moveTo(x, y)));
  if (closed) way.closePath();
  return way;
}

// A line of this thickness with a thin dark outline, so that fingers stand out from each other.
function limb(pen, points, thickness, colour) {
  const way = path(points);
  for (const [style, width] of [[EDGE, thickness + Math.max(1.5, thickness * 0.12)], [colour, thickness]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.stroke(way);
  }
}

function filled(pen, shape, colour) {
  pen.fillStyle = colour;
  pen.strokeStyle = EDGE;
  pen.lineWidth = 1.5;
  pen.fill(shape);
  pen.stroke(shape);
}

function head(pen, at, unit) {
  const middle = (at(7)[0] + at(8)[0]) / 2, height = at(0)[1] - 0.02 * unit;
  const oval = (x, y, wide, high) => {
    const shape = new Path2D();
    shape.ellipse(x, y, wide * unit, high * unit, 0, 0, 2 * Math.PI);
    return shape;
  };
  filled(pen, oval(middle, height - 0.06 * unit, 0.225, 0.27), HAIR);
  filled(pen, oval(middle, height + 0.01 * unit, 0.195, 0.25), SKIN);
  pen.fillStyle = EDGE;
  for (const eye of [2, 5]) pen.fill(oval(at(eye)[0], at(eye)[1] + 0.02 * unit, 0.02, 0.02));
  const mouth = new Path2D();
  mouth.moveTo(middle - 0.07 * unit, at(9)[1]);
  mouth.quadraticCurveTo(middle, at(9)[1] + 0.05 * unit, middle + 0.07 * unit, at(9)[1]);
  pen.lineWidth = 2;
  pen.stroke(mouth);
}

function hand(pen, points, unit) {
  filled(pen, path(PALM.map((i) => points[i]), true), SKIN);
  limb(pen, PALM.slice(2).map((i) => points[i]), 0.05 * unit, SKIN);
  for (const finger of FINGERS) limb(pen, finger.map((i) => points[i]), 0.06 * unit, SKIN);
  pen.fillStyle = SKIN;
  pen.fill(path(PALM.map((i) => points[i]), true));
}

export function drawFigure(canvas, { pose, left, right }) {
  const { width, height } = canvas;
  const pen = canvas.getContext("2d");
  const on = ([x, y]) => [x * width, y * height];
  const at = (i) => on(pose[i]);
  const unit = Math.hypot(at(11)[0] - at(12)[0], at(11)[1] - at(12)[1]);
  pen.lineCap = pen.lineJoin = "round";
  pen.fillStyle = GROUND;
  pen.fillRect(0, 0, width, height);
  const neck = [(at(11)[0] + at(12)[0]) / 2, (at(11)[1] + at(12)[1]) / 2];
  limb(pen, [[neck[0], neck[1] - 0.35 * unit], neck], 0.22 * unit, SKIN);
  const hips = [24, 23].map((i) => [at(i)[0], Math.max(at(i)[1], height * 1.05)]);
  pen.lineWidth = 0.2 * unit;
  pen.strokeStyle = pen.fillStyle = SHIRT;
  const trunk = path([at(11), at(12), ...hips], true);
  pen.stroke(trunk);
  pen.fill(trunk);
  head(pen, at, unit);
  for (const [shoulder, elbow, wrist] of [[11, 13, 15], [12, 14, 16]]) {
    const [from, to] = [at(elbow), at(wrist)];
    limb(pen, [from, to], 0.13 * unit, SKIN);
    const cuff = [0, 1].map((i) => from[i] + (to[i] - from[i]) * 0.35);
    limb(pen, [at(shoulder), from, cuff], 0.2 * unit, SHIRT);
  }
  for (const points of [left, right]) if (points.some(([x, y]) => x || y)) hand(pen, points.map(on), unit);
}
