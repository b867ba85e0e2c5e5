/**
 * Drawing of rows of panels: text, bars, gauges, colour scales, swatches, keys, pictures and curves.
 *
 * A laid out row is `{width, height, paint}`: whole pixels, and a function that draws it with its upper left corner at the
 * origin of a canvas context. Sizes are in pixels of a picture 720 pixels high, as in `render/rows.py`.
 */

import { EDGE, HALO, INK, QUIET, TEXT_SIZES, inked, roundEven, shortenText, textWidth, wrapText, writeText } from "./fonts.js";

/** Width of bars, scales and curves. */
const PANEL_WIDTH = 264;
/** Height of a curve above the upper end of its row, down to its axis. */
const CURVE_HEIGHT = 58;
/** Height of a picture in a row of a panel. */
const PICTURE_HEIGHT = 84;
/** Height of pictures side by side. */
const SIDE_BY_SIDE = 80;
/** Least distance of the texts of two ticks of a scale. */
const TICK_GAP = 5;
const LIT = [255, 176, 74];
/** Colour of the dots of a curve's second curve, and the most dots; more are drawn as a line. */
const DOT = [143, 196, 255];
const MOST_DOTS = 48;
/** Maximum number of lines of a text in each style, and their distance as a multiple of the font's size. */
const MOST_LINES = { title: 2, text: 4, quiet: 4, caption: 12 };
const LEADING = 1.35;

const LAYOUTS = {
  TextRow: textRow,
  BarRow: barRow,
  GaugeRow: gaugeRow,
  ScaleRow: scaleRow,
  SwatchRow: swatchRow,
  CurveRow: curveRow,
  KeyRow: (row, scale, widest) => keyRow(row, scale, widest, keyWidth(row, scale)),
  PictureRow: pictureRow,
  PicturesRow: picturesRow,
};

/** Lay out a row of a panel that is at most `widest` pixels wide. */
export function layRow(row, scale, widest) {
  return LAYOUTS[row.kind](row, scale, widest);
}

/** Return the width of the column of keys that a row needs, in pixels. */
export function keyWidth(row, scale) {
  return textWidth(row.key, "text", scale) + 20 * scale;
}

/** Lay out a key, and its effect `column` pixels to the right of the row's left edge. */
export function keyRow(row, scale, widest, column) {
  const lines = wrapText(row.text, "text", scale, widest - column - 6 * scale, MOST_LINES.text);
  const high = TEXT_SIZES.text * scale * LEADING;
  const width = column + Math.max(...lines.map((line) => textWidth(line, "text", scale))) + 6 * scale;
  return laidRow(width, 19.5 * scale + high * (lines.length - 1), (context) => {
    writeText(context, 3 * scale, 2 * scale, row.key, "text", scale, QUIET);
    lines.forEach((line, number) => {
      writeText(context, column, 2 * scale + high * number, line, "text", scale, INK);
    });
  });
}

function laidRow(width, height, paint) {
  return { width: Math.max(1, roundEven(width)), height: Math.max(1, roundEven(height)), paint };
}

function textRow(row, scale, widest) {
  const pad = 3 * scale;
  const lines = wrapText(row.text, row.style, scale, widest - 2 * pad, MOST_LINES[row.style]);
  const high = TEXT_SIZES[row.style] * scale;
  const ink = row.style === "quiet" ? QUIET : INK;
  const width = Math.max(...lines.map((line) => textWidth(line, row.style, scale)));
  return laidRow(width + 2 * pad + 1, high * (1.5 + LEADING * (lines.length - 1)), (context) => {
    lines.forEach((line, number) => {
      writeText(context, pad, high * (0.15 + LEADING * number), line, row.style, scale, ink);
    });
  });
}

