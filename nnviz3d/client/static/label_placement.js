/**
 * Placement of labels on the screen without overlaps. Pure geometry in pixels, the origin at the lower left.
 *
 * The rules are those of `render/label_placement.py`. A rectangle is `[left, bottom, right, top]`.
 */

import { roundEven } from "./fonts.js";
import { LineMap } from "./line_map.js";

/** Distance between an anchor and its text, in pixels of a picture that is 720 pixels high. */
const ANCHOR_OFFSET = 3;
/** Width of the edge of a label in which there is no text, in the same pixels. */
const LABEL_EDGE = 3;
/** Offsets that are tried for a label that a line strikes through, as shares of its width and height. */
const ASIDE = [
  [0, 0],
  [0.3, 0],
  [-0.3, 0],
  [0, 0.5],
  [0.55, 0],
  [-0.55, 0],
  [0.3, 0.5],
  [-0.3, 0.5],
];
/** Distance of a name left or right of its block to other blocks, as a share of its width, so that it names no other. */
const APART = 0.5;
/** Added to the priority of a label that was shown before: only the labels of scores may then displace it. */
const STAYS = 3;
/** Width and height that a new label needs beyond its size while the picture moves, in the same pixels. */
const NEW_NEEDS = [14, 5];
const NOTHING = [0, 0];
const OPPOSITE = { below: "above", above: "below", left: "right", right: "left" };

/**
 * Project a point of the world to the screen.
 *
 * @param {ArrayLike<number>} matrix 16 numbers, row by row: world to clip coordinates
 * @param {number[]} size width and height in pixels
 * @param {ArrayLike<number>} into where x and y go; NaN for a point behind the camera
 */
export function projectPoint(x, y, z, matrix, size, into) {
  const w = matrix[12] * x + matrix[13] * y + matrix[14] * z + matrix[15];
  const behind = w > 0 ? 1 : NaN;
  into[0] = behind * (((matrix[0] * x + matrix[1] * y + matrix[2] * z + matrix[3]) / w + 1) / 2) * size[0];
  into[1] = behind * (((matrix[4] * x + matrix[5] * y + matrix[6] * z + matrix[7]) / w + 1) / 2) * size[1];
}

/** Return the outline on the screen of a box of the world, `[left, bottom, right, top]`; NaN if it is behind the camera. */
export function boxOutline(origin, span, matrix, size) {
  const found = [Infinity, Infinity, -Infinity, -Infinity];
  const at = [0, 0];
  const corners = span[0] || span[1] || span[2] ? 8 : 1;
  for (let corner = 0; corner < corners; corner += 1) {
    const [x, y, z] = origin.map((low, k) => low + ((corner >> k) & 1) * span[k]);
    projectPoint(x, y, z, matrix, size, at);
    if (Number.isNaN(at[0]) || Number.isNaN(at[1])) return [NaN, NaN, NaN, NaN];
    found[0] = Math.min(found[0], at[0]);
    found[1] = Math.min(found[1], at[1]);
    found[2] = Math.max(found[2], at[0]);
    found[3] = Math.max(found[3], at[1]);
  }
  return found;
}

/** Return the map of lines in the world, each `{data, shape: [n, p, 3]}`; `null` without lines. */
export function linesOnScreen(lines, matrix, size) {
  if (!lines.length) return null;
  const map = new LineMap(size);
  const [from, to] = [new Float64Array(2), new Float64Array(2)];
  for (const { data, shape } of lines) {
    for (let line = 0; line < shape[0]; line += 1) {
      for (let point = 0; point < shape[1]; point += 1) {
        const k = 3 * (line * shape[1] + point);
        projectPoint(data[k], data[k + 1], data[k + 2], matrix, size, to);
        if (point) map.mark(from[0], from[1], to[0], to[1]);
        from.set(to);
      }
    }
  }
  return map;
}

/** Return whether two rectangles share any area; false for NaN. */
export function rectsOverlap(one, other) {
  return one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
}

/**
 * Choose which labels to show, and where, in the order of their priority.
 *
 * A label is shown whole if there is room, else with its first line, else not at all. Brief labels get their further lines
 * last, where there is still room. A label that would cover another block or leave the picture goes to the other side of
 * its block, and one that a line would strike through first moves aside a little, unless it is fixed. The name of a block
 * that has no room below or above goes to its left or right, if nothing else is near.
 *
 * In a moving picture that choice would change many times a second. There, a label stays and keeps its side as long as there
 * is room, a new one needs a little more room than its size, and none moves aside from lines.
 *
 * @param {object[]} labels
 * @param {number[][]} around outline of what each label names, as `boxOutline` returns it
 * @param {function(object, number): number[]} measure returns width and height of a label's first lines
 * @param {number[]} size width and height of the picture
 * @param {number} scale 1 for a picture that is 720 pixels high
 * @param {number[][]} occupied rectangles that labels must not cover
 * @param {LineMap|null} lines lines of the picture that labels must not cover
 * @param {Map<number, object>|null} before for a moving picture: how labels were shown before, by their indices
 * @returns {{index: number, count: number, rect: number[], way: object}[]} the shown labels, with the number of their lines
 */
