/** Cells of blocks in the form that the voxel shader reads; the same as `nnviz3d/render/voxels.py` makes for VTK. */

import { GraphicsError } from "./gl.js";

const LEVELS = 4;
/** All bits of a float32 but its sign. */
const MAGNITUDE = 0x7fffffff;
const RANKS = 255;
const SAMPLES = 20000;
/** Bits of a number below those by which its rank is looked up. */
const LOWER_BITS = 18;
/** Results of `knownLevels`, as long as their cells are used. */
const LEVELS_OF = new WeakMap();

/** Return how many slices of constant z stand side by side, and the number of rows, for an about square texture. */
function atlasTiles([z, y, x], largest) {
  const most = Math.floor(largest / Math.max(x, 1));
  const across = Math.max(1, Math.min(z, Math.round(Math.sqrt((z * y) / Math.max(x, 1))), most));
  return [across, Math.ceil(z / across)];
}

/**
 * Arrange the slices of a grid in one picture.
 *
 * @param {TypedArray} data Numbers in the order (z, y, x), x fastest.
 * @param {number[]} shape `[z, y, x]`
 * @param {number} largest Largest width and height of a texture.
 * @returns {{width, height, across, data}} Unused tiles are zero.
 */
function packAtlas(data, shape, largest) {
  const [z, y, x] = shape;
  const [across, rows] = atlasTiles(shape, largest);
  const [width, height] = [across * x, rows * y];
  if (width > largest || height > largest) {
    const most = (largest ** 2).toLocaleString("en");
    throw new GraphicsError(`${x} x ${y} x ${z} cells are too many for this browser's graphics: at most ${most} fit.`);
  }
  if (across === 1) return { width, height, across, data };
  const atlas = new data.constructor(width * height);
  let from = 0;
  for (let k = 0; k < z; ++k) {
    const start = Math.floor(k / across) * y * width + (k % across) * x;
    for (let j = 0; j < y; ++j, from += x) atlas.set(data.subarray(from, from + x), start + j * width);
  }
  return { width, height, across, data: atlas };
}

/** Return the larger one of two integers from 0 to 2^31 - 1. A branch, or `Math.max`, takes several times as long. */
function largerOf(one, other) {
  return one - ((one - other) & ((one - other) >> 31));
}

/** Return the largest number of each cube of two cells a side, without its sign bit: `{data, shape}`. */
function largestOfCubes(data, [z, y, x]) {
  const shape = [(z + 1) >> 1, (y + 1) >> 1, (x + 1) >> 1];
  const found = new Int32Array(shape[0] * shape[1] * shape[2]);
  let to = 0;
  for (let k = 0; k < z; k += 2) {
    const behind = k + 1 < z ? y * x : 0; // Cubes at an edge have fewer cells, which are read twice.
    for (let j = 0; j < y; j += 2) {
      const above = j + 1 < y ? x : 0;
      for (let i = 0; i < x; i += 2, ++to) {
        const right = i + 1 < x ? 1 : 0;
        const near = (k * y + j) * x + i;
        const far = near + behind;
        const one = largerOf(data[near] & MAGNITUDE, data[near + right] & MAGNITUDE);
        const two = largerOf(data[near + above] & MAGNITUDE, data[near + above + right] & MAGNITUDE);
        const three = largerOf(data[far] & MAGNITUDE, data[far + right] & MAGNITUDE);
        const four = largerOf(data[far + above] & MAGNITUDE, data[far + above + right] & MAGNITUDE);
        found[to] = largerOf(largerOf(one, two), largerOf(three, four));
      }
    }
  }
  return { data: found, shape };
}

