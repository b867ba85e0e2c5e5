/** All text of a picture on a 2D canvas in front of it: panels, boards, callouts and labels. */

import { boardWidest, drawBrackets, placeBoard, placeCallout } from "./callouts.js";
import { EDGE, HALO, INK, QUIET, TEXT_SIZES, fontAge, inked, roundEven, textWidth, writeText } from "./fonts.js";
import { boxOutline, linesOnScreen, placeLabels } from "./label_placement.js";
import { inCorner, isNarrow, isTooHigh, leftOutNote, narrowedPanels, panelWidest, placePanels } from "./panels.js";
import { pictureOfPoint, pictureProjection, placePictures } from "./point_pictures.js";
import { fillRounded, keyRow, keyWidth, layRow } from "./rows.js";

const BOARD = [13, 17, 25];
/** Most characters that screen readers are told. */
const MOST_TOLD = 4000;
/** Width and height of the picture in which text, lines and margins have scale 1. */
const REFERENCE = [1280, 720];
const LEAST_SCALE = 0.6;

/**
 * Return the factor for the sizes of text and lines; 1 in a picture of 1280 x 720 pixels.
 *
 * @param {number[]} size width and height of the canvas in pixels
 * @param {number} factor pixels of the canvas for each pixel of the page, times the enlargement of small pictures' text
 */
export function pictureScale([width, height], factor) {
  return Math.max(LEAST_SCALE * factor, Math.min(width / REFERENCE[0], height / REFERENCE[1]));
}
/**
 * Draws all text of draw lists; what was drawn for a record is kept as long as the record.
 *
 * `placed` is what was placed last: the shown `labels` as `placeLabels` returns them, and the rectangles `occupied` by panels
 * and words, `[left, bottom, right, top]` in pixels from the lower left.
 */
