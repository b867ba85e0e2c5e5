/** Drawing of `Surface`: an opaque mesh, lit from the upper left in front of it. */

import { vecDot, vecUnit } from "./camera.js";
import { Mesh } from "./gl.js";
import { colorBytes, extentOfPoints } from "./lines.js";
import { SHADERS } from "./shaders.js";

/** Unit vector from the surface towards the light. */
const LIGHT = vecUnit([-0.45, 0.75, 0.5]);
/** Brightness in full shade, relative to a part that faces the light. */
const AMBIENT = 0.42;

/** Return two triangles for each square of a grid `[m, n]` of heights whose corners are all finite. */
function surfaceTriangles({ data, shape: [m, n] }) {
  const found = [];
  for (let row = 0; row < m - 1; ++row) {
    for (let column = 0; column < n - 1; ++column) {
      const first = row * n + column;
      const corners = [first, first + 1, first + n, first + n + 1];
      if (!corners.every((at) => Number.isFinite(data[at]))) continue;
      found.push(first, first + n, first + 1, first + 1, first + n, first + n + 1);
    }
  }
  return Uint32Array.from(found);
}

/** Return the slope at a position of some numbers over rising places; beside a hole it is 0. */
function slopeAt(numbers, places, i) {
  const last = places.length - 1;
  const step = (k) => (numbers(k + 1) - numbers(k)) / (places[k + 1] - places[k]);
  let slope;
  if (i === 0) slope = step(0);
  else if (i === last) slope = step(last - 1);
  else {
    const [before, after] = [places[i] - places[i - 1], places[i + 1] - places[i]];
    slope = (step(i - 1) * after + step(i) * before) / (before + after);
    // As NumPy's second order formula, in which a hole at the position itself does not count for even steps.
    if (before === after) slope = (numbers(i + 1) - numbers(i - 1)) / (2 * before);
  }
  return Number.isFinite(slope) ? slope : 0;
}

/** Return the brightness of the light at each grid point (Lambert's cosine law). */
function surfaceShade({ along, across, heights }) {
  const [m, n] = heights.shape;
  const found = new Float64Array(m * n);
  for (let row = 0; row < m; ++row) {
    for (let column = 0; column < n; ++column) {
      let normal = [0, 1, 0];
      if (m > 1 && n > 1) {
        const right = slopeAt((k) => heights.data[row * n + k], along.data, column);
        const near = slopeAt((k) => heights.data[k * n + column], across.data, row);
        normal = vecUnit([-right, 1, -near]);
      }
      found[row * n + column] = AMBIENT + (1 - AMBIENT) * Math.min(Math.max(vecDot(normal, LIGHT), 0), 1);
    }
  }
  return found;
}

/** Draws a `Surface`. Nothing is uploaded while its arrays stay the same. */
export class SurfaceDrawer {
  constructor(graphics) {
    this.program = graphics.program(SHADERS["mesh.vert.glsl"], SHADERS["faces.frag.glsl"]);
    this.mesh = new Mesh(graphics.gl);
  }

  update(surface) {
    const before = this.surface;
    this.surface = surface;
    const used = ["along", "across", "heights", "colors"];
    if (before !== undefined && used.every((name) => before[name] === surface[name])) return;
    const { along, across, heights, colors } = surface;
    const [m, n] = heights.shape;
    const points = new Float32Array(m * n * 3);
    const fills = new Float32Array(m * n * 4).fill(1);
    const shade = surfaceShade(surface);
    for (let at = 0; at < m * n; ++at) {
      const height = heights.data[at];
      points.set([along.data[at % n], Number.isFinite(height) ? height : 0, across.data[Math.floor(at / n)]], at * 3);
      for (let k = 0; k < 3; ++k) fills[at * 4 + k] = colors.data[at * 3 + k] * shade[at];
    }
    const triangles = surfaceTriangles(heights);
    this.mesh.attribute(this.program.attribute("point"), points, 3);
    this.mesh.attribute(this.program.attribute("fill"), colorBytes(fills), 4);
    this.mesh.triangles(triangles);
    this.extent = extentOfPoints(points);
    this.visible = triangles.length > 0;
  }

  draw(view) {
    this.program.use();
    this.program.set({ matrix: view.matrix });
    this.mesh.draw();
  }

  remove() {
    this.mesh.remove();
  }
}
