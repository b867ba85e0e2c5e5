// Picking: finds the visible primitive and its cell at a point of the picture, by rays, as the Python module
// render.picking. The cost depends on the cells that one ray crosses, not on the cells of a block.

import { Eye, anglesOf, fitPose, vecAdd, vecCross, vecDot, vecScale, vecSub } from "./camera.js";
import { placePictures } from "./point_pictures.js";

export const GAP_SHARE = 0.07; // Gap on each side of a cube, as a share of its shortest side.
const REACH = 5; // Maximum distance in pixels from which a line in front of the background is picked.
const REACH_BEFORE = 2.5; // The same before another primitive.
const SMALLEST_SCALE = 0.6; // Minimum size of balls in a small picture.
const SAME_DISTANCE = 1; // Difference of distances in pixels up to which the upper one of two lines is picked.
const RIDGE_EDGE = 2; // Pixels above a ridge that belong to its upper edge.
const FAINTEST = Math.fround(0.02); // Maximum opacity of lines that count as invisible.
const EYE_DISTANCE = 1e-6; // Minimum world distance of visible points from the camera.
const AROUND = { left: 0.2, right: 0.2, top: 0.22, bottom: 0.22 }; // Free space around a primitive in a close-up.

/**
 * Find the nearest visible primitive at a point.
 * @param {{primitives: object[]}} drawList The picture.
 * @param {object} pose Its camera pose.
 * @param {number[]} size Its width and height in pixels.
 * @param {number[]} at Pixels from its upper left corner.
 * @param {object} [options]
 * @param {number} [options.scale] Factor of the sizes of balls, by default that of a picture without a device factor.
 * @param {number} [options.reach] Factor of the distances from which balls and lines are picked: more for a fingertip.
 * @returns {object|null} `{kind, primitive, ...}` as the hits of the Python module scene.hits: the point whose picture is
 *   there; else the ball at the point, or the nearest one within a few pixels; else the nearest line within a few pixels that nothing hides; else a cube,
 *   pixel, tile, ridge, surface or solid box; else null.
 */
export function pick(drawList, pose, size, at, { scale = plainScale(size), reach = 1 } = {}) {
  const eye = new Eye(pose, size);
  const ball = pickPicture(drawList, eye, at, scale) ?? pickPoint(drawList, eye, at, Math.fround(scale), REACH * reach);
  if (ball) return ball;
  const found = pickSolid(drawList, eye, eye.ray(at[0], at[1]));
  const line = pickLine(drawList, eye, at, found, (found ? REACH_BEFORE : REACH) * reach);
  return line ?? (found ? found.hit : null);
}

/**
 * Return the pose of a close-up of what lies at a point of the picture: a block or a box, drawn or not, else another
 * hit primitive with an extent; null if there is nothing.
 */
export function closeUpPose(drawList, pose, size, at) {
  const eye = new Eye(pose, size);
  const ray = eye.ray(at[0], at[1]);
  let nearest = null;
  for (const primitive of drawList.primitives) {
    const extent = extentOf(primitive);
    if (!extent) continue;
    const [enter, leave] = rayBetween(extent[0], extent[1], eye.position, ray);
    if (enter <= leave && leave > 0 && (!nearest || enter < nearest.enter)) nearest = { enter, extent };
  }
  if (!nearest) return null;
  const [low, high] = nearest.extent;
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => [0, 1, 2].map((axis) => ((k >> axis) & 1 ? high : low)[axis]));
  const picture = { aspect: size[0] / size[1], margins: AROUND };
  return fitPose(corners, ...anglesOf(pose), picture, pose.field_of_view);
}

/** Return the two corners of what a primitive takes of the world; null if a close-up of it makes no sense. */
function extentOf(primitive) {
  const { origin, size } = primitive;
  if (primitive.kind === "Voxels") return [origin, vecAdd(origin, voxelsSize(primitive))];
  if (primitive.kind === "Image") return [origin, vecAdd(origin, [size[0], size[1], 0])];
  return primitive.kind === "Box" && primitive.source ? [origin, vecAdd(origin, size)] : null;
}

