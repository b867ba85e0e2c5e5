// The panels of an exported file: samples, looks and layers.

import { ChoiceButtons, fieldRow, iconButton, make, pictureCanvas } from "./dom.js";
import { PlayerPick } from "./player_pick.js";

const LONG = 12; // Lists with more samples than this have a search field.

/** The panels beside the picture. */
export class PlayerPanels {
  /** @param {object} player Has `words`, `file`, `state`, `choose(changes)` and `step(by)`. */
  constructor(player) {
    this.player = player;
    this.pick = new PlayerPick(player);
    this.element = make("div", { class: "panels" }, ...this.#samples(), ...this.#looks(), this.pick.element, this.#layers());
  }

  /** Show the player's state. */
  synchronize() {
    const { state, file } = this.player;
    for (const [index, item] of this.items) {
      item.setAttribute("aria-pressed", String(index === state.sample));
      item.disabled = !file.holds("sample", index);
    }
    if (this.quantity !== undefined) this.quantity.value = state.quantity;
    if (this.threshold !== undefined) this.#showColors();
    this.pick.synchronize();
    for (const [id, row] of this.rows) {
      row.setAttribute("aria-pressed", String(id === state.layer));
      row.classList.toggle("dimmed", state.layer !== null && id !== state.layer);
    }
  }

  /** Scroll the list to a layer; `null` for none. */
  reveal(layer) {
    this.rows.get(layer)?.scrollIntoView({ block: "nearest" });
  }

  #samples() {
    const { words, file } = this.player;
    this.items = new Map(words.samples.map((sample) => [sample.index, this.#sample(sample, file)]));
    const several = words.samples.length > 1;
    const head = make(
      "div",
      { class: "section-head" },
      make("span", { class: "section-title" }, several ? "Samples" : "Sample"),
      several ? make("span", { class: "faint" }, `${words.samples.length}`) : null,
      several
        ? make("span", { class: "steps" },
            iconButton("left", "Previous sample (←)", () => this.player.step(-1)),
            iconButton("right", "Next sample (→)", () => this.player.step(1)))
        : null,
    );
    const list = make("div", { class: "sample-list" }, ...this.items.values());
    const search = words.samples.length > LONG ? [searchField("Filter by name or class", list)] : [];
    return [make("section", { class: "section", id: "samples" }, head, ...search, list)];
  }

  #sample({ index, name, note, picture }, file) {
    return make(
      "button",
      { type: "button", class: "sample", title: `${name} ${note}`, "data-words": `${name} ${note}`, click: () => this.player.choose({ sample: index }) },
      picture < 0 ? null : pictureCanvas(file.store.array(picture)),
      make("span", { class: "sample-text" }, make("span", { class: "line" }, name), make("span", { class: "line faint" }, note)),
    );
  }

  #looks() {
    const { words } = this.player;
    const fields = [];
    if (words.quantities.length > 1) {
      const quantity = make(
        "select",
        { id: "quantity", change: () => this.player.choose({ quantity: quantity.value }) },
        ...words.quantities.map(({ name, title }) => make("option", { value: name }, title)),
      );
      this.quantity = quantity;
      fields.push(fieldRow("Cells show", "What the cells of the blocks show", quantity));
    }
    if (words.looks !== null) fields.push(...this.#colors(words.looks));
    return fields.length > 0 ? [make("section", { class: "section looks", id: "looks" }, ...fields)] : [];
  }

  #colors({ colormaps, scales }) {
    const { player } = this;
    this.threshold = make("input", {
      type: "range", id: "threshold", min: 0, max: 100, step: 1,
      input: () => player.choose({ threshold: Number(this.threshold.value) / 100 }),
    });
    this.reach = make("span", { class: "field-value" });
    this.strip = make("canvas", { class: "strip", width: 256, height: 1 });
    this.colormap = make(
      "select",
      { id: "colormap", change: () => player.choose({ colormap: this.colormap.value }) },
      ...colormaps.map(({ name, record }) => {
        const { diverging } = player.file.store.record(record);
        return make("option", { value: name }, diverging ? `${name} (signed)` : name);
      }),
    );
    this.scale = new ChoiceButtons("Scale", scales.map((name) => ({ name, title: name })), (normalize) => player.choose({ normalize }));
    return [
      fieldRow("Threshold", "Cells below this percentage of the end of their layer's colour scale are hidden", this.threshold, this.reach),
      fieldRow("Colours", "The colours of the numbers", make("span", { class: "map" }, this.strip, this.colormap)),
      make("div", { class: "field", title: "One colour scale for each layer, or one for all" }, make("span", { class: "field-name" }, "Scale"), this.scale.element),
    ];
  }

  #showColors() {
    const { state, words, file } = this.player;
    const percent = Math.round(100 * state.threshold);
    this.threshold.value = percent;
    this.threshold.style.setProperty("--share", `${percent}%`);
    this.reach.textContent = `${percent} %`;
    this.colormap.value = state.colormap;
    this.scale.value = state.normalize;
    const { table } = file.store.record(words.looks.colormaps.find(({ name }) => name === state.colormap).record);
    const pixels = new ImageData(256, 1);
    for (let i = 0; i < 256; i += 1) pixels.data.set([...table.data.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    this.strip.getContext("2d").putImageData(pixels, 0, 0);
  }

  #layers() {
    const { words } = this.player;
    this.rows = new Map(words.layers.map((layer) => [layer.id, this.#layer(layer)]));
    const list = make("div", { class: "layer-list" });
    let group = "";
    for (const layer of words.layers) {
      if (layer.group !== group && layer.group !== "") list.append(make("div", { class: "group" }, layer.group));
      group = layer.group;
      list.append(this.rows.get(layer.id));
    }
    return make(
      "section",
      { class: "section grow", id: "layers" },
      make("div", { class: "section-head" }, make("span", { class: "section-title" }, "Layers"), make("span", { class: "faint" }, words.layer_total)),
      searchField("Filter by name or kind", list),
      list,
    );
  }

  #layer({ id, name, kind, shape, parameters, color }) {
    const dot = make("span", { class: "dot" });
    dot.style.background = color;
    return make(
      "button",
      {
        type: "button", class: "layer", title: id, "data-layer": id, "data-words": `${id} ${kind}`,
        click: () => this.player.choose({ layer: this.player.state.layer === id ? null : id }),
      },
      dot,
      make("span", { class: "layer-text" }, make("span", { class: "line" }, name), make("span", { class: "line faint" }, kind)),
      make("span", { class: "layer-numbers" }, make("span", { class: "line" }, shape), make("span", { class: "line faint" }, parameters)),
    );
  }
}

/** Make a field that hides the items of a list without its words. */
function searchField(placeholder, list) {
  const field = make("input", {
    type: "search", class: "filter", placeholder, "aria-label": placeholder,
    input: () => {
      const wanted = field.value.trim().toLowerCase();
      for (const item of list.querySelectorAll("[data-words]")) {
        item.hidden = !item.dataset.words.toLowerCase().includes(wanted);
      }
    },
  });
  return field;
}
