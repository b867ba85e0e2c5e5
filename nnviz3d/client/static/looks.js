// Other looks of a frame: the scale, the threshold, the colour map and the highlighted layer that the user chooses.
// nnviz3d/apps/export/html/looks.py says what a file holds of them. The dimming is that of the views in nnviz3d/scene/views.

import { scalePanels } from "./scale_panels.js";

const DIMMED = { cells: 0.3, picture: 0.45, line: 0.2, label: 0.45, body: 0.25 };
const CHOSEN = { edge: 0.95, body: 0.85, priority: 9 };

/** Draws the frames of one table as they look with other choices. */
export class Looks {
  /**
   * @param {object} words The words of the table.
   * @param {object | null} page The looks of the page; `null` if it has no cells.
   * @param {object} store Has the records and arrays.
   * @param {string[]} layers The layers in the order of the graph.
   */
  constructor(words, page, store, layers) {
    this.page = page;
    this.store = store;
    this.layers = layers;
    this.scales = new Map(Object.entries(words.scales ?? {}).map(([name, blocks]) => [name, this.#byCells(blocks)]));
    this.tops = this.#byCells(words.tops ?? []);
    this.views = new Set((words.views ?? []).map(([view, signed]) => `${view} ${signed}`));
    this.swaps = words.swaps ?? {};
    this.legends = new Map((words.legends ?? []).map(([index, ...rest]) => [store.record(index), rest]));
    this.chosen = words.chosen ?? {};
    this.steps = (words.steps ?? []).map(([index, steps]) => [store.record(index), steps]);
    this.kept = new Map();
    this.originals = new WeakMap();
  }

  /** Return what a primitive of a look is in the file. */
  original(primitive) {
    return this.originals.get(primitive) ?? primitive;
  }

  /**
   * Return a frame as it looks with some choices; what looks the same stays the same object.
   *
   * @param {{background: number[][], primitives: object[]}} frame
   * @param {{colormap: string, normalize: string, threshold: number, layer: string | null}} look
   */
  apply(frame, look) {
    const page = this.page;
    const plain = page === null || ["colormap", "normalize", "threshold"].every((name) => look[name] === page[name]);
    if (plain && look.layer === null) return frame;
    const key = JSON.stringify([look.colormap, look.normalize, look.threshold, look.layer]);
    if (this.key !== key) {
      this.kept = new Map();
      const [changes, added] = this.chosen[look.layer] ?? [[], []];
      this.changes = new Map(changes.map(([index, other]) => [this.store.record(index), other === null ? null : this.store.record(other)]));
      this.added = added.map((index) => this.store.record(index));
    }
    this.key = key;
    const others = this.#others(frame, plain ? null : look);
    const primitives = frame.primitives.map((one) => {
      if (!this.kept.has(one)) {
        const dimmed = this.#highlighted(others.get(one) ?? this.#block(one, look), look.layer);
        const found = others.has(one) ? dimmed : this.#instead(one, dimmed);
        this.kept.set(one, found);
        this.originals.set(found, one);
      }
      return this.kept.get(one);
    });
    const scaled = this.#withScales(frame.primitives, primitives, look);
    return { ...frame, primitives: this.#withChosen(frame.primitives, scaled, others, look) };
  }

  /** Return what a highlighted layer changes a primitive to, other than by dimming. */
  #instead(one, dimmed) {
    const other = this.changes.get(one);
    if (!other) return dimmed;
    // The colours of a block are those of the look.
    return one.kind === "Voxels" ? { ...dimmed, emphasis: other.emphasis } : other;
  }

  /** Take away what a highlighted layer hides, and add what it alone shows. */
  #withChosen(before, after, others, look) {
    const there = new Set(before);
    const gone = new Set();
    let whole = true; // What goes and what comes instead change together, or neither does.
    for (const [one, other] of this.changes) {
      if (other === null && there.has(one)) gone.add(this.kept.get(one));
      whole &&= other !== null || there.has(one);
    }
    const shown = whole ? after.filter((one) => !gone.has(one)) : after;
    // The numbers and colours of a legend of the look would be those of no highlighted layer.
    const wrong = new Set(before.filter((one) => one.kind === "Panel" && others.has(one) && this.changes.has(one)));
    const right = wrong.size === 0 ? shown : shown.filter((one) => !wrong.has(this.originals.get(one)));
    return whole ? [...right, ...this.added.map((one) => this.#added(one, look))] : right;
  }

  #added(one, look) {
    if (!this.kept.has(one)) {
      const found = this.#block(one, look);
      this.kept.set(one, found);
      this.originals.set(found, one);
    }
    return this.kept.get(one);
  }

  /** Return a block with its fields for a look; anything else as it is. */
  #block(one, look) {
    if (one.kind !== "Voxels" || this.page === null) return one;
    const found = { ...one };
    const scaled = this.#of(this.scales.get(look.normalize), one);
    if (scaled?.limits !== undefined) found.limits = scaled.limits;
    if (scaled?.colormap !== undefined) found.colormap = this.store.record(scaled.colormap.r);
    const top = this.#of(this.tops, one);
    if (top !== undefined && look.threshold !== this.page.threshold) found.threshold = look.threshold * top;
    const signed = found.limits[0] < 0;
    const view = one.source?.view;
    if (look.colormap !== this.page.colormap && (view === "activations" || this.views.has(`${view} ${signed}`))) {
      found.colormap = this.#map(look.colormap, signed, view, found.colormap);
    }
    const changed = ["limits", "colormap", "threshold"].some((name) => found[name] !== one[name]);
    return changed ? found : one;
  }

  #map(name, signed, view, before) {
    const map = (wanted) => this.store.record(this.page.colormaps.find((one) => one.name === wanted).record);
    const chosen = map(name);
    if (chosen.diverging === signed) return chosen;
    return view === "activations" ? map(signed ? this.page.diverging : this.page.sequential) : before;
  }

  /** Return what a colour map or a threshold replaces whole, by what it replaces. */
  #others(frame, look) {
    const found = new Map();
    if (look === null) return found;
    const pairs = look.colormap === this.page.colormap ? [] : this.swaps[look.colormap] ?? [];
    const swapped = pairs.map(([before, after]) => [this.store.record(before), this.store.record(after)]);
    // A legend and what it explains change together, or neither does.
    const there = new Set(frame.primitives);
    if (swapped.every(([before]) => there.has(before))) swapped.forEach(([before, after]) => found.set(before, after));
    if (look.threshold !== this.page.threshold) {
      for (const [before, steps] of this.steps) found.set(before, this.store.record(steps[Math.round(100 * look.threshold)]));
    }
    return found;
  }