export class TextLayer {
  /** @param {HTMLCanvasElement} canvas a transparent canvas as large as the picture, in front of it */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    canvas.setAttribute("role", "img");
    this.placed = { labels: [], occupied: [] };
    this.ways = new Map();
    this.sides = new Map();
    this.note = null;
    this.forget(0);
  }

  /**
   * Place and draw the text of a picture; takes what `arrange` takes.
   */
  place(drawList, matrix, size, scale, moving = false) {
    this.show(this.arrange(drawList, matrix, size, scale, moving), size);
  }

  /**
   * Return the text of a picture at its places, for `show`.
   *
   * @param {{primitives: object[]}} drawList
   * @param {ArrayLike<number>} matrix 16 numbers, row by row: world to clip coordinates
   * @param {number[]} size width and height of the canvas in pixels
   * @param {number} scale 1 for a picture that is 720 pixels high
   * @param {boolean} moving whether other pictures follow at once, so that labels should stay as they are
   */
  arrange(drawList, matrix, size, scale, moving = false) {
    if (this.scale !== scale || this.age !== fontAge()) this.forget(scale);
    const parts = partsOf(drawList);
    const { sprites, occupied } = this.panels(parts.panels, size);
    const pictures = parts.pictured.flatMap((cloud) => this.pictures(cloud, matrix, size, occupied));
    const boards = parts.boards.map((panel) => this.board(panel, size, occupied));
    const around = parts.labels.map((label) => boxOutline(label.anchor, label.span, matrix, size));
    const callouts = parts.callouts.flatMap((one) => this.callout(one, matrix, size, occupied, around, moving));
    const lines = moving ? null : linesOnScreen(parts.avoided, matrix, size);
    const measure = (label, count) => this.extent(label, count);
    const keys = labelKeys(parts.labels);
    const before = moving && this.ways.size ? new Map() : null;
    if (before !== null) keys.forEach((key, i) => this.ways.has(key) && before.set(i, this.ways.get(key)));
    const labels = placeLabels(parts.labels, around, measure, size, scale, occupied, lines, before);
    this.ways = new Map(labels.map(({ index, way }) => [keys[index], way]));
    this.placed = { labels, occupied };
    for (const { index, count, rect } of labels) {
      sprites.push({ sprite: this.label(parts.labels[index], count), left: rect[0], bottom: rect[1] });
    }
    if (!moving) this.tell(parts);
    return [...pictures, ...sprites, ...callouts, ...boards];
  }

  /** Forget all sprites, because the scale or the fonts changed. */
  forget(scale) {
    this.scale = scale;
    this.age = fontAge();
    this.extents = new WeakMap();
    this.sprites = new WeakMap();
    this.shown = null;
    this.made = 0;
  }

  /** Give the canvas its size, and draw sprites and brackets, each in front of those before it, unless they are there. */
  show(placed, size) {
    const key = JSON.stringify([size, placed.map(({ sprite, left, bottom, mark }) => [sprite?.number, left, bottom, mark])]);
    if (key === this.shown) return;
    this.shown = key;
    // The canvas gets its size here only, because that erases it.
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    else this.context.clearRect(0, 0, ...size);
    for (const { sprite, left, bottom, mark } of placed) {
      if (sprite === undefined) drawBrackets(this.context, mark, this.scale, size[1]);
      else this.context.drawImage(sprite.canvas, Math.round(left), size[1] - Math.round(bottom) - sprite.height);
    }
  }

  /** Tell screen readers what the picture says. */
  tell({ panels, boards, callouts, labels }) {
    const rows = [...panels, ...boards, ...callouts].flatMap((one) => one.rows);
    const words = rows.flatMap((row) => [row.key, row.text, row.kind === "BarRow" ? row.value : null].filter(Boolean));
    const names = this.placed.labels.map(({ index, count }) => labels[index].lines.slice(0, count).join(", "));
    const text = [...words, ...names].join(". ").slice(0, MOST_TOLD);
    if (text !== this.canvas.getAttribute("aria-label")) this.canvas.setAttribute("aria-label", text);
  }

  panels(panels, size) {
    const narrow = isNarrow(size, this.scale);
    const widestOf = ({ corner }) => {
      const beside = panels.filter((other) => other.corner === corner).length;
      return panelWidest(corner, beside, size, this.scale);
    };
    const drawn = (panel, widest = widestOf(panel)) => {
      const sprite = this.kept(panel, `${widest} ${narrow}`, () => panelSprite(panel, this.scale, widest, narrow));
      return { corner: panel.corner, width: sprite.width, height: sprite.height, sprite };
    };
    const sprites = panels.map((panel) => drawn(panel));
    narrowedPanels(sprites, size, this.scale).forEach((widest, one) => {
      const [k, found] = [sprites.indexOf(one), drawn(panels[sprites.indexOf(one)], widest)];
      if (isTooHigh(one, size) || !isTooHigh(found, size)) sprites[k] = found;
    });
    const note = leftOutNote(sprites, size);
    if (note !== null) sprites.push(drawn(this.known(note)));
    const placed = placePanels(sprites, size, this.scale);
    return {
      sprites: placed.map(({ panel, left, bottom }) => ({ sprite: panel.sprite, left, bottom })),
      occupied: placed.map(({ rect }) => rect),
    };
  }

  /** Return the note that was shown before if it is the same, so that it is drawn once. */
  known(note) {
    if (JSON.stringify(note) !== JSON.stringify(this.note)) this.note = note;
    return this.note;
  }

  board(panel, size, occupied) {
    const sprite = this.boardOf(panel, size);
    const rect = placeBoard(panel.corner, [sprite.width, sprite.height], size, this.scale, occupied);
    // Labels keep clear of a caption.
    if (panel.corner === "caption") occupied.push(rect);
    const [left, bottom] = rect;
    return { sprite, left, bottom };
  }

  callout(callout, matrix, size, occupied, around, moving) {
    const sprite = this.boardOf(callout, size);
    const extent = [sprite.width, sprite.height];
    const before = moving ? (this.sides.get(callout.name) ?? null) : null;
    const { marks, words, side } = placeCallout(callout, matrix, size, this.scale, extent, occupied, around, before);
    this.sides.set(callout.name, side);
    const brackets = marks.map((mark) => ({ mark }));
    if (words === null) return brackets;
    occupied.push(words);
    return [...brackets, { sprite, left: words[0], bottom: words[1] }];
  }

  boardOf(record, size) {
    const widest = boardWidest(record.corner, size, this.scale);
    return this.kept(record, `${widest}`, () => boardSprite(record.rows, this.scale, widest));
  }

  pictures(cloud, matrix, size, occupied) {
    const { project, pixel } = pictureProjection(matrix, size);
    return placePictures(cloud, project, pixel, size, this.scale, occupied).map((one) => ({
      sprite: this.kept(cloud, `${one.number} ${one.kind}`, () => pictureOfPoint(cloud, one, this.scale)),
      left: one.left,
      bottom: size[1] - one.top - one.height,
    }));
  }

  extent(label, count) {
    let extents = this.extents.get(label);
    if (extents === undefined) this.extents.set(label, (extents = []));
    if (extents[count] === undefined) {
      const { width, height } = labelMeasures(label.lines.slice(0, count), this.scale, label.small);
      extents[count] = [width, height];
    }
    return extents[count];
  }

  label(label, count) {
    const draw = () => labelSprite(label.lines.slice(0, count), label.emphasis, this.scale, label.small);
    return this.kept(label, `${count}`, draw);
  }

  /** Return the sprite of a record in one form, which is drawn once. */
  kept(record, form, draw) {
    let sprites = this.sprites.get(record);
    if (sprites === undefined) this.sprites.set(record, (sprites = new Map()));
    let sprite = sprites.get(form);
    if (sprite === undefined) {
      sprite = draw();
      this.made += 1;
      sprite.number = this.made;
      sprites.set(form, sprite);
    }
    return sprite;
  }
}

/** Return the parts of a draw list that are drawn as text, and the lines that labels keep clear of. */
function partsOf(drawList) {
  const parts = { panels: [], boards: [], callouts: [], labels: [], avoided: [], pictured: [] };
  for (const one of drawList.primitives) {
    if (one.kind === "Panel") (inCorner(one) ? parts.panels : parts.boards).push(one);
    else if (one.kind === "Callout") parts.callouts.push(one);
    else if (one.kind === "Labels") parts.labels.push(...one.labels);
    else if (one.kind === "Lines" && one.avoided) parts.avoided.push(one.points);
    else if (one.kind === "Points" && one.pictures) parts.pictured.push(one);
  }
  return parts;
}