function barRow(row, scale, widest) {
  const width = Math.min(PANEL_WIDTH * scale, widest);
  return laidRow(width, 23 * scale, (context) => {
    const ink = row.strong ? INK : QUIET;
    const name = shortenText(row.text, "text", scale, width - textWidth(row.value, "text", scale) - 18 * scale);
    writeText(context, 3 * scale, 0, name, "text", scale, ink);
    writeText(context, width - 3 * scale, 0, row.value, "text", scale, ink, "right");
    const top = Math.round(17.5 * scale);
    const height = Math.round(20 * scale) - top + 1;
    context.fillStyle = "rgba(255,255,255,0.102)";
    context.fillRect(3 * scale, top, width - 6 * scale, height);
    context.fillStyle = inked(row.strong ? LIT : [120, 132, 156]);
    if (row.share > 0) context.fillRect(3 * scale, top, (width - 6 * scale) * Math.min(row.share, 1), height);
  });
}

/** Return the width of a chart, and of the room at its left and right for the ends of its texts, in pixels. */
function chartWidths(scale, widest) {
  const side = roundEven(9 * scale);
  return { width: Math.max(1, Math.min(roundEven(PANEL_WIDTH * scale), Math.floor(widest) - 2 * side)), side };
}

function gaugeRow(row, scale, widest) {
  const { width, side } = chartWidths(scale, widest);
  return laidRow(width + 2 * side, 50 * scale, (context) => {
    const middle = 25 * scale;
    const half = 2.5 * scale;
    const across = (value) => side + clampedShare((value - row.low) / (row.high - row.low)) * width;
    context.fillStyle = "rgba(255,255,255,0.118)";
    fillRounded(context, side, middle - half, width, 2 * half, half);
    if (row.threshold !== null) {
      const x = across(row.threshold);
      context.fillStyle = inked(QUIET);
      const stroke = Math.max(1, Math.round(1.5 * scale));
      context.fillRect(x - stroke / 2, middle - 3 * half, stroke, 6 * half);
    }
    writeText(context, side, middle + 8 * scale, row.ends[0], "quiet", scale, INK);
    writeText(context, side + width, middle + 8 * scale, row.ends[1], "quiet", scale, INK, "right");
    if (Number.isNaN(row.value)) {
      writeText(context, side + width / 2, scale, row.text, "text", scale, INK, "center");
      return;
    }
    const x = across(row.value);
    // The bar begins at the number that means neither class, else at zero, else at the end next to zero.
    const start = across(row.threshold === null ? 0 : row.threshold);
    context.fillStyle = inked(LIT);
    context.fillRect(Math.min(start, x), middle - half, Math.abs(x - start), 2 * half);
    paintBall(context, x, middle, 5 * scale, scale);
    const room = textWidth(row.text, "text", scale) / 2;
    const at = Math.max(room + 2 * scale, Math.min(x, width + 2 * side - room - 2 * scale));
    writeText(context, at, scale, row.text, "text", scale, INK, "center");
  });
}

function scaleRow(row, scale, widest) {
  const { width, side } = chartWidths(scale, widest);
  return laidRow(width + 2 * side, 31 * scale, (context) => {
    const top = Math.round(2 * scale);
    const bottom = Math.round(12 * scale);
    const table = row.colormap.table.data;
    for (let x = 0; x < width; x += 1) {
      const at = (x + 0.5) / width;
      const k = 3 * Math.min(Math.floor(at * 256), 255);
      context.fillStyle = inked([table[k], table[k + 1], table[k + 2]]);
      context.fillRect(side + x, top, 1, bottom - top);
    }
    // Values that are not drawn are shown as a thin line, so that the scale shows the threshold too.
    context.fillStyle = "rgb(26,30,40)";
    for (const [low, high] of row.hidden) {
      const from = Math.max(0, Math.ceil(low * width - 0.5));
      const to = Math.min(width, Math.ceil(high * width - 0.5));
      context.fillRect(side + from, top, Math.max(0, to - from), Math.floor(((bottom - top) * 2) / 3));
    }
    const stroke = Math.max(1, Math.round(scale));
    const taken = [];
    // The ends are written first; a number between them for which there is no room has a tick alone.
    const isInner = ([share]) => share > 0 && share < 1;
    for (const [share, text] of [...row.ticks.filter((tick) => !isInner(tick)), ...row.ticks.filter(isInner)]) {
      const x = side + share * (width - 1);
      context.fillStyle = inked(QUIET);
      context.fillRect(Math.round(x - (stroke - 1) / 2), bottom, stroke, Math.round(3 * scale));
      const [align, place] = share <= 0 ? ["left", 0] : share >= 1 ? ["right", 1] : ["center", 0.5];
      const long = textWidth(text, "quiet", scale);
      const [low, high] = [x - place * long, x + (1 - place) * long];
      if (taken.some(([from, to]) => low - TICK_GAP * scale < to && high + TICK_GAP * scale > from)) continue;
      taken.push([low, high]);
      writeText(context, x, bottom + 4 * scale, text, "quiet", scale, INK, align);
    }
  });
}

