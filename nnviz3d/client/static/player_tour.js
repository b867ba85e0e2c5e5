// The tour of an exported file: stop by stop from the input to the decision, with a caption below the picture.

import { icon, iconButton, make } from "./dom.js";

const TOUR_FLIGHT = 1.6; // Seconds of the way to a stop; the layers light up meanwhile.

/** Leads the camera, the time and the highlighted layer along the stops of the shown sample. */
export class PlayerTour {
  /** @param {object} player Has `sample`, `state`, `time`, `viewer`, `show()`, `pickCell(pick)` and `poseAmong(poses)`. */
  constructor(player) {
    this.player = player;
    this.index = null;
    this.playing = false;
    this.waiting = null;
    this.before = null;
    this.button = make(
      "button",
      { type: "button", id: "tour", class: "tour-start", title: "A tour from the input to the decision (T)", click: () => this.toggle() },
      icon("way"),
      "Tour",
    );
    this.element = this.#footer();
    this.synchronize();
  }

  /** The stops of the shown sample; none if it has no tour. */
  get stops() {
    return this.player.sample.story;
  }

  /** Whether the tour leads. */
  get on() {
    return this.index !== null;
  }

  /** Begin at the first stop, or end. */
  toggle() {
    if (this.on) this.end();
    else if (this.stops.length > 0) this.#start();
  }

  /** Fly to a stop; one beyond the ends means the nearest. */
  go(index) {
    const { player } = this;
    this.index = Math.min(Math.max(index, 0), this.stops.length - 1);
    const { time, layer, pick, seconds } = this.stops[this.index];
    player.time.glide(time, TOUR_FLIGHT);
    player.state.layer = layer;
    player.pick = pick && player.pickCell(pick);
    player.show();
    player.panels.reveal(layer);
    this.synchronize();
    this.fit();
    clearTimeout(this.waiting);
    if (this.playing) this.waiting = setTimeout(() => this.#next(), 1000 * (TOUR_FLIGHT + seconds));
  }

  /** Fly to the camera of the current stop, such as after the picture has another shape. */
  fit() {
    const { player } = this;
    if (this.on) player.viewer.fly(player.poseAmong(this.stops[this.index].poses[player.state.layout]), TOUR_FLIGHT);
  }

  /** Tell of another sample, at the same stop. */
  follow() {
    if (!this.on) this.synchronize();
    else if (this.stops.length > 0) this.go(this.index);
    else this.end();
  }

  /** Rest at the stop, or go on by itself; from the last stop it begins again. */
  pause() {
    this.playing = !this.playing;
    if (this.playing) this.go(this.index === this.stops.length - 1 ? 0 : this.index + 1);
    else clearTimeout(this.waiting);
    this.synchronize();
  }

  /** Show again what was chosen before the tour, and the whole scene. */
  end() {
    const { player, before } = this;
    clearTimeout(this.waiting);
    this.index = null;
    this.playing = false;
    player.time.pause();
    player.time.seek(before.t);
    player.pick = before.pick;
    Object.assign(player.state, before.state);
    player.show();
    this.synchronize();
    player.fit(); // The picture is higher without the caption.
    player.viewer.fly(player.home);
  }

  /** The keys of a tour that leads. */
  get keys() {
    return {
      " ": () => this.pause(),
      ArrowLeft: () => this.go(this.index - 1),
      ArrowRight: () => this.go(this.index + 1),
      Escape: () => this.end(),
    };
  }

  /** Show the caption and the state of the buttons. */
  synchronize() {
    const { on, stops } = this;
    this.button.hidden = stops.length === 0;
    this.button.setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("touring", on);
    this.element.hidden = !on;
    if (!on) return;
    const { title, text } = stops[this.index];
    this.title.textContent = title;
    this.text.textContent = text;
    this.count.textContent = `${this.index + 1} of ${stops.length}`;
    this.left.disabled = this.index === 0;
    this.right.disabled = this.index === stops.length - 1;
    this.play.replaceChildren(icon(this.playing ? "pause" : "play"));
  }

  #start() {
    const { player } = this;
    const { layer, quantity } = player.state;
    this.before = { state: { layer, quantity }, pick: player.pick, t: player.time.t };
    // The captions tell of activations.
    if (player.words.quantities.some(({ name }) => name === "activation")) player.state.quantity = "activation";
    this.playing = true;
    player.time.pause();
    player.time.seek(0);
    this.go(0);
  }

  #next() {
    if (this.index < this.stops.length - 1) this.go(this.index + 1);
    else this.playing = false;
    this.synchronize();
  }

  #footer() {
    this.title = make("div", { class: "tour-title", id: "tour-title" });
    this.text = make("div", { class: "tour-text", id: "tour-text" });
    this.count = make("span", { class: "faint", id: "tour-count" });
    this.left = iconButton("left", "Previous stop (←)", () => this.go(this.index - 1), { id: "tour-previous" });
    this.play = iconButton("pause", "Pause, or go on (space)", () => this.pause(), { id: "tour-pause" });
    this.right = iconButton("right", "Next stop (→)", () => this.go(this.index + 1), { id: "tour-next" });
    const close = iconButton("close", "End the tour (Esc)", () => this.end(), { id: "tour-end" });
    return make(
      "footer",
      { id: "tour-bar" },
      make("div", { class: "tour-words", "aria-live": "polite" }, this.title, this.text),
      make("div", { class: "tour-side" }, this.left, this.play, this.right, close, this.count),
    );
  }
}
