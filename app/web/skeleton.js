// Draws landmarks over the image they were found in: 33 pose points, 21 of the left hand, 21 of the right.

const chain = (...points) => points.slice(1).map((point, i) => [points[i], point]);
const hand = (first) => [1, 5, 9, 13, 17].flatMap((finger) =>
  chain(first, ...[0, 1, 2, 3].map((joint) => first + finger + joint)));
// Nothing over the face: it is not read, and people read lips.
const PARTS = [
  { colour: "#f5f2ff", bones: [[11, 12], [11, 23], [12, 24], [23, 24]] },
  { colour: "#4fd6ff", bones: [...chain(11, 13, 15), ...hand(33)] }, // the signer's left
  { colour: "#ffc24a", bones: [...chain(12, 14, 16), ...hand(54)] }, // the signer's right
];
const POSE_POINTS = 33;
const SURE = 0.3; // pose points less visible than this are guesses outside the image or behind the body

const seen = (points, i) => points[i][2] >= (i < POSE_POINTS ? SURE : 0.5);

export function wipe(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// The canvas has the image's aspect ratio and covers it, so fractions of the image are fractions of the canvas.
// under: the image itself, if it is to be drawn too.
export function draw(canvas, points, under = null) {
  const { width, height } = canvas;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, width, height);
  if (under) pen.drawImage(under, 0, 0, width, height);
  pen.lineCap = pen.lineJoin = "round";
  for (const { colour, bones } of PARTS) {
    const path = new Path2D();
    for (const [a, b] of bones) {
      if (!seen(points, a) || !seen(points, b)) continue;
      path.moveTo(points[a][0] * width, points[a][1] * height);
      path.lineTo(points[b][0] * width, points[b][1] * height);
    }
    // A dark outline keeps the lines visible both on skin and on a white wall.
    for (const [style, thickness] of [["rgba(20, 16, 30, 0.65)", 0.009], [colour, 0.0045]]) {
      pen.strokeStyle = style;
      pen.lineWidth = thickness * Math.hypot(width, height);
      pen.stroke(path);
    }
  }
}
