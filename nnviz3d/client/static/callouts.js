/**
 * Placement of brackets around marked cells, of a callout's words beside them, and of boards in front of the scene.
 *
 * Pure geometry in pixels, the origin at the lower left; a rectangle is `[left, bottom, right, top]`. The rules are those of
 * `render/callouts.py`.
 */

import { roundEven } from "./fonts.js";
import { boxOutline, rectsOverlap, projectPoint } from "./label_placement.js";

/** Length of a bracket's arm, in pixels of a picture that is 720 pixels high, like all sizes here. */
const ARM = 7;
const STROKE = 1.8;
/** Minimum width and height inside the brackets: a cell may be smaller than a pixel. */
const SMALLEST_MARK = 15;
/** Distance between a mark and its brackets. */
const MARK_AIR = 3;
/** Distance between the brackets and the words. */
const WORDS_OFFSET = 12;
/** Cost of words that cover blocks completely, where 1 is the cost of the next entry in the list of sides. */
const COVERED_COST = 60;
/** Maximum width of words and boards, as a share of the picture's width, and that of a caption. */
const BOARD_WIDEST = 0.9;
const CAPTION_WIDEST = 760;
/** Interpolated points for each segment of a path on the screen. */
const FINE = 8;
/** Sides of a mark where the words may stand, the best first: 1 for right or above, -1 for left or below. */
const WORD_SIDES = [
  [1, 1],
  [1, -1],
  [-1, 1],
  [-1, -1],
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
];
/** Distances from the mark, as multiples of the usual offset. */
const FARTHER = [1, 3, 7];
/** Cost that the words of a moving picture save if they keep their side. */
const SAME_SIDE = 30;

/**
 * Find the place of a callout's words: beside the marks, inside the picture, where they cover the least.
 *
 * @param {object} callout
 * @param {ArrayLike<number>} matrix 16 numbers, row by row: world to clip coordinates
 * @param {number[]} size width and height of the picture
 * @param {number} scale 1 for a picture that is 720 pixels high
 * @param {number[]} words width and height of the words
 * @param {number[][]} occupied rectangles that the words should not cover
 * @param {number[][]} blocks outlines of the blocks, which the words cover only if no other place is free; NaN if out of sight
 * @param {number|null} before for a moving picture: the side that the words were at
 * @returns {{marks: number[][], words: number[]|null, side: number|null}} `null` if the marked cells are out of sight
 */
export function placeCallout(callout, matrix, size, scale, words, occupied, blocks, before = null) {
  const marks = callout.marks.map((mark) => markOutline(mark, matrix, size, scale)).filter((mark) => mark !== null);
  const path = finePath(callout.path, matrix, size);
  const beside = middleOf(path, size) ?? marks[0] ?? null;
  if (beside === null || !rectsOverlap(beside, [0, 0, ...size])) return { marks, words: null, side: null };
  let [best, side, least] = [null, null, Infinity];
  wordPlaces(beside, words, scale).forEach(({ rect, farther }, rank) => {
    const left = Math.max(0, Math.min(rect[0], size[0] - words[0]));
    const bottom = Math.max(0, Math.min(rect[1], size[1] - words[1]));
    const inside = [left, bottom, left + words[0], bottom + words[1]];
    let cost = rank + 10 * farther + (2 * (Math.abs(left - rect[0]) + Math.abs(bottom - rect[1]))) / scale;
    cost += 1000 * marks.filter((mark) => rectsOverlap(inside, mark)).length;
    cost += 200 * occupied.filter((other) => rectsOverlap(inside, other)).length;
    cost += 5 * path.filter((point) => rectHolds(inside, point)).length;
    cost += COVERED_COST * shareCovered(inside, blocks);
    if (rank === before) cost -= SAME_SIDE;
    if (cost < least) [best, side, least] = [inside, rank, cost];
  });
  return { marks, words: best, side };
}

/**
 * Return the rectangle of a board: in the middle of the picture, or at the lowest place where it covers nothing `occupied`.
 *
 * @param {string} corner "middle", "bottom" or "caption"
 * @param {number[]} extent width and height of the board
 */
export function placeBoard(corner, extent, size, scale, occupied) {
  const left = Math.floor((size[0] - extent[0]) / 2);
  let bottom = Math.floor((size[1] - extent[1]) / 2);
  const rect = () => [left, bottom, left + extent[0], bottom + extent[1]];
  if (corner === "bottom" || corner === "caption") {
    bottom = roundEven(WORDS_OFFSET * scale);
    for (;;) {
      const blocking = occupied.filter((other) => rectsOverlap(rect(), other));
      if (!blocking.length) break;
      bottom = Math.ceil(Math.max(...blocking.map((other) => other[3])));
    }
  }
  return rect();
}

