// The view in the address of an exported file, `#view=`, so that a link to the file opens it as it was seen.

import { decodeView, encodeView, poseInPicture } from "./view_text.js";

const VIEW_KEY = "#view=";
const VIEW_PAUSE = 400; // Milliseconds without a change after which the address is written.

/** Reads and writes the view of a player. */
export class PlayerAddress {
  constructor(player) {
    this.player = player;
    this.waiting = null;
    // A page inside another one has no address of its own.
    this.own = ["file:", "http:", "https:"].includes(location.protocol) && window.self === window.top;
    if (this.own) addEventListener("hashchange", () => { this.read(); player.show(); });
  }

  /** Take the saved view of the scene, or that of the address; a sentence says what is wrong with the address. */
  read() {
    const { player } = this;
    const { pose, pick } = player.words;
    if (pose !== null) this.#look(pose);
    if (pick !== null) player.pick = player.pickCell(pick);
    if (!this.own || !location.hash.startsWith(VIEW_KEY)) return;
    try {
      this.#take(decodeView(location.hash.slice(VIEW_KEY.length)));
    } catch (error) {
      player.say(error.message);
    }
  }

  /** Write the view into the address when nothing has changed for a moment. */
  write() {
    if (!this.own) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => history.replaceState(null, "", VIEW_KEY + encodeView(this.#view())), VIEW_PAUSE);
  }

  #view() {
    const { state, words, time, viewer, pick, home } = this.player;
    const first = words.looks ?? {};
    const view = {
      sample: words.samples.findIndex(({ index }) => index === state.sample),
      time: time.t === words.time ? undefined : time.t,
      layer: state.layer,
      quantity: state.quantity === words.quantities[0]?.name ? undefined : state.quantity,
    };
    for (const name of ["colormap", "normalize", "threshold"]) {
      if (state[name] !== first[name]) view[name] = state[name];
    }
    if (viewer.pose !== home) view.pose = { ...viewer.pose, aspect: viewer.size[0] / viewer.size[1] };
    if (pick?.kind === "cell") view.pick = { layer: pick.layer, index: pick.index };
    return view;
  }

  #take(view) {
    const { player } = this;
    const { words, time, state } = player;
    const known = {
      sample: [words.samples[view.sample]?.index],
      layer: words.layers.map(({ id }) => id),
      quantity: words.quantities.map(({ name }) => name),
      colormap: words.looks?.colormaps.map(({ name }) => name) ?? [],
      normalize: words.looks?.scales ?? [],
      threshold: words.looks === null ? [] : [view.threshold],
    };
    for (const [name, values] of Object.entries(known)) {
      const wanted = name === "sample" ? words.samples[view.sample]?.index : view[name];
      if (view[name] === undefined) continue;
      if (wanted === undefined || !values.includes(wanted)) throw new Error(`This file has no such ${name} as the one in the address.`);
      state[name] = wanted;
    }
    if (view.time !== undefined) time.seek(view.time);
    if (view.pose !== undefined) this.#look(view.pose);
    if (view.pick !== undefined) player.pick = player.pickCell({ layer: view.pick.layer, index: view.pick.index ?? [] });
  }

  #look(pose) {
    const [width, height] = this.player.viewer.size;
    this.player.viewer.look(poseInPicture(pose, width / height));
  }
}