export function placeLabels(labels, around, measure, size, scale, occupied, lines, before = null) {
  const placing = new Placing(labels, around, measure, size, scale, occupied, before === null ? lines : null, before);
  const order = labels.map((_, i) => i).filter((i) => around[i].every(Number.isFinite));
  const priority = labels.map((label, i) => label.priority + (before?.has(i) ? STAYS : 0));
  order.sort((a, b) => priority[b] - priority[a]);
  for (const i of order) placing.choose(i);
  for (const i of order) if (labels[i].brief) placing.lengthen(i);
  const missing = before === null ? order.filter((i) => !placing.shown.has(i)) : [];
  placing.settle();
  for (const i of missing) placing.chooseBeside(i);
  return placing.result();
}

/** One placement of all labels of a picture. */
class Placing {
  constructor(labels, around, measure, size, scale, occupied, lines, before) {
    Object.assign(this, { labels, around, measure, size, scale, occupied, lines, before });
    this.outlines = Float64Array.from(around.flat());
    this.inner = Float64Array.from(around.flatMap(innerPart));
    this.shown = new Map();
    this.settled = [];
    this.ways = [];
  }

  /** Return how a label at its usual place is in the way: "struck" by a line, "covering" a block, or `null`. */
  hindered(i) {
    const label = this.labels[i];
    if (label.fixed) return null;
    const choices = basicChoices(label);
    const rects = choices.map((choice) => this.rect(i, choice));
    if (this.lines !== null && rects.some((rect) => this.struck(rect))) return "struck";
    const outline = this.around[i];
    // The label of a point has no other side.
    const block = outline[2] > outline[0] && outline[3] > outline[1];
    return block && !choices.some((choice, k) => this.free(i, choice, rects[k], 0)) ? "covering" : null;
  }

  /** Show a label in the best way for which there is room. */
  choose(i) {
    const ways = this.choices(i);
    const longer = ways.filter((way) => way.instead);
    if (longer.length) this.ways[i] = longer;
    for (const way of ways) if (!way.instead && this.fits(i, way, 0, this.shown.values())) break;
  }

  /** Return the ways to show a label, the best one first. */
  choices(i) {
    const label = this.labels[i];
    if (this.before !== null) {
      const last = this.before.get(i);
      return last === undefined ? basicChoices(label) : stayingChoices(label, last);
    }
    const hindrance = this.hindered(i);
    return hindrance === null ? basicChoices(label) : nearbyChoices(label, hindrance === "struck");
  }

  /** Show further lines of a brief label, if there is room in the end. */
  lengthen(i) {
    if (!this.shown.has(i)) return;
    const others = [...this.shown].filter(([label]) => label !== i).map(([, one]) => one);
    for (const way of this.ways[i] ?? []) if (this.fits(i, way, 0, others)) break;
  }

  /** Keep the shown labels where they are; further ones are placed beside them. */
  settle() {
    this.settled = [...this.shown.values()];
    this.shown = new Map();
  }

  /** Show the name of a block at its left or right. */
  chooseBeside(i) {
    const label = this.labels[i];
    if (label.align !== "below" || !label.span.some(Boolean) || label.fixed || label.small) return;
    const taken = [...this.settled, ...this.shown.values()];
    for (const count of lineCounts(label)) {
      for (const align of ["left", "right"]) if (this.fits(i, { ...basicWay(count), align }, APART, taken)) return;
    }
  }

  /** Show a label in one way if nothing is there; return whether it is shown. */
  fits(i, way, apart, others) {
    const rect = this.rect(i, way, this.needs(i, way));
    if (this.occupied.some((one) => rectsOverlap(rect, one))) return false;
    for (const other of others) if (rectsOverlap(rect, other.rect)) return false;
    if (this.lines !== null && !this.labels[i].fixed && this.struck(rect)) return false;
    if (!this.free(i, way, rect, apart)) return false;
    this.shown.set(i, { index: i, count: way.count, rect: this.rect(i, way), way });
    return true;
  }