/** Return the numbers of cells of a block along x, y and z. */
function voxelsShape(block) {
  const [z, y, x] = block.values.shape;
  return [x, y, z];
}

/** Return the world size of a block. */
function voxelsSize(block) {
  return voxelsShape(block).map((count, axis) => count * block.cell[axis]);
}

function plainScale([width, height]) {
  return Math.max(SMALLEST_SCALE, Math.min(width / 1280, height / 720));
}

/** Return the first opaque primitive that a ray hits, and its depth along the view: `{hit, depth}` or null. */
function pickSolid(drawList, eye, ray) {
  let [hit, distance] = [null, Infinity];
  for (const primitive of drawList.primitives) {
    const found = SURFACES[primitive.kind]?.(primitive, eye, ray);
    if (found && found.away < distance) [hit, distance] = [found.hit, found.away];
  }
  for (const [block, enter] of crossedBlocks(drawList, eye, ray)) {
    if (enter >= distance) break;
    const found = firstCell(block, eye.position, ray, eye.pixel);
    if (found && found.away < distance) {
      [hit, distance] = [{ kind: "CellHit", primitive: block, cell: found.cell }, found.away];
    }
  }
  return hit ? { hit, depth: distance * vecDot(ray, eye.ahead) } : null;
}

/** Return the point whose picture is seen at a point of the picture. */
function pickPicture(drawList, eye, [x, y], scale) {
  const clouds = drawList.primitives.filter((one) => one.kind === "Points" && one.pictures);
  for (const cloud of clouds.reverse()) {
    const placed = placePictures(cloud, (...point) => eye.project(...point), eye.pixel, eye.size, scale);
    const found = placed.find(
      ({ left, top, width, height }) => left <= x && x < left + width && top <= y && y < top + height,
    );
    if (found) return { kind: "PointHit", primitive: cloud, number: found.number };
  }
  return null;
}

/** Return the foremost ball at a point of the picture, or else the nearest one within a few pixels. */
function pickPoint(drawList, eye, at, scale, reach) {
  let best = null;
  for (const cloud of drawList.primitives) {
    if (cloud.kind !== "Points") continue;
    const [points, colors, sizes] = [cloud.points.data, cloud.colors.data, cloud.sizes.data];
    let nearest = null;
    for (let number = 0; number < sizes.length; number++) {
      if (colors[4 * number + 3] <= 0) continue;
      const [x, y, depth] = eye.project(points[3 * number], points[3 * number + 1], points[3 * number + 2]);
      const radius = Math.fround(Math.fround(sizes[number] * scale) / 2);
      const off = Math.max(Math.sqrt((x - at[0]) ** 2 + (y - at[1]) ** 2) - radius, 0);
      if (!(off <= reach) || depth <= EYE_DISTANCE) continue;
      if (!nearest || off < nearest.off || (off === nearest.off && depth < nearest.depth)) {
        nearest = { off, depth, number };
      }
    }
    if (nearest && (!best || nearest.off < best.off || (nearest.off === best.off && nearest.depth < best.depth))) {
      best = { ...nearest, cloud };
    }
  }
  return best ? { kind: "PointHit", primitive: best.cloud, number: best.number } : null;
}

/** Return the blocks that a ray crosses and the distances at which it enters them, the nearest first. */
function crossedBlocks(drawList, eye, ray) {
  const crossed = [];
  for (const block of drawList.primitives) {
    if (block.kind !== "Voxels" || !block.values.data.length || block.reveal <= block.since) continue;
    const [enter, leave] = rayBetween(block.origin, vecAdd(block.origin, voxelsSize(block)), eye.position, ray);
    if (enter <= leave && leave > 0) crossed.push([block, enter]);
  }
  crossed.sort((one, other) => one[1] - other[1]);
  return crossed.map(([block, enter]) => [block, Math.max(enter, 0)]);
}

/** Return where a ray enters and leaves a box; it misses a box that it leaves before it enters. */
function rayBetween(low, high, start, way) {
  let [enter, leave] = [-Infinity, Infinity];
  for (let axis = 0; axis < 3; axis++) {
    const step = way[axis] === 0 ? 1e-12 : way[axis];
    const [a, b] = [(low[axis] - start[axis]) / step, (high[axis] - start[axis]) / step];
    enter = Math.max(enter, Math.min(a, b));
    leave = Math.min(leave, Math.max(a, b));
  }
  return [enter, leave];
}

