// Descriptions and marks of picks without a capture, from the tables of nnviz3d/client/pick_tables.py.

import { CellGrid, flattened, unflattened } from "./cell_grid.js";
import { exactNumber, halfNumber } from "./numbers.js";
import { calloutOf, framesOf, glowOf, rectanglesOf } from "./pick_marks.js";

const MOST_CHANNELS = 4; // Maximum number of a location's numbers that are written.

/** What can be picked in some frames of one sample. */
export class PickWords {
  /** @param {object} table A PickTable, as `Store.record` gives it. */
  constructor(table) {
    this.scientific = table.scientific;
    this.slopes = table.slopes;
    this.layers = new Map(table.layers.map((layer) => [layer.layer, new LayerWords(layer, table.scientific)]));
    this.sources = new Map(table.sources.map(({ source, locations }) => [source, locations]));
    this.parts = new Map(table.parts.map(({ primitive, picks }) => [primitive, picks.data]));
    this.sheets = new Map(table.sheets.map((sheet) => [sheet.source, sheet]));
    this.picks = table.picks;
    this.named = new Map(table.picks.map((pick) => [pick.name, pick]));
    this.last = { pick: null, drawList: null, marks: [] };
  }

  /**
   * Return the pick that a hit means, a plain object that holds for all samples and times; null if it means nothing.
   * @param {object} hit As `pick` of picking.js returns it, on one of the frames' primitives.
   */
  pick(hit) {
    if (!hit) return null;
    const { primitive } = hit;
    const picks = this.parts.get(primitive);
    if (picks) {
      const part = partNumber(hit);
      const found = this.picks[picks.length === 1 ? picks[0] : picks[part]];
      const cloud = primitive.kind === "Points" ? primitive.name : null;
      return found ? { kind: "marked", name: found.name, cloud, part } : null;
    }
    if (this.sheets.has(primitive.source)) {
      const { flat } = this.sheets.get(primitive.source);
      const part = partNumber(hit);
      return flat.data[part] < 0 ? null : { kind: "sheet", block: primitive.name, part };
    }
    if (!this.sources.has(primitive.source)) return null;
    if (hit.kind === "LineHit") return this.#edge(primitive, hit.number);
    const layer = this.layers.get(primitive.source.layer);
    const index = layer?.indexOf(hit, this.sources.get(primitive.source)) ?? null;
    return index && { kind: "cell", layer: layer.name, index };
  }

  /** Return the pick of a number of a layer, or of a location with all its channels; null if the layer is not shown. */
  pickCell(layer, index) {
    return this.layers.has(layer) ? { kind: "cell", layer, index } : null;
  }

  /**
   * Return the primitives that mark and describe a pick in a picture; none if the sample lacks it. They are the same
   * objects while they do not change.
   */
  marks(pick, drawList) {
    if (!pick) return [];
    const still = pick.kind === "cell" || pick.kind === "edge";
    const tiles = pick.kind === "cell" ? spreadTiles(pick.layer, drawList) : null;
    if (this.last.pick !== pick || this.last.tiles !== tiles || !(still || this.last.drawList === drawList)) {
      this.last = { pick, drawList, tiles, marks: this.#marks(pick, drawList, tiles) };
    }
    return this.last.marks;
  }

  #marks(pick, drawList, tiles) {
    if (pick.kind === "cell") return this.layers.get(pick.layer)?.marks(pick.index, tiles) ?? [];
    if (pick.kind === "sheet") return this.#sheetMarks(pick, drawList);
    return pick.kind === "edge" ? this.#edgeMarks(pick) : this.#marked(pick, drawList);
  }

