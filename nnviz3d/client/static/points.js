/** Drawing of `Points`: each is a square that faces the camera, on which a shader draws an opaque lit ball. */

import { vecDot } from "./camera.js";
import { Mesh } from "./gl.js";
import { extentOfPoints, quadTriangles } from "./lines.js";
import { SHADERS } from "./shaders.js";

const BALL_VERTEX = `${SHADERS["points.head.vert.glsl"]}
void main()
{
  vec4 vertexMC = vec4(center, 1.0);
  vec3 ballCorner = vec3(squareCorner(), ballSize);
${SHADERS["points.vert.glsl"]}}
`;
const BALL_FRAGMENT = `${SHADERS["points.head.frag.glsl"]}
void main()
{
${SHADERS["points.frag.glsl"]}}
`;

/** Most points of a cloud in a coarse picture. */
const MOST_COARSE_POINTS = 60000;
const counted = new WeakMap();

/** Return the numbers 0 to count - 1, of which the first are chosen at random, always the same ones. */
export function chosenFirst(count, chosen) {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1;
  for (let i = 0; i < chosen; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = i + Math.floor((state / 2 ** 32) * (count - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Return a draw list for a coarse picture: if it has fewer points, a panel says how many. */
export function withCountOfPoints(drawList) {
  const counts = drawList.primitives.filter(({ kind }) => kind === "Points").map(({ points }) => points.shape[0]);
  if (!counts.some((count) => count > MOST_COARSE_POINTS)) return drawList;
  if (!counted.has(drawList)) {
    const all = counts.reduce((sum, count) => sum + count, 0);
    const drawn = counts.reduce((sum, count) => sum + Math.min(count, MOST_COARSE_POINTS), 0);
    const [some, of] = [drawn, all].map((count) => count.toLocaleString("en"));
    const text = `${some} of ${of} points are drawn while the picture moves`;
    const taken = drawList.primitives.filter(({ kind }) => kind === "Panel").map(({ corner }) => corner);
    // In a free corner it moves no other panel.
    const corner = ["bottom-right", "top-right", "top-left"].find((one) => !taken.includes(one)) ?? "bottom-right";
    const panel = { kind: "Panel", name: "fewer points", corner, rows: [{ kind: "TextRow", text, style: "quiet" }] };
    counted.set(drawList, { ...drawList, primitives: [...drawList.primitives, panel] });
  }
  return counted.get(drawList);
}

/** Return numbers, some for each thing, as often as each thing has vertices. */
export function repeated(data, components, times) {
  const found = new data.constructor(data.length * times);
  for (let from = 0, to = 0; from < data.length; from += components) {
    for (let k = 0; k < times; ++k) for (let i = 0; i < components; ++i) found[to++] = data[from + i];
  }
  return found;
}

/** Draws `Points`. Only changed arrays are uploaded. */
export class PointsDrawer {
  constructor(graphics) {
    this.gl = graphics.gl;
    this.program = graphics.program(BALL_VERTEX, BALL_FRAGMENT);
    this.squares = new Mesh(this.gl);
  }

  update(cloud) {
    const before = this.cloud;
    this.cloud = cloud;
    const count = cloud.points.shape[0];
    if (before?.points.shape[0] !== count) {
      const order = count > MOST_COARSE_POINTS ? chosenFirst(count, MOST_COARSE_POINTS) : null;
      this.squares.triangles(quadTriangles(count, order));
    }
    if (before?.points !== cloud.points) {
      this.#write("center", cloud.points.data, 3);
      this.extent = extentOfPoints(cloud.points.data);
    }
    if (before?.sizes !== cloud.sizes) this.#write("ballSize", cloud.sizes.data, 1);
    if (before?.colors !== cloud.colors) this.#write("ballColor", cloud.colors.data, 4);
    if (before === undefined || before.rings !== cloud.rings || before.points.shape[0] !== count) {
      this.#write("ringColor", cloud.rings?.data ?? new Float32Array(4 * count), 4);
    }
    this.visible = count > 0;
  }

  #write(name, data, components) {
    this.squares.attribute(this.program.attribute(name), repeated(data, components, 4), components);
  }

  draw(view) {
    const { position, ahead, size } = view.eye;
    const { data } = this.cloud.points;
    const offset = vecDot(position, ahead);
    let [nearest, farthest] = [Infinity, -Infinity];
    for (let i = 0; i < data.length; i += 3) {
      const away = data[i] * ahead[0] + data[i + 1] * ahead[1] + data[i + 2] * ahead[2] - offset;
      nearest = Math.min(nearest, away);
      farthest = Math.max(farthest, away);
    }
    this.program.use();
    this.program.set({
      MCDCMatrix: view.matrix,
      pixelShare: size.map((length) => view.scale / length),
      nearestBall: nearest,
      farthestBall: farthest,
      farthestHaze: this.cloud.haze,
      groundColor: view.ground,
    });
    this.squares.draw(view.coarse ? 6 * MOST_COARSE_POINTS : undefined);
  }

  remove() {
    this.squares.remove();
  }
}
