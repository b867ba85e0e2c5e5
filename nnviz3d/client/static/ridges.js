/** Drawing of `Ridges`: opaque filled bands that are brighter towards their upper edge. */

import { Mesh } from "./gl.js";
import { Polylines, colorBytes, extentOfPoints, packedColors } from "./lines.js";
import { SHADERS } from "./shaders.js";

/** Brightness of a band at its foot, at its minimum height and at its maximum height, relative to its upper edge. */
const FOOT = 0.05;
const FILL = 0.62;
const RANGE = 0.85;
const GROUND = [0.02, 0.025, 0.035];
/** Width of the upper edge, in pixels of a picture that is 720 pixels high. */
const EDGE_WIDTH = 1.5;
/** Distance of the upper edge in front of its band, as a share of the width of all ridges. */
const BEFORE = 2e-3;

/** Whether a column of a ridge is joined to no other one and has a height. */
function isAlone(ridges, row, column) {
  const columns = ridges.along.shape[0];
  const joined = (k) => k >= 0 && k < columns - 1 && ridges.joined.data[row * (columns - 1) + k] !== 0;
  const top = ridges.heights.data[(row * columns + column) * 2 + 1];
  return !joined(column - 1) && !joined(column) && Number.isFinite(top);
}

/**
 * Return the corners of the bands: for each column foot, minimum and maximum height, and for each column that stands
 * alone the two sides of its bar.
 *
 * @returns {{points: number[][][], colors: number[][][], bright: number[][], segments: number[][]}}
 *   Three points and three colours for each column, the colour of its upper edge, and the columns at the left and the
 *   right side of each segment.
 */
function ridgeColumns(ridges) {
  const [rows, columns] = ridges.heights.shape;
  const found = { points: [], colors: [], bright: [], segments: [] };
  const add = (row, column, shift) => {
    const at = row * columns + column;
    const [x, y, z] = ridges.feet.data.subarray(row * 3, row * 3 + 3);
    const [low, high] = ridges.heights.data.subarray(at * 2, at * 2 + 2).map((one) => (Number.isNaN(one) ? 0 : one));
    const lowColor = [...ridges.colors.data.subarray(at * 6, at * 6 + 3)];
    const highColor = [...ridges.colors.data.subarray(at * 6 + 3, at * 6 + 6)];
    const right = x + ridges.along.data[column] + shift;
    // The part from the minimum to the maximum height is brighter: the numbers are there.
    const top = high > low ? RANGE : FILL;
    found.points.push([
      [right, y, z],
      [right, y + low, z],
      [right, y + high, z],
    ]);
    found.colors.push([
      lowColor.map((one, i) => GROUND[i] + FOOT * one),
      lowColor.map((one) => FILL * one),
      highColor.map((one) => top * one),
    ]);
    found.bright.push(highColor);
    return found.points.length - 1;
  };
  for (let row = 0; row < rows; ++row) {
    for (let column = 0; column < columns; ++column) {
      const at = add(row, column, 0);
      if (column < columns - 1 && ridges.joined.data[row * (columns - 1) + column]) found.segments.push([at, at + 1]);
    }
  }
  for (let row = 0; row < rows; ++row) {
    for (let column = 0; column < columns; ++column) {
      if (!isAlone(ridges, row, column)) continue;
      found.segments.push([add(row, column, -ridges.bar / 2), add(row, column, ridges.bar / 2)]);
    }
  }
  return found;
}

/** Draws `Ridges`. Nothing is uploaded while the arrays stay the same. */
export class RidgesDrawer {
  constructor(graphics) {
    this.program = graphics.program(SHADERS["mesh.vert.glsl"], SHADERS["faces.frag.glsl"]);
    this.bands = new Mesh(graphics.gl);
    this.edges = new Polylines(graphics);
  }

  update(ridges) {
    const before = this.ridges;
    this.ridges = ridges;
    const used = ["feet", "along", "heights", "joined", "colors", "bar"];
    if (before !== undefined && used.every((name) => before[name] === ridges[name])) return;
    const { points, colors, bright, segments } = ridgeColumns(ridges);
    const places = Float32Array.from(points.flat(2));
    this.bands.attribute(this.program.attribute("point"), places, 3);
    this.bands.attribute(this.program.attribute("fill"), opaqueBytes(colors.flat()), 4);
    // Two quads for each segment: from the foot to the minimum height, and from there to the maximum height.
    const quads = [0, 1].flatMap((k) => segments.map(([left, right]) => [3 * left + k, 3 * right + k]));
    this.bands.triangles(Uint32Array.from(quads.flatMap(([l, r]) => [l, r, r + 1, l, r + 1, l + 1])));
    const { data } = ridges.along;
    const width = data.length ? Math.max(...data) - Math.min(...data) : 0;
    const [x, y, z] = [0, 0, BEFORE * Math.max(width, ridges.bar)];
    const upper = ([, , top]) => [top[0] + x, top[1] + y, top[2] + z];
    this.edges.place(Float32Array.from(segments.flatMap((ends) => ends.flatMap((at) => upper(points[at])))), 2);
    this.edges.paint(packedColors(opaqueBytes(segments.flatMap((ends) => ends.map((at) => bright[at])))));
    this.extent = extentOfPoints(places);
    this.visible = segments.length > 0;
  }

  draw(view) {
    this.program.use();
    this.program.set({ matrix: view.matrix });
    this.bands.draw();
    this.edges.draw(view, EDGE_WIDTH * view.scale, 1, false);
  }

  remove() {
    this.bands.remove();
    this.edges.remove();
  }
}

/** Return colours `[r, g, b]` as bytes with full opacity. */
function opaqueBytes(colors) {
  return colorBytes(colors.flatMap((color) => [...color, 1]));
}