  #sheetMarks({ block: name, part }, drawList) {
    const block = drawList.primitives.find((one) => one.kind === "Voxels" && one.name === name);
    const sheet = block && this.sheets.get(block.source);
    if (!sheet || part >= block.values.data.length) return [];
    const index = unflattened(sheet.flat.data[part], sheet.words.shape);
    const cell = unflattened(part, block.values.shape).reverse();
    const origin = block.origin.map((low, axis) => low + cell[axis] * block.cell[axis]);
    const spans = [{ kind: "Span", origin, size: block.cell }];
    const value = writtenNumbers([block.values.data[part]], 1, isHalf(block.values), this.scientific);
    const { title, more } = sheet.words;
    return [
      framesOf(spans),
      calloutOf(spans, { title: inWords(title, index), value, parts: [], more: more.map((words) => inWords(words, index)) }),
    ];
  }

  #edge({ ends, points }, number) {
    if (!this.layers.has(ends.source) || !this.layers.has(ends.target)) return null;
    const [, count] = points.shape;
    return {
      kind: "edge",
      source: ends.source,
      target: ends.target,
      ends: [ends.index.data[2 * number], ends.index.data[2 * number + 1]],
      weight: ends.weight.data[number],
      path: [...points.data.subarray(3 * number * count, 3 * (number + 1) * count)],
    };
  }

  #edgeMarks({ source, target, ends, weight, path }) {
    const layers = [this.layers.get(source), this.layers.get(target)];
    if (!layers[0] || !layers[1]) return [];
    const indices = layers.map((layer, k) => unflattened(ends[k], layer.grid.shape));
    if (!layers.every((layer, k) => layer.held.holds(indices[k]))) return [];
    const spans = layers.map((layer, k) => layer.span(indices[k]));
    const [activation] = layers[0].numbers(layers[0].values, indices[0]).values;
    // Adding 0 turns -0.0 into 0.0.
    const numbers = [
      ["weight", weight],
      ["activation", activation],
      ["contribution", Math.fround(weight * activation) + 0],
    ];
    const slope = this.#slope(source, target, ends);
    const half = [false, isHalf(layers[0].values), isHalf(layers[0].values), slope?.half];
    if (slope !== null) numbers.push(["gradient by the weight", slope.value]);
    const parts = numbers.map(([name, value], k) => [name, writtenNumbers([value], 1, half[k], this.scientific)]);
    const title = layers.map((layer, k) => `${layer.name}[${indices[k].join(", ")}]`).join(" → ");
    const way = { data: Float32Array.from(path), shape: [path.length / 3, 3] };
    return [framesOf(spans), ...glowOf(way, weight >= 0), calloutOf(spans, { title, value: "", parts, more: [] }, way)];
  }

  #slope(source, target, ends) {
    for (const slopes of this.slopes) {
      if (slopes.source !== source || slopes.target !== target) continue;
      const index = slopes.index.data;
      for (let k = 0; k < slopes.values.data.length; k++) {
        if (index[2 * k] === ends[0] && index[2 * k + 1] === ends[1]) {
          return { value: slopes.values.data[k], half: isHalf(slopes.values) };
        }
      }
    }
    return null;
  }

  #marked({ name, cloud, part }, drawList) {
    const found = this.named.get(name);
    if (!found) return [];
    const callout = found.marks.find((mark) => mark.kind === "Callout");
    if (found.moves) {
      const points = drawList.primitives.find(({ kind, name: one }) => kind === "Points" && one === cloud)?.points.data;
      if (!points || 3 * part >= points.length) return [];
      const origin = [...points.subarray(3 * part, 3 * part + 3)];
      return [{ ...callout, marks: [{ ...callout.marks[0], origin }] }];
    }
    return found.framed ? [framesOf(callout.marks), ...found.marks] : [...found.marks];
  }
}

/** Return the number of the hit part of a primitive, as pick_tables.py counts them. */
function partNumber(hit) {
  const { primitive } = hit;
  switch (hit.kind) {
    case "CellHit": {
      const [, y, x] = primitive.values.shape;
      return (hit.cell[2] * y + hit.cell[1]) * x + hit.cell[0];
    }
    case "PixelHit":
      return hit.row * primitive.pixels.shape[1] + hit.column;
    case "TileHit": {
      const [, rows, columns] = primitive.pixels.shape;
      return primitive.maps ? (hit.number * rows + hit.row) * columns + hit.column : hit.number;
    }
    case "RidgeHit":
      return hit.ridge * primitive.heights.shape[1] + hit.column;
    case "SurfaceHit":
      return hit.row * primitive.heights.shape[1] + hit.column;
    case "BoxHit":
      return 0;
    default:
      return hit.number;
  }
}

