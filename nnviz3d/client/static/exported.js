// The content of an exported file: its words, and its tables of frames, which are read one part after the other.

import { FieldMarks } from "./field_marks.js";
import { Looks } from "./looks.js";
import { PickWords } from "./pick_words.js";
import { Store } from "./store.js";
import { DAMAGED, FileError, readArrays, readJson } from "./unpack.js";

const FORMAT = 1;
const MOST_MOMENTS = 10000; // Of one table; a damaged or edited file may state any number.

/** Frames of one layout, sample and quantity. */
class FrameTable {
  constructor(words, page, store, fields) {
    this.fields = fields;
    this.words = words;
    this.store = store;
    this.looks = new Looks(words, page.looks, store, page.layers.map(({ id }) => id));
    this.lists = [];
    this.drawn = new Map();
    this.picks = new Map();
    let now = [];
    for (const changes of words.frames) {
      now = this.lists.length === 0 ? changes : changes[0] === -1 ? changes.slice(1) : now.slice();
      if (this.lists.length > 0 && changes[0] !== -1) {
        for (let i = 0; i < changes.length; i += 2) now[changes[i]] = changes[i + 1];
      }
      this.lists.push(now);
    }
    if (!(words.runs.reduce((sum, count) => sum + count, 0) <= MOST_MOMENTS)) throw new FileError(DAMAGED);
    // The number of the frame at each moment.
    this.at = words.runs.flatMap((count, number) => Array(count).fill(number));
  }

  /** Return the draw list of a moment, as it looks with some choices. */
  frame(moment, look) {
    return this.looks.apply(this.#plain(moment), look);
  }

  /** Return what can be picked at a moment. */
  pickWords(moment) {
    const record = this.words.picks[this.words.pick_of[this.#number(moment)]];
    if (!this.picks.has(record)) this.picks.set(record, new PickWords(this.store.record(record)));
    return this.picks.get(record);
  }

  /** Return the draw list of a moment, with the marks of a pick. */
  marked(moment, look, pick) {
    const frame = this.frame(moment, look);
    const own = this.pickWords(moment).marks(pick, this.#plain(moment));
    const marks = [...own, ...(own.length > 0 && pick.kind === "cell" ? (this.fields?.marks(pick, this.words.layout) ?? []) : [])];
    return marks.length > 0 ? { ...frame, primitives: [...frame.primitives, ...marks] } : frame;
  }

  /** Return what a hit on a frame means, for all samples and moments; null if it means nothing. */
  pick(moment, hit) {
    const words = this.pickWords(moment);
    return hit === null ? null : words.pick({ ...hit, primitive: this.looks.original(hit.primitive) });
  }

  #number(moment) {
    return this.at[Math.min(Math.max(moment, 0), this.at.length - 1)];
  }

  #plain(moment) {
    const number = this.#number(moment);
    if (!this.drawn.has(number)) {
      const { background } = this.words;
      this.drawn.set(number, this.store.frame({ background, primitives: this.lists[number] }));
    }
    return this.drawn.get(number);
  }
}

/** An exported file. Make one with `ExportedFile.open`. */
export class ExportedFile {
  /** Read the words of the page's file. */
  static async open() {
    const words = await readJson(0);
    if (words.format !== FORMAT) {
      throw new FileError(`This file has the format ${words.format}, which its own script does not know.`);
    }
    return new ExportedFile(words);
  }

  constructor(words) {
    this.words = words;
    this.store = new Store();
    this.fields = words.fields === null ? null : new FieldMarks(words.fields);
    this.tables = new Map();
    this.reading = Promise.resolve();
    this.read = 0;
  }

  /** Whether the next part has to be read. */
  get more() {
    return this.read < this.words.parts.length;
  }

  /** Read the next part; its table can then be shown. */
  next() {
    const number = this.read;
    this.read += 1;
    this.reading = this.reading.then(() => this.#part(this.words.parts[number]));
    return this.reading;
  }

  /** Return a table, or the one that is nearest to it of those that were read. */
  table({ layout, sample, quantity }) {
    const found = [...this.tables.values()];
    const closeness = ({ words }) =>
      4 * (words.sample === sample) + 2 * (words.quantity === quantity) + (words.layout === layout);
    return found.reduce((best, one) => (closeness(one) > closeness(best) ? one : best));
  }

  /** Return why a number of a sample is what it is, as the Python module pick_sums tells; null if the file does not say. */
  sum(sample, { layer, index }) {
    const { sums } = [...this.tables.values()].map(({ words }) => words).find((one) => one.sample === sample && one.sums.length > 0) ?? {};
    return sums?.find((one) => one.layer === layer && one.index.join() === index.join()) ?? null;
  }

  /** Whether a table with a value is in the file, as far as it was read. */
  holds(name, value) {
    return [...this.tables.values()].some(({ words }) => words[name] === value);
  }

  async #part(part) {
    const [{ records, table }, arrays] = await Promise.all([
      readJson(part.text),
      readArrays(part, (index) => this.store.array(index)),
    ]);
    const { first_record, first_array } = part;
    this.store.add({ first_record, records, first_array, arrays });
    this.tables.set(JSON.stringify([table.layout, table.sample, table.quantity]), new FrameTable(table, this.words, this.store, this.fields));
  }
}
