// Marks of a pick, as the Python module scene.views.marks makes them: frames, a glowing line, and a callout.

const BRIGHT = [0.93, 0.98, 1.0];
const POSITIVE_LINE = [1.0, 0.62, 0.3];
const NEGATIVE_LINE = [0.36, 0.66, 1.0];
const LIFT = 0.03; // Distance of a frame from its cell, as a share of the cell's shortest side.
const SHORT_NUMBER = 24; // Letters of a number that is too long for large type.
const FRAME_EDGES = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((a) => [1, 2, 4].filter((bit) => !(a & bit)).map((bit) => [a, a | bit]));

function linesOf(name, points, shape, color, width) {
  const [count] = shape;
  const colors = { data: Float32Array.from({ length: 4 * count }, (_, k) => color[k % 4]), shape: [count, 4] };
  const plain = { opacity: 1, ends: null, source: null, avoided: false };
  return { kind: "Lines", name, points: { data: Float32Array.from(points), shape }, colors, width, ...plain };
}

/** Return the edges of boxes that are slightly larger than the spans. */
export function framesOf(spans) {
  const points = spans.flatMap(({ origin, size }) => {
    const lift = LIFT * Math.min(...size);
    // Corners are counted by z, then y, then x.
    const corner = (k) => [2, 1, 0].map((bit, axis) => origin[axis] - lift + ((k >> bit) & 1) * (size[axis] + 2 * lift));
    return FRAME_EDGES.flatMap(([a, b]) => [...corner(a), ...corner(b)]);
  });
  return linesOf("pick/frames", points, [points.length / 6, 2, 3], [...BRIGHT, 1], 1.8);
}

/** Return the edges of rectangles, each given by a corner and the vectors of two sides. */
export function rectanglesOf(sides) {
  const points = sides.flatMap(([at, a, b]) => {
    const corner = (i, j) => at.map((low, axis) => low + i * a[axis] + j * b[axis]);
    const around = [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1), corner(0, 0)];
    return [0, 1, 2, 3].flatMap((k) => [...around[k], ...around[k + 1]]);
  });
  return linesOf("pick/frames", points, [points.length / 6, 2, 3], [...BRIGHT, 1], 2.4);
}

/** Return the lines of a connection, brighter than all others, with a halo in its colour. */
export function glowOf(path, positive) {
  const color = positive ? POSITIVE_LINE : NEGATIVE_LINE;
  const halo = [
    [11, [...color, 0.16]],
    [6, [...color, 0.45]],
    [2.2, [...BRIGHT, 1]],
  ];
  const shape = [1, ...path.shape];
  return halo.map(([width, tint], k) => linesOf(`pick/glow/${k}`, path.data, shape, tint, width));
}

/**
 * Return the callout of a pick.
 * @param {object[]} spans The marked boxes.
 * @param {{title: string, value: string, parts: string[][], more: string[]}} facts As the Python class Facts.
 */
export function calloutOf(spans, { title, value, parts, more }, path = { data: new Float32Array(0), shape: [0, 3] }) {
  const text = (words, style) => ({ kind: "TextRow", text: words, style });
  const rows = [text(title, "text")];
  if (value) rows.push(text(value, [...value].length < SHORT_NUMBER ? "title" : "text"));
  rows.push(...parts.map(([key, number]) => ({ kind: "KeyRow", key, text: number })));
  rows.push(...more.map((words) => text(words, "quiet")));
  return { kind: "Callout", name: "pick", marks: spans, rows, path };
}
