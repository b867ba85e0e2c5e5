/**
 * Fonts, sizes and inks of all text, and texts that fit into a width.
 *
 * Sizes are in pixels of a picture 720 pixels high, as in `render/fonts.py`. The font is Inter; characters that it lacks
 * are drawn in a font of the browser.
 */

export const INK = [236, 240, 247];
export const QUIET = [150, 161, 180];
export const HALO = [6, 8, 12];
export const EDGE = [74, 86, 106];
export const TEXT_SIZES = { title: 19, text: 13, quiet: 11.5, caption: 16, name: 12, detail: 10.5, score: 10.5 };
/** Height of the upper end of the font above the baseline, as a share of its size. */
const ASCENT = 0.96875;
const BOLD = new Set(["title", "name", "score"]);
const FAMILY = '"nnviz3d Inter", "Inter", "DejaVu Sans", system-ui, sans-serif';
/** Most measured texts that are kept. */
const MOST_MEASURED = 20000;

let measuringContext = null;
let fontsAge = 0;
const measuredTexts = new Map();

/**
 * Make the bundled fonts available to all canvases of the document.
 *
 * @param {ArrayBuffer|Uint8Array} regular bytes of Inter-Regular.otf
 * @param {ArrayBuffer|Uint8Array} semiBold bytes of Inter-SemiBold.otf
 * @returns {Promise<void>} resolved when text can be drawn with them; texts that were drawn before are to be drawn again
 */
export async function loadFonts(regular, semiBold) {
  const faces = [
    [regular, "400"],
    [semiBold, "600"],
  ].map(([bytes, weight]) => new FontFace("nnviz3d Inter", bytes, { weight }));
  for (const face of await Promise.all(faces.map((one) => one.load()))) document.fonts.add(face);
  measuredTexts.clear();
  fontsAge += 1;
}

/** Return a number that changes when texts must be measured and drawn again, because other fonts were loaded. */
export function fontAge() {
  return fontsAge;
}

/** Return a colour of three bytes with an opacity as a CSS colour. */
export function inked(color, opacity = 1) {
  return `rgba(${color[0]},${color[1]},${color[2]},${opacity})`;
}

/** Return the size of a style's font in pixels; `scale` is 1 for a picture that is 720 pixels high. */
function fontSize(style, scale) {
  return Math.max(6, TEXT_SIZES[style] * scale);
}

/** Set the font of a canvas context. */
function setFont(context, style, scale) {
  context.font = `${BOLD.has(style) ? 600 : 400} ${fontSize(style, scale)}px ${FAMILY}`;
  context.fontKerning = "normal";
  context.textRendering = "geometricPrecision";
  context.direction = "ltr";
  context.textBaseline = "alphabetic";
}

/** Return the distance from the upper end of a line to its baseline, in whole pixels, so that text is crisp. */
export function ascent(style, scale) {
  return Math.ceil(fontSize(style, scale) * ASCENT);
}

/** Return the width of a text in pixels. */
export function textWidth(text, style, scale) {
  const key = `${style} ${scale} ${text}`;
  let width = measuredTexts.get(key);
  if (width === undefined) {
    if (measuringContext === null) measuringContext = document.createElement("canvas").getContext("2d");
    setFont(measuringContext, style, scale);
    width = measuringContext.measureText(text).width;
    if (measuredTexts.size >= MOST_MEASURED) measuredTexts.clear();
    measuredTexts.set(key, width);
  }
  return width;
}

/**
 * Write a text with a dark rim, which keeps it readable in front of anything.
 *
 * @param {number} y upper end of the line
 * @param {"left"|"center"|"right"} align position of `x` in the text
 * @param {number} rim opacity of the rim
 */
export function writeText(context, x, y, text, style, scale, ink, align = "left", rim = 0.745) {
  setFont(context, style, scale);
  context.textAlign = align;
  const baseline = Math.round(y) + ascent(style, scale);
  context.lineJoin = "round";
  context.lineWidth = 2 * Math.max(1, Math.round(1.6 * scale));
  context.strokeStyle = inked(HALO, rim);
  context.strokeText(text, x, baseline);
  context.fillStyle = inked(ink);
  context.fillText(text, x, baseline);
}

/** Cut a text that is wider than `width` pixels, and add an ellipsis. */
export function shortenText(text, style, scale, width) {
  if (textWidth(text, style, scale) <= width) return text;
  const characters = Array.from(text);
  let least = 0;
  let most = characters.length;
  while (least < most) {
    const middle = (least + most + 1) >> 1;
    if (textWidth(characters.slice(0, middle).join("") + "…", style, scale) <= width) least = middle;
    else most = middle - 1;
  }
  return characters.slice(0, least).join("").trimEnd() + "…";
}

/** Break a text between words into lines of at most `width` pixels; the last of `most` lines is cut. */
export function wrapText(text, style, scale, width, most) {
  const lines = [];
  let rest = text.split(" ");
  while (rest.length && lines.length < most - 1) {
    let count = 1;
    while (count < rest.length && textWidth(rest.slice(0, count + 1).join(" "), style, scale) <= width) count += 1;
    lines.push(shortenText(rest.slice(0, count).join(" "), style, scale, width));
    rest = rest.slice(count);
  }
  if (rest.length) lines.push(shortenText(rest.join(" "), style, scale, width));
  return lines;
}

/** Round to the nearest whole number, halves to the even one, as Python and NumPy do. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}
