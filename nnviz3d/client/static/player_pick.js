// The section of an exported file about the picked number: the sum that makes it, and what it depends on.

import { make } from "./dom.js";

const NO_SUM = "The file does not hold the sum behind this number; nnviz3d serve, on the same target, shows it.";

/** The section; it is hidden while no number is picked. */
export class PlayerPick {
  /** @param {object} player Has `file`, `pick` and `sample`. */
  constructor(player) {
    this.player = player;
    this.element = make("section", { class: "section pick", id: "pick", hidden: true });
    this.shown = {};
  }

  /** Show the player's pick. */
  synchronize() {
    const { pick, sample } = this.player;
    if (this.shown.pick === pick && this.shown.sample === sample) return;
    this.shown = { pick, sample };
    const cell = pick?.kind === "cell";
    this.element.hidden = !cell;
    if (cell) this.element.replaceChildren(...this.#rows(pick, sample.index));
  }

  #rows(pick, sample) {
    const { file } = this.player;
    const found = file.sum(sample, pick);
    const title = found?.title ?? `${pick.layer}${pick.index.length > 0 ? ` [${pick.index.join(", ")}]` : ""}`;
    return [
      make("div", { class: "section-title" }, title),
      ...(found?.sums ?? []).flatMap((sum) => sumRows(sum)),
      ...(found === null ? this.#missing(pick) : found.reason ? [sentence(found.reason)] : []),
      ...this.#field(pick),
    ];
  }

  /** Inputs are no sums. */
  #missing({ layer }) {
    return this.player.words.layers.find(({ id }) => id === layer)?.kind.startsWith("InputLayer") ? [] : [sentence(NO_SUM)];
  }

  #field(pick) {
    const { fields } = this.player.file;
    if (fields === null) return [];
    const pairs = fields.pairs(pick);
    if (pairs.length === 0) return [];
    const unclear = fields.unclear(pick);
    const note = unclear === null ? [] : [sentence(`How much ${unclear} reads is not known, so that everything before it counts.`)];
    return [make("div", { class: "pick-head" }, "Depends on"), pairsOf(pairs), ...note];
  }
}

function sumRows({ name, heads, lines, pairs }) {
  const sides = [false, true].flatMap((side) => {
    const found = lines.filter(({ against }) => against === side);
    return found.length === 0 ? [] : [make("div", { class: "pick-head" }, heads[Number(side)]), ...found.map(termRow)];
  });
  return [
    ...(name === "" ? [] : [make("div", { class: "pick-name" }, name)]),
    ...sides,
    ...(pairs.length > 0 ? [pairsOf(pairs)] : []),
  ];
}

function termRow({ place, words: title, product, share, against }) {
  const bar = make("span");
  bar.style.width = `${share}%`;
  return make(
    "div",
    { class: against ? "pick-term against" : "pick-term", title: `${place} = ${title}` },
    make("span", { class: "line" }, place),
    make("span", { class: "pick-bar" }, bar),
    make("span", { class: "pick-number" }, product),
  );
}

function pairsOf(pairs) {
  return make("div", { class: "pairs" }, ...pairs.flatMap(([name, text]) => [make("span", { class: "faint" }, name), make("span", {}, text)]));
}

function sentence(text) {
  return make("div", { class: "faint pick-words" }, text);
}