/** Return the maximum width of a board; a line of a caption, of some 90 characters, can still be read at a glance. */
export function boardWidest(corner, [width], scale) {
  return corner === "caption" ? Math.min(BOARD_WIDEST * width, CAPTION_WIDEST * scale) : BOARD_WIDEST * width;
}

/** Draw the four brackets around a mark; `height` is the height of the picture. */
export function drawBrackets(context, mark, scale, height) {
  const side = Math.max(4, roundEven(ARM * scale));
  const stroke = Math.max(1, roundEven(STROKE * scale));
  const edge = Math.max(1, roundEven(0.7 * scale));
  const thick = stroke + 2 * edge;
  const [left, right] = [roundEven(mark[0]), roundEven(mark[2] - side) + side];
  const [top, bottom] = [height - roundEven(mark[3] - side) - side, height - roundEven(mark[1])];
  for (const [x, across] of [
    [left, 1],
    [right, -1],
  ]) {
    for (const [y, down] of [
      [top, 1],
      [bottom, -1],
    ]) {
      context.save();
      context.translate(x, y);
      context.scale(across, down);
      context.fillStyle = "rgba(4,6,10,0.784)";
      context.fillRect(0, 0, side, thick);
      context.fillRect(0, thick, thick, side - thick);
      context.fillStyle = "rgb(255,255,255)";
      context.fillRect(edge, edge, side - 2 * edge, stroke);
      context.fillRect(edge, edge, stroke, side - 2 * edge);
      context.restore();
    }
  }
}

/** Return the rectangle on the screen that encloses a mark; `null` for a mark behind the camera. */
function markOutline(mark, matrix, size, scale) {
  const [left, bottom, right, top] = boxOutline(mark.origin, mark.size, matrix, size);
  if (!Number.isFinite(left + bottom + right + top)) return null;
  const width = Math.max(right - left + 2 * MARK_AIR * scale, SMALLEST_MARK * scale);
  const height = Math.max(top - bottom + 2 * MARK_AIR * scale, SMALLEST_MARK * scale);
  const [x, y] = [(left + right - width) / 2, (bottom + top - height) / 2];
  return [x, y, x + width, y + height];
}

/** Return the points of a path on the screen, so densely that a rectangle of words cannot lie on it unnoticed. */
function finePath(path, matrix, size) {
  const points = [];
  for (let k = 0; k < path.shape[0]; k += 1) {
    const at = [0, 0];
    projectPoint(...path.data.subarray(3 * k, 3 * k + 3), matrix, size, at);
    if (at.every(Number.isFinite)) points.push(at);
  }
  if (points.length < 2) return points;
  const count = FINE * points.length;
  return Array.from({ length: count }, (_, k) => {
    const at = (k / (count - 1)) * (points.length - 1);
    const i = Math.min(Math.floor(at), points.length - 2);
    return [0, 1].map((axis) => points[i][axis] + (at - i) * (points[i + 1][axis] - points[i][axis]));
  });
}

/** Return the middle of the part of a path that is in the picture; `null` if no part is. */
function middleOf(path, size) {
  const seen = path.filter((point) => rectHolds([0, 0, ...size], point));
  if (!seen.length) return null;
  const [x, y] = seen[seen.length >> 1];
  return [x, y, x + 1, y + 1];
}

/** Return the possible rectangles of the words, the best first, each with its distance from `FARTHER`. */
function wordPlaces(beside, [width, height], scale) {
  const [across, up] = [beside[2] - beside[0], beside[3] - beside[1]];
  return FARTHER.flatMap((farther) =>
    WORD_SIDES.map(([toRight, toTop]) => {
      const offset = WORDS_OFFSET * scale * farther;
      const x = beside[0] + (across - width) / 2 + toRight * ((across + width) / 2 + offset);
      const y = beside[1] + (up - height) / 2 + toTop * ((up + height) / 2 + (toRight === 0 ? offset : -up / 2));
      return { rect: [roundEven(x), roundEven(y)], farther };
    }),
  );
}

/** Return the share of a rectangle's area that lies on blocks. */
function shareCovered(rect, blocks) {
  let area = 0;
  for (const block of blocks) {
    const across = Math.min(block[2], rect[2]) - Math.max(block[0], rect[0]);
    const up = Math.min(block[3], rect[3]) - Math.max(block[1], rect[1]);
    if (across > 0 && up > 0) area += across * up;
  }
  return area / ((rect[2] - rect[0]) * (rect[3] - rect[1]));
}

function rectHolds(rect, point) {
  return point[0] >= rect[0] && point[0] <= rect[2] && point[1] >= rect[1] && point[1] <= rect[3];
}