/** Return the tiles of a layer that are spread before the network, whose numbers are shown then; null without them. */
function spreadTiles(layer, { primitives }) {
  const spread = primitives.some(({ kind, name }) => kind === "Labels" && name === "channels");
  return (spread && primitives.find(({ kind, name }) => kind === "Tiles" && name === layer)) || null;
}

/** The cells of one layer: their indices, numbers, boxes and descriptions. */
class LayerWords {
  constructor(table, scientific) {
    this.name = table.layer;
    this.table = table;
    this.grid = new CellGrid(table.grid, table.channel_axis);
    this.held = new CellGrid(table.held, table.channel_axis);
    this.values = table.values;
    this.scientific = scientific;
  }

  /** Return the index that a hit on a block, a picture or a tile means; null for a spare cell. */
  indexOf(hit, locations) {
    const { primitive } = hit;
    if (hit.kind === "TileHit") {
      const channel = primitive.channels.data[hit.number];
      return primitive.maps ? this.grid.full([hit.row, hit.column], channel) : this.#strongest(channel);
    }
    if (hit.kind === "PixelHit") {
      const [[rows, columns], [high, wide]] = [this.grid.locationShape.slice(-2), primitive.pixels.shape];
      const location = [Math.floor((hit.row * rows) / high), Math.floor((hit.column * columns) / wide)];
      return this.grid.channels === 1 ? this.grid.full(location, 0) : location;
    }
    if (!locations) return this.grid.index(hit.cell);
    if (this.grid.tokens) return [this.table.token_cells.indexOf(hit.cell[1])];
    return this.grid.mapLocation(hit.cell);
  }

