/** Drawing of `Lines`, and of the straight lines that boxes and ridges have. */

import { Mesh } from "./gl.js";
import { SHADERS } from "./shaders.js";

/**
 * Return the indices of two triangles for each of some quads; each has four corners: left and right, then ahead.
 * @param {ArrayLike<number> | null} order The quads in the order in which they are drawn.
 */
export function quadTriangles(count, order = null) {
  const indices = new Uint32Array(count * 6);
  for (let i = 0; i < count; ++i) {
    const first = 4 * (order?.[i] ?? i);
    indices.set([first, first + 2, first + 1, first + 1, first + 2, first + 3], 6 * i);
  }
  return indices;
}

/** Most pieces of a polyline in a coarse picture. */
const COARSE_PIECES = 8;
/** Of lines with a lower opacity, of 255, a coarse picture has one of some, with the opacity of all of them. */
const FAINT = 16;
const FAINT_LINES_AS_ONE = 4;

/** Polylines with a width in pixels. Those of one pixel are lines of WebGL, wider ones are quads. */
export class Polylines {
  constructor(graphics) {
    this.gl = graphics.gl;
    this.thin = new ThinLines(graphics);
    this.wide = new WideLines(graphics);
  }

  /**
   * Set the points, three numbers each.
   *
   * @param {Float32Array} points
   * @param {number} length Points of each polyline.
   */
  place(points, length) {
    this.points = points;
    this.length = length;
    this.count = points.length / 3 / length;
    this.thin.placed = this.wide.placed = false;
  }

  /** Set the colours of all points: four bytes of each as one integer. */
  paint(colors) {
    this.colors = colors;
    this.thin.painted = this.wide.painted = false;
  }

  /** Draw the polylines, each over those before it. */
  draw(view, width, opacity, blended) {
    const gl = this.gl;
    // OpenGL rounds the width of a line.
    const whole = Math.max(1, Math.round(width));
    const form = whole > 1 ? this.wide : this.thin;
    if (!form.placed) form.place(this);
    if (!form.painted) form.paint(this);
    form.placed = form.painted = true;
    form.program.use();
    form.program.set({ matrix: view.matrix, size: view.eye.size, width: whole, opacity });
    if (blended) {
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      gl.depthMask(false);
    }
    form.draw(view);
    gl.disable(gl.BLEND);
    gl.depthMask(true);
  }

  remove() {
    this.thin.mesh.remove();
    this.thin.coarse.remove();
    this.wide.mesh.remove();
  }
}

/** Return the first and last point of each piece of polylines, joining points that are `stride` apart. */
function pieceEnds(count, length, stride) {
  const pieces = Math.ceil((length - 1) / stride);
  const ends = new Uint32Array(count * pieces * 2);
  for (let i = 0, to = 0; i < count; ++i) {
    for (let k = 0; k < length - 1; k += stride) {
      ends[to++] = i * length + k;
      ends[to++] = i * length + Math.min(k + stride, length - 1);
    }
  }
  return ends;
}

/** Return the colours of polylines in a coarse picture: those of opacity 0 are left out. */
function coarseColors(colors, length) {
  const found = colors.slice();
  let faint = [];
  for (let i = 0; i < colors.length; i += length) {
    if (colors[i] >>> 24 >= FAINT) continue;
    faint.push(i);
    if (faint.length < FAINT_LINES_AS_ONE) continue;
    const opacity = faint.reduce((sum, at) => sum + (colors[at] >>> 24), 0);
    faint.forEach((at, k) => found.fill(k ? 0 : (colors[at] & 0xffffff) | (opacity << 24), at, at + length));
    faint = [];
  }
  return found;
}

/** Polylines of one pixel. */
class ThinLines {
  constructor(graphics) {
    this.mesh = new Mesh(graphics.gl);
    this.coarse = new Mesh(graphics.gl);
    this.program = graphics.program(SHADERS["thin.vert.glsl"], SHADERS["pieces.frag.glsl"]);
  }