/**
 * Find the first drawn cube of a block that a ray hits. The ray is cut at every plane between two cells (R. L. Siddon,
 * "Fast calculation of the exact radiological path for a three-dimensional CT array", 1985).
 * @param {number} pixel World size of a pixel at distance 1: the gaps between cubes of about a pixel are closed.
 * @returns {{cell: number[], away: number}|null} Index along x, y and z, and the distance at which the ray hits it.
 */
function firstCell(block, start, direction, pixel) {
  const shape = voxelsShape(block);
  const begin = [Math.min(Math.floor(shape[0] * block.since), shape[0]), 0, 0];
  const end = [Math.min(shape[0], Math.ceil(shape[0] * block.reveal)), shape[1], shape[2]];
  const way = direction.map((step) => (step === 0 ? 1e-12 : step));
  const slope = way.map((step, axis) => step / block.cell[axis]);
  const first = start.map((place, axis) => (place - block.origin[axis]) / block.cell[axis]);
  const bounds = rayBetween(begin, end, first, slope);
  const [enter, leave] = [Math.max(bounds[0], 0), bounds[1]];
  if (enter >= leave) return null;
  const stops = [enter, leave];
  for (let axis = 0; axis < 3; axis++) {
    for (let plane = 1; plane < shape[axis]; plane++) {
      const stop = (plane - first[axis]) / slope[axis];
      if (stop > enter && stop < leave) stops.push(stop);
    }
  }
  const sorted = Float64Array.from(stops).sort();
  const smallest = Math.min(...block.cell);
  const gap = smallest * GAP_SHARE * gapOpening(smallest / (pixel * Math.max(enter, EYE_DISTANCE)));
  for (let k = 0; k + 1 < sorted.length; k++) {
    if (!(sorted[k + 1] - sorted[k] > 0)) continue;
    const middle = (sorted[k] + sorted[k + 1]) / 2;
    const cell = first.map((place, axis) =>
      Math.min(Math.max(Math.floor(place + slope[axis] * middle), begin[axis]), end[axis] - 1),
    );
    if (!cellShows(block, cell, shape)) continue;
    let [into, out] = [-Infinity, Infinity];
    for (let axis = 0; axis < 3; axis++) {
      const inset = gap / block.cell[axis];
      const a = (cell[axis] + inset - first[axis]) / slope[axis];
      const b = (cell[axis] + 1 - inset - first[axis]) / slope[axis];
      into = Math.max(into, Math.min(a, b));
      out = Math.min(out, Math.max(a, b));
    }
    if (into <= out) return { cell, away: Math.max(into, 0) };
  }
  return null;
}

/** Whether a cell of a block is drawn. NaN and infinite numbers always show. */
function cellShows(block, cell, shape) {
  const value = block.values.data[(cell[2] * shape[1] + cell[1]) * shape[0] + cell[0]];
  if (Math.abs(value) < Math.fround(block.threshold)) return false;
  return block.count === null || (shape[1] - 1 - cell[1]) * shape[0] + cell[0] < block.count;
}

/** Return how far the gaps between cubes of some pixels are open, from 0 to 1. */
function gapOpening(pixels) {
  const share = Math.min(Math.max((pixels - 2) / 4, 0), 1);
  return share * share * (3 - 2 * share);
}

const SURFACES = { Image: meetImage, Tiles: meetTiles, Ridges: meetRidges, Surface: meetSurface, Box: meetBox };

function meetImage(image, eye, ray) {
  if (!(image.opacity > 0) || !ray[2]) return null;
  const away = (image.origin[2] - eye.position[2]) / ray[2];
  const across = (eye.position[0] + ray[0] * away - image.origin[0]) / image.size[0];
  const up = (eye.position[1] + ray[1] * away - image.origin[1]) / image.size[1];
  if (!(away > 0 && across >= 0 && across < 1 && up > 0 && up <= 1)) return null;
  const [rows, columns] = image.pixels.shape;
  const [row, column] = [Math.trunc((1 - up) * rows), Math.trunc(across * columns)];
  return { hit: { kind: "PixelHit", primitive: image, row, column }, away };
}