const positionTexts = new WeakMap();

/** Return the identity of each label: its position, because its text may change, and the number of earlier ones there. */
function labelKeys(labels) {
  const counts = new Map();
  return labels.map((label) => {
    let text = positionTexts.get(label);
    if (text === undefined) positionTexts.set(label, (text = `${label.anchor} ${label.align} ${label.span}`));
    const count = counts.get(text) ?? 0;
    counts.set(text, count + 1);
    return `${text} ${count}`;
  });
}

/** Return a sprite: a small canvas with its width and height, and a context to draw on. */
function newSprite(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return { canvas, width, height, context: canvas.getContext("2d") };
}

/** Return the styles, the edge, the widths and heights of the lines, and the width and height of a label in pixels. */
function labelMeasures(lines, scale, small) {
  const styles = lines.map((_, k) => (k ? "detail" : small ? "score" : "name"));
  const pad = roundEven((small ? 0 : 4) * scale);
  const widths = lines.map((line, k) => textWidth(line, styles[k], scale));
  const heights = styles.map((style) => roundEven(TEXT_SIZES[style] * scale * (small ? 1.24 : 1.3)));
  const width = Math.floor(Math.max(...widths)) + 2 * pad + 1;
  const height = heights.reduce((sum, one) => sum + one, 0) + 2 * pad;
  return { styles, pad, widths, heights, width, height };
}

/** Draw a label: the first line is bright, the others are grey. */
function labelSprite(lines, emphasis, scale, small) {
  const { styles, pad, widths, heights, width, height } = labelMeasures(lines, scale, small);
  const sprite = newSprite(width, height);
  const context = sprite.context;
  // A dark background keeps the text readable in front of a line.
  context.fillStyle = inked(HALO, 0.588);
  fillRounded(context, 0, 0, width, height, 3 * scale);
  let y = pad;
  lines.forEach((line, k) => {
    const ink = (styles[k] === "detail" ? QUIET : INK).map((c) => roundEven(c * (0.35 + 0.65 * emphasis)));
    // The rim and the background together have the opacity that the rim has elsewhere.
    writeText(context, pad + (Math.max(...widths) - widths[k]) / 2, y, line, styles[k], scale, ink, "left", 0.381);
    y += heights[k];
  });
  return sprite;
}

/** Draw a panel whose rows are at most `widest` pixels wide; `atLeft`: they begin at the left, whatever the corner. */
function panelSprite(panel, scale, widest, atLeft) {
  const rows = panel.rows.map((row) => layRow(row, scale, widest));
  const pad = roundEven(14 * scale);
  return rowsSprite(rows, pad, panel.corner.endsWith("right") && !atLeft, (context, width, height) => {
    // The shadow is invisible on the dark background; in front of bright blocks it keeps the text readable. It is drawn as
    // the shadow of a rectangle outside the canvas, which all browsers can do.
    context.shadowColor = inked(HALO, 0.588);
    context.shadowBlur = (2 * pad) / 3;
    context.shadowOffsetX = 2 * width;
    context.fillStyle = "rgb(0,0,0)";
    fillRounded(context, pad / 2 - 2 * width, pad / 2, width - pad, height - pad, pad);
    context.shadowColor = "transparent";
  });
}

/** Draw rows on a dark board with a thin edge, which is readable in front of anything. */
function boardSprite(rows, scale, widest) {
  const column = Math.max(0, ...rows.filter((row) => row.kind === "KeyRow").map((row) => keyWidth(row, scale)));
  const laid = rows.map((row) => (row.kind === "KeyRow" ? keyRow(row, scale, widest, column) : layRow(row, scale, widest)));
  return rowsSprite(laid, roundEven(9 * scale), false, (context, width, height) => {
    const edge = Math.max(1, roundEven(scale));
    context.fillStyle = inked(BOARD, 0.965);
    fillRounded(context, 0, 0, width, height, 5 * scale);
    context.strokeStyle = inked(EDGE);
    context.lineWidth = edge;
    context.beginPath();
    context.roundRect(edge / 2, edge / 2, width - edge, height - edge, 5 * scale - edge / 2);
    context.stroke();
  });
}

/** Draw laid out rows one below the other, `pad` pixels inside a ground that `paintGround` draws. */
function rowsSprite(rows, pad, toRight, paintGround) {
  const width = Math.max(...rows.map((row) => row.width)) + 2 * pad;
  const sprite = newSprite(width, rows.reduce((sum, row) => sum + row.height, 0) + 2 * pad);
  const context = sprite.context;
  paintGround(context, width, sprite.height);
  let y = pad;
  for (const row of rows) {
    context.save();
    context.translate(toRight ? width - pad - row.width : pad, y);
    row.paint(context);
    context.restore();
    y += row.height;
  }
  return sprite;
}
