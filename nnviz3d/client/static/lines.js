/** Drawing of `Lines`, and of the straight pieces that boxes and ridges have. */

import { Mesh } from "./gl.js";
import { SHADERS } from "./shaders.js";

/** Which end of a piece each corner is at, and on which side of it. */
const SIDES = Float32Array.of(0, -1, 0, 1, 1, -1, 1, 1);
const TWO_TRIANGLES = Uint16Array.of(0, 2, 1, 1, 2, 3);

/** Straight pieces with a width in pixels. */
export class Pieces {
  constructor(graphics) {
    this.gl = graphics.gl;
    this.program = graphics.program(SHADERS["pieces.vert.glsl"], SHADERS["pieces.frag.glsl"]);
    this.mesh = new Mesh(this.gl);
    this.mesh.attribute(this.program.attribute("side"), SIDES, 2);
    this.mesh.triangles(TWO_TRIANGLES);
    this.count = 0;
  }

  /** Set the ends of all pieces: 2 x 3 numbers for each. */
  place(ends) {
    this.count = ends.length / 6;
    const [begin, end] = [new Float32Array(this.count * 3), new Float32Array(this.count * 3)];
    for (let i = 0; i < this.count; ++i) {
      begin.set(ends.subarray(6 * i, 6 * i + 3), 3 * i);
      end.set(ends.subarray(6 * i + 3, 6 * i + 6), 3 * i);
    }
    this.mesh.attribute(this.program.attribute("begin"), begin, 3, true);
    this.mesh.attribute(this.program.attribute("end"), end, 3, true);
  }

  /** Set the colours of both ends of all pieces: 4 bytes for each end. */
  paint(begin, end = begin) {
    this.mesh.attribute(this.program.attribute("beginColor"), begin, 4, true);
    this.mesh.attribute(this.program.attribute("endColor"), end, 4, true);
  }

  /** Draw the pieces, each over those before it. */
  draw(view, width, opacity, blended) {
    const gl = this.gl;
    this.program.use();
    // OpenGL rounds the width of a line.
    const whole = Math.max(1, Math.round(width));
    this.program.set({ matrix: view.matrix, size: view.eye.size, width: whole, opacity });
    if (blended) {
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      gl.depthMask(false);
    }
    this.mesh.draw(this.count);
    gl.disable(gl.BLEND);
    gl.depthMask(true);
  }

  remove() {
    this.mesh.remove();
  }
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
    this.pieces = new Pieces(graphics);
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
      const { data } = lines.points;
      const ends = new Float32Array(n * (p - 1) * 6);
      for (let i = 0, to = 0; i < n; ++i) {
        for (let k = 0; k < p - 1; ++k, to += 6) ends.set(data.subarray((i * p + k) * 3, (i * p + k + 2) * 3), to);
      }
      this.pieces.place(ends);
      this.extent = extentOfPoints(data);
    }
    if (moved || before.colors !== lines.colors) {
      const bytes = new Uint32Array(colorBytes(lines.colors.data).buffer);
      const colors = new Uint32Array(n * (p - 1));
      for (let i = 0; i < n; ++i) colors.fill(bytes[i], i * (p - 1), (i + 1) * (p - 1));
      this.pieces.paint(new Uint8Array(colors.buffer));
    }
    this.visible = lines.opacity > 0 && this.pieces.count > 0;
  }

  draw(view) {
    this.pieces.draw(view, this.lines.width * view.scale, this.lines.opacity, true);
  }

  remove() {
    this.pieces.remove();
  }
}