  /** Return the width and height that a label needs beyond its size. */
  needs(i, way) {
    if (this.before === null || this.labels[i].small || way.count <= (this.before.get(i)?.count ?? 0)) return NOTHING;
    return NEW_NEEDS.map((pixels) => pixels * this.scale);
  }

  result() {
    return [...this.settled, ...this.shown.values()];
  }

  /** Return whether a line crosses the part of a rectangle that text fills. */
  struck([left, bottom, right, top]) {
    const edge = LABEL_EDGE * this.scale;
    return this.lines.crosses(left + edge, bottom + edge, right - edge, top - edge);
  }

  /**
   * Return whether a label is inside the picture and covers no block. A small label stands beside one cell of a block, so it
   * may cover blocks; other labels cover only their own block.
   */
  free(i, way, rect, apart) {
    const [left, bottom, right, top] = rect;
    if (left < 0 || bottom < 0 || right > this.size[0] || top > this.size[1]) return false;
    if (!this.labels[i].small) {
      const beside = apart * (right - left);
      if (meetsAny(this.inner, i, left - beside, bottom, right + beside, top)) return false;
    }
    if (!way.alone) return true;
    const margin = (top - bottom) / 2;
    return !meetsAny(this.outlines, i, left, bottom - margin, right, top + margin);
  }

  /** Return the rectangle of a label that is shown in one way, on whole pixels. */
  rect(i, way, beyond = NOTHING) {
    const label = this.labels[i];
    const align = way.align ?? label.align;
    const outline = this.around[i];
    const [width, height] = this.measure(label, way.count);
    const extent = [Math.ceil(width + beyond[0]), Math.ceil(height + beyond[1])];
    const offset = ANCHOR_OFFSET * this.scale;
    const corner = [0, 1].map((axis) => (outline[axis] + outline[axis + 2]) / 2 - extent[axis] / 2);
    const axis = align === "below" || align === "above" ? 1 : 0;
    const low = align === "below" || align === "left";
    corner[axis] = low ? outline[axis] - offset - extent[axis] : outline[axis + 2] + offset;
    const [x, y] = corner.map(roundEven);
    const right = roundEven(way.aside[0] * extent[0]);
    const up = roundEven(way.aside[1] * (align === "above" ? 1 : -1) * extent[1]);
    return [x + right, y + up, x + right + extent[0], y + up + extent[1]];
  }
}

/** Return whether a rectangle shares any area with one of many, four numbers each, other than that of the label `own`. */
function meetsAny(rects, own, left, bottom, right, top) {
  for (let k = 0; k < rects.length; k += 4) {
    if (left < rects[k + 2] && rects[k] < right && bottom < rects[k + 3] && rects[k + 1] < top && k !== 4 * own) return true;
  }
  return false;
}

/**
 * A way to show a label: the number of its lines; another side than its own; whether it takes the place of a shorter way
 * that is shown; an offset to the right and away from what it names; and whether it must stay away from other blocks,
 * because between two blocks it would seem to name the wrong one.
 */
function basicWay(count, instead = false) {
  return { count, align: null, instead, aside: [0, 0], alone: false };
}

function lineCounts(label) {
  return label.lines.length > 1 ? [label.lines.length, 1] : [label.lines.length];
}

/** Return the ways to show a label, the best one first. */
function basicChoices(label) {
  if (label.brief) return [basicWay(Math.min(1, label.lines.length)), basicWay(label.lines.length, true)];
  return lineCounts(label).map((count) => basicWay(count));
}

/** Return the ways to show a label at its place, on request near it, and on the other side of what it names. */
function nearbyChoices(label, aside) {
  const choices = basicChoices(label);
  const near = choices.flatMap((way) => (aside ? ASIDE : ASIDE.slice(0, 1)).map((offset) => ({ ...way, aside: offset })));
  const across = choices.map((way) => ({ ...way, align: OPPOSITE[label.align], alone: !aside }));
  return [...near, ...across];
}

/** Return the ways to show a label of a moving picture that was shown before: on the same side, whole if there is room. */
function stayingChoices(label, last) {
  const count = Math.min(last.count, label.lines.length);
  const counts = [...new Set([label.lines.length, count, Math.min(1, count)])];
  return counts.map((number) => ({ ...last, count: number, instead: false }));
}

/**
 * Return the part of an outline that text must not cover; NaN for an outline without area. It is smaller than the outline,
 * because a block that is seen at an angle does not fill its corners.
 */
function innerPart([left, bottom, right, top]) {
  const [width, height] = [right - left, top - bottom];
  if (!(width > 0 && height > 0)) return [NaN, NaN, NaN, NaN];
  return [left + 0.12 * width, bottom + 0.12 * height, left + 0.88 * width, bottom + 0.88 * height];
}