function swatchRow(row, scale, widest) {
  const lengths = row.swatches.map(([, text]) => textWidth(text, "quiet", scale));
  const rooms = sharedRooms(lengths, widest - 28 * scale * lengths.length);
  const texts = row.swatches.map(([, text], i) => shortenText(text, "quiet", scale, rooms[i]));
  const widths = texts.map((text) => textWidth(text, "quiet", scale) + 28 * scale);
  const total = widths.reduce((sum, one) => sum + one, 0);
  return laidRow(total, 17 * scale, (context) => {
    let x = 0;
    row.swatches.forEach(([color], i) => {
      context.fillStyle = inked(color.map((c) => roundEven(c * 255)));
      fillRounded(context, Math.round(x + 4 * scale), Math.round(3 * scale), 9 * scale, 9 * scale, 2 * scale);
      writeText(context, x + 19 * scale, scale, texts[i], "quiet", scale, INK);
      x += widths[i];
    });
  });
}

/** Divide a width among texts: short ones take only what they need, and long ones share the rest. */
function sharedRooms(lengths, total) {
  const rooms = lengths.map(() => 0);
  let left = total;
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[a] - lengths[b]);
  order.forEach((i, done) => {
    rooms[i] = Math.min(lengths[i], left / (lengths.length - done));
    left -= rooms[i];
  });
  return rooms;
}

function pictureRow(row, scale, widest) {
  const [height, width] = row.pixels.shape;
  const pad = roundEven(3 * scale);
  const tall = Math.max(1, roundEven(Math.min(PICTURE_HEIGHT * scale, ((widest - 2 * pad) * height) / width)));
  const size = Math.max(1, roundEven((tall * width) / height));
  return laidRow(size + 2 * pad, tall + 2 * pad, (context) => drawPixels(context, row.pixels, pad, pad, size, tall));
}

function picturesRow(row, scale, widest) {
  const gap = 10 * scale;
  const shares = row.pictures.map(([, pixels]) => pixels.shape[1] / pixels.shape[0]);
  const sum = shares.reduce((total, share) => total + share, 0);
  const tall = Math.min(SIDE_BY_SIDE * scale, (widest - gap * (shares.length + 1)) / sum);
  return laidRow(sum * tall + gap * (shares.length - 1), tall + 18 * scale, (context) => {
    let left = 0;
    row.pictures.forEach(([text, pixels], i) => {
      const width = Math.max(1, roundEven(shares[i] * tall));
      drawPixels(context, pixels, roundEven(left), 0, width, Math.max(1, roundEven(tall)));
      const name = shortenText(text, "quiet", scale, width + gap / 2);
      writeText(context, left, tall + 2 * scale, name, "quiet", scale, INK);
      left += width + gap;
    });
  });
}