  /** Return a primitive as it is drawn when a layer is highlighted. */
  #highlighted(one, layer) {
    if (layer === null) return one;
    const own = one.source?.layer;
    const other = own !== null && own !== undefined && own !== layer;
    switch (one.kind) {
      case "Voxels":
        return other ? { ...one, emphasis: one.emphasis * DIMMED.cells } : one;
      case "Image":
        return other ? { ...one, opacity: one.opacity * DIMMED.picture } : one;
      case "Lines":
        if (one.ends === null) return one;
        return [one.ends.source, one.ends.target].includes(layer) ? one : { ...one, opacity: one.opacity * DIMMED.line };
      case "Box":
        if (one.source?.view !== "structure") return one;
        if (own === layer) return { ...one, edge: CHOSEN.edge };
        return one.fill > 0 ? { ...one, fill: (one.fill * DIMMED.body) / CHOSEN.body } : one;
      case "Labels":
        return one.name === "names" ? this.#names(one, layer) : one;
      default:
        return one;
    }
  }

  /** Return the names of the layers, which stand first among their labels, with one of them highlighted. */
  #names(one, layer) {
    const labels = one.labels.map((label, i) => {
      if (i >= this.layers.length) return label;
      if (this.layers[i] === layer) return { ...label, priority: CHOSEN.priority };
      return { ...label, emphasis: label.emphasis * DIMMED.label };
    });
    return { ...one, labels };
  }

  /** Replace the scales by those of the look. */
  #withScales(before, after, look) {
    const first = before.findIndex((one) => this.legends.has(one));
    if (first < 0) return after;
    const [what, back] = this.legends.get(before[first]);
    if (!this.kept.has(what)) {
      const blocks = after.filter((one) => one.kind === "Voxels" && one.source?.view === "activations");
      const shown = blocks.filter((one) => (one.source.part === "gradients") === back);
      const odd = before.filter((one) => this.legends.has(one)).flatMap(({ rows }) => rows.filter((row) => row.kind === "SwatchRow"));
      this.kept.set(what, { from: before[first], panels: scalePanels(shown, { ...look, what, odd }) });
    }
    if (this.kept.get(what).from !== before[first]) {
      this.kept.delete(what);
      return this.#withScales(before, after, look);
    }
    const rest = after.filter((_, i) => i === first || !this.legends.has(before[i]));
    const at = rest.indexOf(after[first]);
    return [...rest.slice(0, at), ...this.kept.get(what).panels, ...rest.slice(at + 1)];
  }

  #of(blocks, one) {
    return blocks?.get(one.values)?.get(one.name);
  }

  #byCells(blocks) {
    const found = new Map();
    for (const [name, cells, what] of blocks) {
      const array = this.store.array(cells);
      if (!found.has(array)) found.set(array, new Map());
      found.get(array).set(name, what);
    }
    return found;
  }
}