  place({ points, count, length }) {
    this.stride = Math.ceil((length - 1) / COARSE_PIECES);
    for (const mesh of [this.mesh, this.coarse]) mesh.attribute(this.program.attribute("point"), points, 3);
    this.mesh.lines(pieceEnds(count, length, 1));
    this.coarseEnds = pieceEnds(count, length, this.stride);
  }

  paint({ colors, length }) {
    const coarse = coarseColors(colors, length);
    this.mesh.attribute(this.program.attribute("fill"), new Uint8Array(colors.buffer), 4);
    this.coarse.attribute(this.program.attribute("fill"), new Uint8Array(coarse.buffer), 4);
    this.coarse.lines(this.coarseEnds.filter((end) => coarse[end] >>> 24 > 0));
  }

  draw({ coarse }) {
    (coarse ? this.coarse : this.mesh).draw();
  }
}

/** Polylines as quads. Each piece has four vertices of its own: software renderers draw many instances slowly. */
class WideLines {
  constructor(graphics) {
    this.mesh = new Mesh(graphics.gl);
    this.program = graphics.program(SHADERS["pieces.vert.glsl"], SHADERS["pieces.frag.glsl"]);
  }

  place({ points, count, length }) {
    this.ends = pieceEnds(count, length, 1);
    const places = new Float32Array(this.ends.length * 12);
    for (let i = 0, to = 0; i < this.ends.length; i += 2) {
      const piece = points.subarray(3 * this.ends[i], 3 * this.ends[i] + 6);
      for (let corner = 0; corner < 4; ++corner, to += 6) places.set(piece, to);
    }
    this.mesh.interleaved([this.program.attribute("begin"), this.program.attribute("end")], places, 3);
    this.mesh.triangles(quadTriangles(this.ends.length / 2));
  }

  paint({ colors }) {
    const each = Uint32Array.from({ length: this.ends.length * 2 }, (_, i) => colors[this.ends[i >> 1]]);
    this.mesh.attribute(this.program.attribute("fill"), new Uint8Array(each.buffer), 4);
  }

  draw() {
    this.mesh.draw();
  }
}

/** Return the bytes of colours, four for each, as integers. */
export function packedColors(bytes) {
  return new Uint32Array(bytes.buffer);
}

/** Return shares of 1 as bytes, as VTK does. */
export function colorBytes(shares) {
  return Uint8Array.from(shares, (one) => Math.floor(Math.min(Math.max(one, 0), 1) * 255 + 0.5));
}

/** Return the box that holds some points, three numbers each: smallest and largest corner. */
export function extentOfPoints(points) {
  const [low, high] = [Array(3).fill(Infinity), Array(3).fill(-Infinity)];
  for (let i = 0; i < points.length; ++i) {
    const one = points[i];
    if (one < low[i % 3]) low[i % 3] = one;
    if (one > high[i % 3]) high[i % 3] = one;
  }
  return [low, high];
}

/** Draws `Lines`. Changed colours do not upload the points. */
export class LinesDrawer {
  constructor(graphics) {
    this.polylines = new Polylines(graphics);
  }

  /** Lines are blended with what is behind them, so they are drawn after all that is opaque. */
  get blended() {
    return true;
  }

  update(lines) {
    const before = this.lines;
    this.lines = lines;
    const [n, p] = lines.points.shape;
    const moved = before === undefined || before.points !== lines.points;
    if (moved) {
      this.polylines.place(lines.points.data, p);
      this.extent = extentOfPoints(lines.points.data);
    }
    if (moved || before.colors !== lines.colors) {
      const bytes = packedColors(colorBytes(lines.colors.data));
      const colors = new Uint32Array(n * p);
      for (let i = 0; i < n; ++i) colors.fill(bytes[i], i * p, (i + 1) * p);
      this.polylines.paint(colors);
    }
    this.visible = lines.opacity > 0 && n > 0 && p > 1;
  }

  draw(view) {
    this.polylines.draw(view, this.lines.width * view.scale, this.lines.opacity, true);
  }

  remove() {
    this.polylines.remove();
  }
}