/** Return the first tile that a ray hits, and its distance. */
function meetTiles(tiles, eye, ray) {
  const facing = vecCross(tiles.right, tiles.up);
  const slope = vecDot(ray, facing);
  if (!(tiles.opacity > 0) || slope === 0) return null;
  const origins = tiles.origins.data;
  let best = null;
  for (let number = 0; 3 * number < origins.length; number++) {
    const corner = [origins[3 * number], origins[3 * number + 1], origins[3 * number + 2]];
    const away = vecDot(vecSub(corner, eye.position), facing) / slope;
    if (!(away > 0) || (best && away >= best.away)) continue;
    const place = vecSub(vecAdd(eye.position, vecScale(ray, away)), corner);
    const [across, rise] = [vecDot(place, tiles.right) / tiles.size[0], vecDot(place, tiles.up) / tiles.size[1]];
    if (across >= 0 && across < 1 && rise > 0 && rise <= 1) best = { number, away, across, rise };
  }
  if (!best) return null;
  const [, rows, columns] = tiles.pixels.shape;
  const [row, column] = [Math.trunc((1 - best.rise) * rows), Math.trunc(best.across * columns)];
  return { hit: { kind: "TileHit", primitive: tiles, number: best.number, row, column }, away: best.away };
}

/** Return the first ridge that a ray hits, with the nearest column, and its distance. */
function meetRidges(ridges, eye, ray) {
  const [count, columns] = ridges.heights.shape;
  if (!ray[2] || !count || !columns) return null;
  const [feet, along, heights, joined] = [ridges.feet, ridges.along, ridges.heights, ridges.joined].map((a) => a.data);
  let best = null;
  for (let ridge = 0; ridge < count; ridge++) {
    const away = (feet[3 * ridge + 2] - eye.position[2]) / ray[2];
    if (!(away > 0) || (best && away >= best.away)) continue;
    const x = eye.position[0] + ray[0] * away - feet[3 * ridge];
    const y = eye.position[1] + ray[1] * away - feet[3 * ridge + 1];
    const edge = RIDGE_EDGE * eye.pixel * away;
    const top = (column) => heights[2 * (ridge * columns + column) + 1];
    const tied = (column) => column >= 0 && column < columns - 1 && joined[ridge * (columns - 1) + column] !== 0;
    let nearest = 0;
    for (let k = 1; k < columns; k++) if (Math.abs(x - along[k]) < Math.abs(x - along[nearest])) nearest = k;
    const alone = !tied(nearest - 1) && !tied(nearest) && Number.isFinite(top(nearest));
    // The upper edge has its full width at any height of the ridge, and at its ends.
    const half = alone ? Math.max(ridges.bar / 2, edge) : edge;
    let height = Math.abs(x - along[nearest]) <= half ? top(nearest) : NaN;
    if (columns > 1) {
      let left = 0;
      while (left < columns - 2 && along[left + 1] <= x) left++;
      const share = (x - along[left]) / (along[left + 1] - along[left]);
      if (tied(left) && share >= 0 && share <= 1) height = top(left) * (1 - share) + top(left + 1) * share;
    }
    if (y >= -edge && y <= height + edge) best = { ridge, column: nearest, away };
  }
  if (!best) return null;
  return { hit: { kind: "RidgeHit", primitive: ridges, ridge: best.ridge, column: best.column }, away: best.away };
}

/**
 * Return the grid point nearest to the first hit of a ray on a triangle, and the distance of the hit (T. Möller,
 * B. Trumbore, "Fast, minimum storage ray/triangle intersection", 1997).
 */