/** Return the number of bounds that a number reaches; bounds ascend. */
function rankOf(bounds, number) {
  let [low, high] = [0, bounds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[middle] <= number) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The bits of positive float32 numbers, which are in the order of the numbers; those of NaN are above all. */
function magnitudes(data) {
  return new Int32Array(data.buffer, data.byteOffset, data.length);
}

/** Return at most 255 bounds, ascending, with about the same number of maxima between each two; as bits. */
function boundsOf(maxima) {
  const stride = Math.max(1, Math.floor(maxima.length / SAMPLES));
  const infinite = 0x7f800000;
  const some = [];
  for (let i = 0; i < maxima.length; i += stride) if (maxima[i] > 0 && maxima[i] < infinite) some.push(maxima[i]);
  const sorted = Int32Array.from(some).sort();
  // The first bound is the smallest number above zero, so that zeros are empty at any threshold.
  const chosen = new Set([1]);
  if (sorted.length) {
    for (let k = 0; k < RANKS - 1; ++k) chosen.add(sorted[Math.floor((k * (sorted.length - 1)) / (RANKS - 2))]);
  }
  return Int32Array.from(chosen).sort();
}

/** Return the rank of each positive number, as `rankOf` finds it. */
function ranksOf(bounds, numbers) {
  // The ranks of all numbers with the same upper bits begin with that of the least of them.
  const least = new Uint8Array((0x7fffffff >> LOWER_BITS) + 1);
  for (let i = 0, rank = 0; i < least.length; ++i) {
    while (rank < bounds.length && bounds[rank] <= i << LOWER_BITS) ++rank;
    least[i] = rank;
  }
  const ranks = new Int32Array(numbers.length);
  for (let i = 0; i < ranks.length; ++i) {
    const number = numbers[i];
    let rank = least[number >> LOWER_BITS];
    while (rank < bounds.length && bounds[rank] <= number) ++rank;
    ranks[i] = rank;
  }
  return ranks;
}

/** Put the ranks of the cubes of 2, 4, ... cells around each cell into the bytes above its own rank. */
function addRanksAround(ranks, [z, y, x], levels) {
  if (levels === 0) return;
  const cubes = largestOfCubes(ranks, [z, y, x]);
  addRanksAround(cubes.data, cubes.shape, levels - 1);
  for (let k = 0, to = 0; k < z; ++k) {
    for (let j = 0; j < y; ++j) {
      const row = ((k >> 1) * cubes.shape[1] + (j >> 1)) * cubes.shape[2];
      for (let i = 0; i < x; ++i, ++to) ranks[to] |= cubes.data[row + (i >> 1)] << 8;
    }
  }
}

/**
 * Return the ranks of the largest |numbers| around each 2 x 2 x 2 cells, for cubes of 2, 4, 8 and 16 cells a side.
 *
 * @param {{data: Float32Array, shape: number[]}} values Cells in the order (z, y, x).
 * @returns {{data: Uint8Array, shape: number[], bounds: Int32Array}} Four bytes for each such cube; see `rank_levels`.
 */
export function rankLevels(values) {
  const { data, shape } = largestOfCubes(magnitudes(values.data), values.shape);
  const bounds = boundsOf(data);
  const ranks = ranksOf(bounds, data);
  addRanksAround(ranks, shape, LEVELS - 1);
  return { data: new Uint8Array(ranks.buffer), shape, bounds };
}

/** Return what `rankLevels` returns; computed once, such as while the cells of other blocks are still on their way. */
export function knownLevels(values) {
  if (!LEVELS_OF.has(values)) LEVELS_OF.set(values, rankLevels(values));
  return LEVELS_OF.get(values);
}

/** Return the rank of a threshold: cubes of a lower rank have no cell that reaches it. */
export function thresholdRank(bounds, threshold) {
  return rankOf(bounds, magnitudes(Float32Array.of(Math.max(threshold, 0)))[0]);
}

/**
 * Return the range of cells outside of which all are below a threshold: `[first, end]`, each `[x, y, z]`.
 *
 * @param {{data: Uint8Array, shape: number[], bounds: Int32Array}} levels From `rankLevels`.
 * @param {number[]} shape `[z, y, x]` of the cells.
 * @param {number} rank From `thresholdRank`.
 */
export function shownRange(levels, shape, rank) {
  const [first, end] = [[0, 0, 0], [...shape].reverse()];
  if (rank === 0) return [first, end];
  const [z, y, x] = levels.shape;
  const [low, high] = [[x, y, z], [0, 0, 0]];
  for (let k = 0, at = 0; k < z; ++k) {
    for (let j = 0; j < y; ++j) {
      let [left, right] = [x, -1];
      for (let i = 0; i < x; ++i, at += LEVELS) {
        if (levels.data[at] < rank) continue;
        if (right < 0) left = i;
        right = i;
      }
      if (right < 0) continue;
      [left, j, k].forEach((one, axis) => (low[axis] = Math.min(low[axis], one)));
      [right, j, k].forEach((one, axis) => (high[axis] = Math.max(high[axis], one + 1)));
    }
  }
  if (high[0] === 0) return [first, first];
  return [low.map((one) => 2 * one), high.map((one, axis) => Math.min(2 * one, end[axis]))];
}

/** Return the textures of a grid: `{numbers, ranks, levels}`. */
export function packCells(values, largest) {
  const [z, y, x] = values.shape;
  const numbers = packAtlas(values.data, [z, y, x], largest);
  const levels = knownLevels(values);
  const ranks = packAtlas(new Uint32Array(levels.data.buffer), levels.shape, largest);
  ranks.data = new Uint8Array(ranks.data.buffer, ranks.data.byteOffset, ranks.data.byteLength);
  return { numbers, ranks, levels };
}