function curveRow(row, scale, widest) {
  const { width, side } = chartWidths(scale, widest);
  const top = roundEven(8 * scale);
  const bottom = roundEven(CURVE_HEIGHT * scale);
  return laidRow(width + 2 * side, bottom + 24 * scale, (context) => {
    const at = row.at.data;
    const values = row.values.data;
    let [low, high] = [0, 1];
    const dots = row.dots.data;
    const dotsAt = row.dots_at.data;
    const finite = [...values, ...dots].filter(Number.isFinite);
    // The axis begins at zero, or at the minimum if it is negative, so that one sees how close a loss is to zero.
    if (finite.length) [low, high] = [finite.reduce((a, b) => Math.min(a, b), 0), finite.reduce((a, b) => Math.max(a, b))];
    const first = dotsAt.reduce((a, b) => Math.min(a, b), at[0]);
    const end = dotsAt.reduce((a, b) => Math.max(a, b), at[at.length - 1]);
    const across = (step) => side + ((step - first) / Math.max(end - first, 1e-30)) * width;
    const down = (value) => bottom - clampedShare((value - low) / Math.max(high - low, 1e-30)) * (bottom - top);
    const xOf = (i) => across(at[i]);
    const yOf = (i) => down(values[i]);
    const thin = Math.max(1, Math.round(scale));
    context.fillStyle = inked(EDGE);
    context.fillRect(side, bottom - Math.floor(thin / 2), width, thin);
    context.lineWidth = Math.max(1, Math.round(1.6 * scale));
    context.lineJoin = "round";
    for (const [last, ink] of [
      [values.length - 1, EDGE],
      [row.now, LIT],
    ]) {
      context.strokeStyle = inked(ink);
      context.fillStyle = inked(ink);
      strokeRuns(context, values, last, xOf, yOf);
    }
    paintDots(context, dotsAt.map(across), dots.map(down), scale);
    if (Number.isFinite(values[row.now])) {
      const [x, y] = [xOf(row.now), yOf(row.now)];
      context.fillStyle = inked(LIT, 0.353);
      context.fillRect(Math.round(x - thin / 2), y, thin, bottom - y);
      paintBall(context, x, y, 4 * scale, scale);
    }
    writeText(context, side, bottom + 4 * scale, row.ends[0], "quiet", scale, QUIET);
    writeText(context, side + width, bottom + 4 * scale, row.ends[1], "quiet", scale, QUIET, "right");
  });
}

/** Draw the unbroken runs of finite numbers up to the index `last`; a number alone is a point. */
function strokeRuns(context, values, last, xOf, yOf) {
  for (let i = 0; i <= last; i += 1) {
    if (!Number.isFinite(values[i])) continue;
    const first = i;
    context.beginPath();
    context.moveTo(xOf(i), yOf(i));
    while (i < last && Number.isFinite(values[i + 1])) {
      i += 1;
      context.lineTo(xOf(i), yOf(i));
    }
    if (i > first) context.stroke();
    else context.fillRect(Math.round(xOf(i)), Math.round(yOf(i)), 1, 1);
  }
}

/** Draw a thin line through dots; if they are too close, only the line. */
function paintDots(context, x, y, scale) {
  context.strokeStyle = inked(DOT);
  context.fillStyle = inked(DOT);
  context.lineWidth = Math.max(1, Math.round(scale));
  strokeRuns(context, y, y.length - 1, (i) => x[i], (i) => y[i]);
  if (x.length > MOST_DOTS) return;
  y.forEach((at, i) => {
    if (!Number.isFinite(at)) return;
    context.beginPath();
    context.arc(x[i], at, 2.2 * scale, 0, 2 * Math.PI);
    context.fill();
  });
}

function paintBall(context, x, y, radius, scale) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = inked(HALO);
  context.fill();
  context.beginPath();
  context.arc(x, y, Math.max(0.5, radius - roundEven(1.5 * scale)), 0, 2 * Math.PI);
  context.fillStyle = inked(INK);
  context.fill();
}

/** Fill a rectangle with round corners. */
export function fillRounded(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, Math.min(radius, width / 2, height / 2));
  context.fill();
}

function clampedShare(share) {
  return Math.max(0, Math.min(1, share));
}

const pictureCanvases = new WeakMap();

/** Draw pixels, `(h, w, 3)` uint8 with the first row on top, each as a sharp rectangle. */
function drawPixels(context, pixels, x, y, width, height) {
  let canvas = pictureCanvases.get(pixels);
  if (canvas === undefined) {
    const [rows, columns] = pixels.shape;
    canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [columns, rows];
    const image = new ImageData(columns, rows);
    for (let i = 0; i < rows * columns; i += 1) {
      image.data.set(pixels.data.subarray(3 * i, 3 * i + 3), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    pictureCanvases.set(pixels, canvas);
  }
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, x, y, width, height);
}