function meetSurface(surface, eye, ray) {
  const [along, across, heights] = [surface.along.data, surface.across.data, surface.heights.data];
  const columns = along.length;
  const grid = (index) => [along[index % columns], heights[index], across[Math.floor(index / columns)]];
  let nearest = Infinity;
  const meet = (corners) => {
    const [a, b, c] = corners.map(grid);
    const [one, two, start] = [vecSub(b, a), vecSub(c, a), vecSub(eye.position, a)];
    const slanted = vecCross(ray, two);
    const determinant = vecDot(one, slanted);
    const u = vecDot(start, slanted) / determinant;
    const turned = vecCross(start, one);
    const v = vecDot(turned, ray) / determinant;
    const away = vecDot(two, turned) / determinant;
    if (u >= 0 && v >= 0 && u + v <= 1 && away > EYE_DISTANCE && away < nearest) nearest = away;
  };
  for (let row = 0; row + 1 < across.length; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const corner = row * columns + column;
      const square = [corner, corner + 1, corner + columns, corner + columns + 1];
      if (!square.every((index) => Number.isFinite(heights[index]))) continue;
      meet([corner, corner + columns, corner + 1]);
      meet([corner + 1, corner + columns, corner + columns + 1]);
    }
  }
  if (nearest === Infinity) return null;
  const where = vecAdd(eye.position, vecScale(ray, nearest));
  const closest = (places, place) =>
    places.reduce((best, _, k) => (Math.abs(places[k] - place) < Math.abs(places[best] - place) ? k : best), 0);
  const [row, column] = [closest(across, where[2]), closest(along, where[0])];
  return { hit: { kind: "SurfaceHit", primitive: surface, row, column }, away: nearest };
}

function meetBox(box, eye, ray) {
  if (!(box.fill > 0)) return null;
  const [enter, leave] = rayBetween(box.origin, vecAdd(box.origin, box.size), eye.position, ray);
  if (!(enter <= leave && leave > 0)) return null;
  return { hit: { kind: "BoxHit", primitive: box }, away: enter > 0 ? enter : leave };
}

/** Return the nearest connection within reach that nothing hides. */
function pickLine(drawList, eye, at, behind, reach) {
  const before = behind ? behind.depth : Infinity;
  const found = [];
  for (const lines of drawList.primitives) {
    if (lines.kind !== "Lines" || !lines.ends) continue;
    const opacity = Math.fround(lines.opacity);
    const colors = lines.colors.data;
    for (let number = 0; 4 * number < colors.length; number++) {
      if (!(Math.fround(colors[4 * number + 3] * opacity) > FAINTEST)) continue;
      const near = nearestOnLine(lines, number, eye, at);
      if (near.away <= reach && near.depth < before) {
        found.push({ ...near, hit: { kind: "LineHit", primitive: lines, number } });
      }
    }
  }
  const seen = (line) => {
    const solid = pickSolid(drawList, eye, eye.ray(line.where[0], line.where[1]));
    return !solid || solid.depth >= line.depth;
  };
  const closest = [...found].sort((one, other) => one.away - other.away).find(seen);
  if (!closest) return null;
  // Lines that are drawn later are on top.
  const alike = found.reverse().filter((line) => line.away <= closest.away + SAME_DISTANCE);
  return alike.find(seen).hit;
}

/**
 * Return the distance of a polyline from a point of the picture, and its nearest point: `away` in pixels, infinite
 * behind the camera; its `depth` along the view; and `where` it is, in pixels.
 */
function nearestOnLine(lines, number, eye, at) {
  const [, count] = lines.points.shape;
  const points = lines.points.data;
  let best = { away: Infinity, depth: Infinity, where: at };
  let before = null;
  for (let k = 0; k < count; k++) {
    const start = 3 * (number * count + k);
    const here = eye.project(points[start], points[start + 1], points[start + 2]);
    if (before && before[2] > EYE_DISTANCE && here[2] > EYE_DISTANCE) {
      const [x, y] = [here[0] - before[0], here[1] - before[1]];
      const dot = (at[0] - before[0]) * x + (at[1] - before[1]) * y;
      const share = Math.min(Math.max(dot / Math.max(x * x + y * y, 1e-12), 0), 1);
      const where = [before[0] + share * x, before[1] + share * y];
      const away = Math.sqrt((where[0] - at[0]) ** 2 + (where[1] - at[1]) ** 2);
      // Along a line of the picture 1 / depth is linear.
      if (away < best.away) best = { away, where, depth: 1 / (1 / before[2] + share * (1 / here[2] - 1 / before[2])) };
    }
    before = here;
  }
  return best;
}
