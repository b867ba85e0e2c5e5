/** Drawing of all `Box`es: the frames as lines, the bodies as lit faces. */

import { Mesh } from "./gl.js";
import { Polylines, colorBytes, packedColors } from "./lines.js";
import { SHADERS } from "./shaders.js";

const FRAME_WIDTH = 1.1;
const LIGHTER = 0.45;
const CORNER_NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7];
const BOX_EDGES = CORNER_NUMBERS.flatMap((a) => [1, 2, 4].map((bit) => [a, a ^ bit]).filter(([, b]) => a < b));
const BOX_FACES = [
  [0, 1, 3, 2],
  [4, 6, 7, 5],
  [0, 4, 5, 1],
  [2, 3, 7, 6],
  [0, 2, 6, 4],
  [1, 5, 7, 3],
];
/** Axis that each face is across. */
const FACE_AXES = [0, 0, 1, 1, 2, 2];

/** Return the corners of a box; bits 4, 2 and 1 of a corner's number are its sides along x, y and z. */
function boxCorners({ origin, size }) {
  return CORNER_NUMBERS.map((a) => origin.map((one, i) => one + ((a >> (2 - i)) & 1) * size[i]));
}

/** Return the colour of a box's edges: that of a body is lighter than its faces, so that it is visible. */
function edgeColor({ color, fill, edge }) {
  return [...(fill > 0 ? color.map((one) => one + (1 - one) * LIGHTER) : color), edge];
}

/** Whether two lists hold the same objects. */
function sameBoxes(a, b) {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

/** Draws the bodies of boxes, and as `frames` their edges. */
export class BoxesDrawer {
  constructor(graphics) {
    this.graphics = graphics;
    this.program = graphics.program(SHADERS["faces.vert.glsl"], SHADERS["faces.frag.glsl"]);
    this.faces = new Mesh(graphics.gl);
    this.frames = new FramesDrawer(graphics);
    this.boxes = [];
  }

  update(boxes) {
    if (sameBoxes(boxes, this.boxes)) return;
    this.boxes = boxes;
    this.frames.update(boxes);
    const solid = boxes.filter((box) => box.fill > 0);
    this.visible = solid.length > 0;
    const [points, normals, colors, indices] = [[], [], [], []];
    for (const box of solid) {
      const corners = boxCorners(box);
      BOX_FACES.forEach((face, side) => {
        const first = points.length / 3;
        for (const corner of face) {
          points.push(...corners[corner]);
          normals.push(...[0, 1, 2].map((axis) => Number(axis === FACE_AXES[side])));
          // Bodies are opaque, so their order never matters; `fill` is their brightness against the background.
          colors.push(...box.color.map((one) => one * box.fill), 1);
        }
        indices.push(first, first + 1, first + 2, first, first + 2, first + 3);
      });
    }
    this.faces.attribute(this.program.attribute("point"), Float32Array.from(points), 3);
    this.faces.attribute(this.program.attribute("normal"), Float32Array.from(normals), 3);
    this.faces.attribute(this.program.attribute("fill"), colorBytes(colors), 4);
    this.faces.triangles(Uint32Array.from(indices));
    this.extent = this.frames.extent;
  }

  draw(view) {
    this.program.use();
    this.program.set({ matrix: view.matrix, ahead: view.eye.ahead });
    this.faces.draw();
  }

  remove() {
    this.faces.remove();
    this.frames.polylines.remove();
  }
}

/** Draws the edges of boxes. */
class FramesDrawer {
  constructor(graphics) {
    this.polylines = new Polylines(graphics);
    this.visible = false;
  }

  update(boxes) {
    const [ends, colors] = [[], []];
    const [low, high] = [Array(3).fill(Infinity), Array(3).fill(-Infinity)];
    for (const box of boxes) {
      const corners = boxCorners(box);
      for (const [a, b] of BOX_EDGES) {
        ends.push(...corners[a], ...corners[b]);
        colors.push(...edgeColor(box), ...edgeColor(box));
      }
      for (const corner of corners) {
        corner.forEach((one, i) => {
          low[i] = Math.min(low[i], one);
          high[i] = Math.max(high[i], one);
        });
      }
    }
    this.polylines.place(Float32Array.from(ends), 2);
    this.polylines.paint(packedColors(colorBytes(colors)));
    this.extent = [low, high];
    this.visible = boxes.length > 0;
  }

  draw(view) {
    this.polylines.draw(view, FRAME_WIDTH * view.scale, 1, true);
  }
}
