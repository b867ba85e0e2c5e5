/**
 * Records and arrays of draw lists, as `nnviz3d/client/encoding.py` encodes them.
 *
 * The same index always gives the same object, so that drawers can tell by identity what has changed.
 */

const TYPED = {
  uint8: Uint8Array,
  int32: Int32Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** Return the bits of a float16 as a number. */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Turn the bytes of an array into `{data, shape, dtype}`; the numbers of a float16 array become float32. */
export function arrayFrom({ dtype, shape, bytes }) {
  const kind = TYPED[dtype];
  const count = shape.reduce((product, length) => product * length, 1);
  if (kind === undefined || bytes.byteLength !== count * kind.BYTES_PER_ELEMENT) {
    throw new Error("An array of the picture is damaged.");
  }
  const aligned = bytes.byteOffset % kind.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const data = new kind(aligned.buffer, aligned.byteOffset, count);
  return { data: dtype === "float16" ? Float32Array.from(data, halfToNumber) : data, shape, dtype };
}

export class Store {
  constructor() {
    this.records = new Map();
    this.arrays = new Map();
  }

  /**
   * Add records and arrays.
   *
   * @param {{first_record: number, records: object[], first_array: number, arrays: object[]}} additions
   *   Each array is `{dtype, shape, bytes}`, with `bytes` a Uint8Array.
   */
  add({ first_record, records, first_array, arrays }) {
    arrays.forEach((array, i) => this.arrays.set(first_array + i, arrayFrom(array)));
    records.forEach((record, i) => this.records.set(first_record + i, this.#resolved(record)));
  }

  /** Forget records and arrays, by their indices. */
  forget({ records, arrays }) {
    records.forEach((index) => this.records.delete(index));
    arrays.forEach((index) => this.arrays.delete(index));
  }

  /** Return the draw list of a frame: `{background, primitives}`. */
  frame({ background, primitives }) {
    return { background, primitives: primitives.map((index) => this.#known(this.records, index)) };
  }

  /** Return a record by its index, with its records and arrays in place. */
  record(index) {
    return this.#known(this.records, index);
  }

  /** Return an array by its index: `{data, shape}`. */
  array(index) {
    return this.#known(this.arrays, index);
  }

  #known(table, index) {
    if (!table.has(index)) throw new Error("The picture lacks one of its parts.");
    return table.get(index);
  }

  #resolved(record) {
    const { like, ...own } = record;
    const found = like === undefined ? {} : { ...this.#known(this.records, like) };
    for (const [key, value] of Object.entries(own)) found[key] = this.#value(value);
    return Object.freeze(found);
  }

  #value(value) {
    if (Array.isArray(value)) return value.map((one) => this.#value(one));
    if (value === null || typeof value !== "object") return value;
    if ("r" in value) return this.#known(this.records, value.r);
    if ("a" in value) return this.#known(this.arrays, value.a);
    return Number(value.x);
  }
}
