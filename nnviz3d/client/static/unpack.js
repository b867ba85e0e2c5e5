// Packs of an exported file: compressed bytes as base64 in elements that no browser runs.
// nnviz3d/apps/export/html/packs.py says what they hold.

import { arrayFrom } from "./store.js";

/** What is said of a file that cannot be read. */
export const DAMAGED = "This file is incomplete or damaged; ask its sender for a whole copy, or export it again.";
const LONGEST_TEXT = 2 ** 28; // Bytes of a pack of words; a damaged or hostile pack may hold any number.
const SIZES = { uint8: 1, float16: 2, int32: 4, float32: 4, float64: 8 };

/** An error whose message is a sentence for the user. */
export class FileError extends Error {}

/**
 * Return the decompressed bytes of a pack, by its position in the file; the file then forgets the pack's text.
 *
 * @param {number} most The most bytes that the pack may hold.
 */
export async function readPack(number, most) {
  const element = document.getElementById(`pack-${number}`);
  if (element === null) throw new FileError(DAMAGED);
  try {
    const bytes = await inflated(fromBase64(element.textContent), most);
    element.remove();
    return bytes;
  } catch {
    throw new FileError(DAMAGED);
  }
}

/** Return the JSON value in a pack. */
export async function readJson(number) {
  const bytes = await readPack(number, LONGEST_TEXT);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new FileError(DAMAGED);
  }
}

/**
 * Return the arrays of a part in the form that a store takes.
 *
 * @param {{first_array: number, arrays: [string, number[], number][], groups: number[][], packs: number[]}} part
 * @param {(index: number) => {data: ArrayBufferView}} known Returns an array of an earlier part.
 */
export async function readArrays(part, known) {
  const { first_array, arrays, groups, packs } = part;
  const found = arrays.map(([dtype, shape]) => ({ dtype, shape, bytes: null }));
  const lengthOf = (index) => {
    const [dtype, shape] = arrays[index - first_array];
    return shape.reduce((product, n) => product * n, SIZES[dtype]);
  };
  const lengths = groups.map((group) => group.reduce((sum, index) => sum + lengthOf(index), 0));
  const whole = await Promise.all(packs.map((number, k) => readPack(number, lengths[k])));
  groups.forEach((group, k) => {
    if (whole[k].length !== lengths[k]) throw new FileError(DAMAGED);
    const size = SIZES[arrays[group[0] - first_array][0]];
    const bytes = unshuffled(whole[k], size);
    let at = 0;
    for (const index of group) {
      const array = found[index - first_array];
      const length = lengthOf(index);
      array.bytes = bytes.subarray(at, at + length);
      at += length;
    }
  });
  arrays.forEach(([, , , way, moments], k) => {
    if (way === undefined) return;
    const array = way < first_array ? known(way) : arrayFrom(found[way - first_array]);
    found[k].bytes = new Uint8Array(onSpline(array, moments).buffer);
  });
  arrays.forEach(([, , before], k) => {
    if (before < 0) return;
    const earlier = before < first_array ? known(before).data : found[before - first_array].bytes;
    addDifference(found[k].bytes, earlier);
  });
  return found;
}

/** Return the points at some moments of the way through the points of all steps, as `on_spline` of trajectory.py does. */
function onSpline({ data, shape: [steps, count] }, moments) {
  const found = new Float32Array(count * moments.length * 3);
  const size = 3 * count;
  moments.forEach((moment, j) => {
    const k = Math.floor(moment);
    const u = moment - k;
    const [a, b, c, d] = [k - 1, k, k + 1, k + 2].map((i) => size * Math.min(Math.max(i, 0), steps - 1));
    for (let i = 0; i < size; i += 1) {
      const [p, q, r, s] = [data[a + i], data[b + i], data[c + i], data[d + i]];
      const at = 3 * (Math.floor(i / 3) * moments.length + j) + (i % 3);
      found[at] = u === 0 ? q : q + (u / 2) * (r - p + u * (2 * p - 5 * q + 4 * r - s + u * (3 * (q - r) + s - p)));
    }
  });
  return found;
}

/** Turn the difference from an earlier array, in place, into the bits of the array. */
function addDifference(bytes, earlier) {
  const folded = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const base = new Uint32Array(earlier.buffer, earlier.byteOffset, earlier.byteLength / 4);
  for (let i = 0; i < folded.length; i += 1) {
    folded[i] = base[i] + ((folded[i] >>> 1) ^ -(folded[i] & 1));
  }
}

/** Put the bytes of each number together again. */
function unshuffled(bytes, size) {
  if (size === 1) return bytes;
  const count = bytes.length / size;
  if (!Number.isInteger(count)) throw new FileError(DAMAGED);
  const found = new Uint8Array(bytes.length);
  for (let place = 0; place < size; place += 1) {
    for (let i = 0, from = place * count, to = place; i < count; i += 1, from += 1, to += size) found[to] = bytes[from];
  }
  return found;
}

async function inflated(bytes, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const pieces = [];
  let length = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    pieces.push(next.value);
    length += next.value.length;
    if (!(length <= most)) {
      await reader.cancel();
      throw new FileError(DAMAGED);
    }
  }
  const found = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    found.set(piece, at);
    at += piece.length;
  }
  return found;
}

function fromBase64(text) {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}
