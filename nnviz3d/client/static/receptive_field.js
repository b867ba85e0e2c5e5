// The receptive field of a number, from the tables of the Python module analysis.reach_tables, as
// `receptive_field` of analysis.receptive_field finds it.

import { flattened, unflattened } from "./cell_grid.js";

/** Finds receptive fields in one graph. */
export class ReceptiveFields {
  /**
   * @param {object} tables
   *   `nodes` in the order of the graph, each `{id, shape}`, and `edges` by their targets, each `{source, target}` with
   *   `axes`, `flat` or `unclear`, and `idle`, as the Python class EdgeReach.
   */
  constructor({ nodes, edges }) {
    this.nodes = nodes;
    this.shapes = new Map(nodes.map(({ id, shape }) => [id, shape]));
    this.edges = new Map(nodes.map(({ id }) => [id, edges.filter(({ target }) => target === id)]));
  }

  /**
   * Return for each node that a number depends on `{masks, unclear}`, with a mask of positions for each axis, in the order
   * of the graph; the last one is the number itself.
   * @param {(number | null)[]} index Null stands for all positions of an axis.
   */
  field(node, index) {
    const shape = this.shapes.get(node);
    const found = new Map([[node, { masks: shape.map((n, axis) => maskOf(n, index[axis])), unclear: null }]]);
    for (const { id } of [...this.nodes].reverse()) {
      const here = found.get(id);
      if (here === undefined) continue;
      for (const edge of this.edges.get(id)) {
        const masks = this.#step(edge, here.masks);
        if (masks.some((mask) => !mask.includes(1))) continue;
        const unclear = edge.unclear ? id : here.unclear;
        const known = found.get(edge.source);
        found.set(edge.source, known === undefined ? { masks, unclear } : joinedFields(known, { masks, unclear }));
      }
    }
    return new Map(this.nodes.filter(({ id }) => found.has(id)).map(({ id }) => [id, found.get(id)]));
  }

  /** Return what an edge reads of its source for some positions of its target. */
  #step({ source, target, axes, flat, unclear, idle }, masks) {
    const shape = this.shapes.get(source);
    const everything = shape.map((n) => maskOf(n, null));
    if (unclear) return everything;
    if (flat) return sameOrder(masks, this.shapes.get(target), shape);
    const works = idle.every((off, axis) => masks[axis].some((on, i) => on && !off.includes(i)));
    return everything.map((all, axis) => {
      if (!works) return maskOf(shape[axis], -1);
      if (axes[axis] === null) return all;
      const { axis: by, low, high, step } = axes[axis];
      const read = maskOf(shape[axis], -1);
      masks[by].forEach((on, i) => {
        if (on) for (let k = low[i]; k < high[i]; k += step) read[k] = 1;
      });
      return read;
    });
  }
}

/** Whether a field is a whole layer, and the share of the layer's numbers that belong to it. */
export function fieldShare({ masks }) {
  return masks.reduce((share, mask) => (share * mask.reduce((sum, on) => sum + on, 0)) / mask.length, 1);
}

/** Return the first position of each axis and the one after the last. */
export function fieldBox({ masks }) {
  return masks.map((mask) => [mask.indexOf(1), mask.lastIndexOf(1) + 1]);
}

function maskOf(length, position) {
  return position === null ? new Uint8Array(length).fill(1) : Uint8Array.from({ length }, (_, i) => i === position);
}

function joinedFields(one, other) {
  const masks = one.masks.map((mask, axis) => mask.map((on, i) => on | other.masks[axis][i]));
  return { masks, unclear: one.unclear ?? other.unclear };
}

/** Follow numbers that keep their order while the shape changes. */
function sameOrder(masks, shape, source) {
  const found = source.map((n) => maskOf(n, -1));
  const places = masks.map((mask) => [...mask.keys()].filter((i) => mask[i]));
  const visit = (index) => {
    if (index.length < places.length) for (const i of places[index.length]) visit([...index, i]);
    else unflattened(flattened(index, shape), source).forEach((i, axis) => { found[axis][i] = 1; });
  };
  if (masks.every((mask) => !mask.includes(0))) return source.map((n) => maskOf(n, null));
  visit([]);
  return found;
}
