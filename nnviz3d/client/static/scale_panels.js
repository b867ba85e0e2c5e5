// The colour scales of a look, as nnviz3d/scene/views/legends.py writes them.

const cellCounts = new WeakMap();

/**
 * Return the panels with the colour scales, the number of drawn cells, and the numbers of odd values.
 *
 * @param {object[]} blocks The blocks of the shown quantity.
 * @param {object} look `what` the cells show, `threshold`, `normalize`, `layer`, and the rows of `odd` numbers.
 */
export function scalePanels(blocks, { what, threshold, normalize, layer, odd }) {
  const scales = [];
  const chosen = blocks.find(({ name }) => layer !== null && name === layer);
  if (chosen !== undefined) {
    scales.push(absoluteScale(chosen, layer, what));
  } else {
    for (const signed of [false, true]) {
      const alike = blocks.filter((one) => one.limits[0] < 0 === signed);
      if (alike.length === 0) continue;
      scales.push(normalize === "global" ? absoluteScale(alike[0], null, what) : relativeScale(alike, signed, what));
    }
  }
  if (scales.length === 0) return [];
  const cut = blocks.filter((one) => one.threshold > 0);
  if (cut.length > 0) {
    const shown = cut.reduce((sum, one) => sum + cellsFrom(one.values, one.threshold), 0);
    const total = cut.reduce((sum, one) => sum + one.values.data.length, 0);
    const cells = cut.length === blocks.length ? "cells" : "cells of maps";
    const reach = `${Math.round(100 * threshold)}% of the scale (drawn)`;
    scales[0].push(quietRow(`${grouped(shown)} of ${grouped(total)} ${cells} reach ${reach}`));
  }
  scales[scales.length - 1].push(...odd);
  return scales.map((rows, k) => ({ kind: "Panel", name: `scale/${k}`, corner: "bottom-left", rows }));
}

/** Write a number as `number` of nnviz3d/scene/colors.py does: three significant digits, and a minus sign. */
function shortNumber(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (size >= 1e5 || size < 1e-3) text = value.toExponential(1).replace("e+", "e");
  else if (size >= 100) text = value.toFixed(0);
  else text = String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}

const quietRow = (text) => ({ kind: "TextRow", text, style: "quiet" });
const legendRow = (colormap, ticks, hidden) => ({ kind: "ScaleRow", colormap, ticks, hidden });

function absoluteScale({ limits: [low, high], colormap, threshold }, of, what) {
  const lowest = low < 0 ? `≤ ${shortNumber(low)}` : shortNumber(low);
  const ticks = [[0, lowest], [0.5, shortNumber((low + high) / 2)], [1, `≥ ${shortNumber(high)}`]];
  const hidden = of === null ? [] : rangesBelow(high ? threshold / high : 0, low < 0);
  return [quietRow(`${what}, ${of ?? "one scale for all layers"}`), legendRow(colormap, ticks, hidden)];
}

function relativeScale(blocks, signed, what) {
  // A layer of zeros has no range of its own.
  let tops = blocks.filter(({ values }) => values.data.some((value) => value !== 0)).map(({ limits }) => limits[1]);
  if (tops.length === 0) tops = [0];
  const [low, high] = [Math.min(...tops), Math.max(...tops)];
  const span = low === high ? shortNumber(low) : `${shortNumber(low)} … ${shortNumber(high)}`;
  const ticks = signed ? [[0, "≤ −end"], [0.5, "0"], [1, "≥ end"]] : [[0, "0"], [0.5, "half"], [1, "≥ end"]];
  const shares = blocks.filter(({ limits }) => limits[1]).map(({ threshold, limits }) => threshold / limits[1]);
  const name = signed && what === "activation" ? `signed ${what}` : what;
  return [
    quietRow(`${name}; each layer's scale ends at ${span}`),
    legendRow(blocks[0].colormap, ticks, rangesBelow(Math.max(0, ...shares), signed)),
  ];
}

function rangesBelow(share, signed) {
  if (share <= 0) return [];
  return signed ? [[0.5 - share / 2, 0.5 + share / 2]] : [[0, share]];
}

/** Count the cells whose size reaches a threshold, which NumPy rounds to float32; NaN reaches none. */
function cellsFrom(values, threshold) {
  const kept = cellCounts.get(values);
  if (kept?.threshold === threshold) return kept.count;
  const least = Math.fround(threshold);
  const { data } = values;
  let count = 0;
  for (let i = 0; i < data.length; i += 1) if (Math.abs(data[i]) >= least) count += 1;
  cellCounts.set(values, { threshold, count });
  return count;
}

const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");