  /** Return the index of the largest number of a channel's map, the first one of equal numbers. */
  #strongest(channel) {
    const [rows, columns] = this.held.locationShape;
    let [found, most] = [this.held.full([0, 0], channel), -Infinity];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const index = this.held.full([row, column], channel);
        const [value] = this.numbers(this.values, index).values;
        if (value > most) [found, most] = [index, value];
      }
    }
    return found;
  }

  /** Return the number at an index, or the first ones of a location: `{values, count}`. */
  numbers({ data, shape }, index) {
    const [, y, x] = shape;
    const at = (full) => {
      const [i, j, k] = this.held.cell(full);
      return data[(k * y + j) * x + i];
    };
    if (index.length === this.held.shape.length) return { values: [at(index)], count: 1 };
    const count = this.held.channels;
    const values = Array.from({ length: Math.min(count, MOST_CHANNELS) }, (_, channel) =>
      at(this.held.full(index, channel)),
    );
    return { values, count };
  }

  /** Return the box of a number, or of all channels of a location. */
  span(index) {
    const { origin, cell } = this.table;
    const alone = index.length === this.grid.shape.length;
    const ends = alone ? [index] : [this.grid.full(index, 0), this.grid.full(index, this.grid.channels - 1)];
    const cells = ends.map((end) => this.grid.cell(end));
    const low = [0, 1, 2].map((axis) => Math.min(...cells.map((each) => each[axis])));
    const high = [0, 1, 2].map((axis) => Math.max(...cells.map((each) => each[axis])));
    return {
      kind: "Span",
      origin: low.map((first, axis) => origin[axis] + first * cell[axis]),
      size: low.map((first, axis) => (high[axis] - first + 1) * cell[axis]),
    };
  }

  marks(index, tiles = null) {
    if (!this.held.holds(index)) return [];
    const onTile = tiles === null ? null : this.#tileMarks(index, tiles);
    if (onTile !== null) return onTile;
    const spans = [...this.#copies(index), this.span(index)];
    return [framesOf(spans), calloutOf(spans, this.#facts(index))];
  }

  /** Return the frames around the tile of a number and its pixel, and the callout; null if no tile shows it. */
  #tileMarks(index, { channels, origins, size, right, up, maps, pixels }) {
    if (index.length < this.grid.shape.length) return null;
    const at = this.table.channel_axis;
    const number = channels.data.indexOf(at === null ? 0 : index[at]);
    if (number < 0) return null;
    const corner = [...origins.data.subarray(3 * number, 3 * number + 3)];
    const [across, upwards] = [right.map((one) => one * size[0]), up.map((one) => one * size[1])];
    const sides = [[corner, across, upwards]];
    if (maps) {
      const [row, column] = this.grid.location(index);
      const [, rows, columns] = pixels.shape;
      const pixel = corner.map((low, k) => low + across[k] * (column / columns) + upwards[k] * (1 - (row + 1) / rows));
      sides.push([pixel, across.map((one) => one / columns), upwards.map((one) => one / rows)]);
    }
    const ends = [0, 1].flatMap((i) => [0, 1].map((j) => corner.map((low, k) => low + i * across[k] + j * upwards[k])));
    const origin = [0, 1, 2].map((k) => Math.min(...ends.map((end) => end[k])));
    const lengths = [0, 1, 2].map((k) => Math.max(...ends.map((end) => end[k])) - origin[k]);
    return [rectanglesOf(sides), calloutOf([{ kind: "Span", origin, size: lengths }], this.#facts(index))];
  }

  #copies(index) {
    const [row, column] = this.grid.location(index);
    return this.table.copies.map(({ first, down, across }) => ({
      ...first,
      origin: first.origin.map((low, axis) => low + row * down[axis] + column * across[axis]),
    }));
  }

  #facts(index) {
    const here = this.numbers(this.values, index);
    const value = this.#written(here, this.values);
    const further = this.table.further.map((array) => [array.name, this.#further(array, index, here)]);
    const { number, location } = this.table.words;
    const words = inWords(index.length === this.grid.shape.length ? number : location, index);
    return {
      title: index.length ? `${this.name} [${index.join(", ")}]` : this.name,
      value: further.length ? "" : value,
      parts: further.length ? [["activation", value], ...further] : [],
      more: [words, this.#pixel(index)].filter((text) => text),
    };
  }

  #further({ values, by_location, times_activation }, index, here) {
    if (by_location) {
      const { data, shape } = values;
      const location = this.held.location(index).slice(0, shape.length);
      const rest = shape.slice(location.length).reduce((product, length) => product * length, 1);
      const first = flattened(location, shape) * rest;
      const found = [...data.subarray(first, first + Math.min(rest, MOST_CHANNELS))];
      return this.#written({ values: found, count: rest }, values);
    }
    const found = this.numbers(values, index);
    if (!times_activation) return this.#written(found, values);
    // Adding 0 turns -0.0 into 0.0.
    const products = found.values.map((number, k) => Math.fround(number * here.values[k]) + 0);
    const half = isHalf(values) || isHalf(this.values);
    return writtenNumbers(products, found.count, half, this.scientific);
  }

  #written({ values, count }, array) {
    return writtenNumbers(values, count, isHalf(array), this.scientific);
  }

  #pixel(index) {
    const { pixels: found, channel_axis: at } = this.table;
    if (!found || index.length < 2) return "";
    const [row, column] = this.grid.location(index);
    const first = 3 * (row * found.pixels.shape[1] + column);
    const [red, green, blue] = found.pixels.data.subarray(first, first + 3);
    const named = found.colors.length && at !== null && index.length === this.grid.shape.length;
    const channel = named ? `channel ${index[at]} is ${found.colors[index[at]]}; ` : "";
    if (red === green && green === blue) return `${channel}pixel ${red} of 255`;
    return `${channel}pixel red ${red}, green ${green}, blue ${blue}`;
  }
}

/** Whether the numbers of an array are stored as float16. */
function isHalf({ dtype }) {
  return dtype === "float16";
}

/** Write the first ones of some numbers exactly; those that come from a float16 with as few digits as it has. */
function writtenNumbers(values, count, half, [single, small]) {
  const write = (value) => {
    const rounded = half ? halfNumber(value) : null;
    return rounded === null ? exactNumber(value, single) : exactNumber(rounded, small, true);
  };
  return values.map(write).join(", ") + (count > MOST_CHANNELS ? ", …" : "");
}

/** Return the sentence about an index, from its parts. */
function inWords(words, index) {
  return words
    .map((part) => (typeof part === "string" ? part : Array.isArray(part) ? part[1][index[part[0]]] : index[part]))
    .join("");
}
