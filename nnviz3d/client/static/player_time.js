// The time of an exported scene: play, pause, the slider and the words on the phase.

import { icon, iconButton, make } from "./dom.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const SAME = 1e-6; // Seconds; times that differ by less are equal.

/** A clock with its controls. */
export class PlayerTime {
  /**
   * @param {object} words The words of the file.
   * @param {() => void} changed Is called after the shown moment has changed.
   */
  constructor(words, changed) {
    this.words = words;
    this.changed = changed;
    this.t = words.time;
    this.playing = false;
    this.speed = 1;
    this.last = null;
    this.gliding = null;
    this.phases = words.phases.flatMap(([text, count]) => Array(count).fill(text));
    this.element = this.#controls();
    this.#update();
  }

  /** The number of the shown moment. */
  get moment() {
    const { duration, moments, step } = this.words;
    return this.t >= duration ? moments - 1 : Math.min(Math.floor(this.t / step + SAME), moments - 1);
  }

  /** Go to a time in seconds. */
  seek(t) {
    this.gliding = null;
    this.#set(t);
  }

  /** Pause, and go to a time within some seconds; at once if the reader prefers pictures without motion. */
  glide(t, seconds) {
    this.pause();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.seek(t);
    else {
      const gliding = { from: this.t, to: Math.min(t, this.words.duration), seconds, start: null };
      this.gliding = gliding;
      requestAnimationFrame((now) => this.#glide(gliding, now));
    }
  }

  #glide(gliding, now) {
    if (this.gliding !== gliding) return;
    gliding.start ??= now;
    const share = Math.min((now - gliding.start) / 1000 / gliding.seconds, 1);
    this.#set(gliding.from + share * (gliding.to - gliding.from));
    if (share < 1) requestAnimationFrame((next) => this.#glide(gliding, next));
    else this.gliding = null;
  }

  #set(t) {
    const before = this.moment;
    this.t = Math.min(Math.max(t, 0), this.words.duration);
    this.#update();
    if (this.moment !== before) this.changed();
  }

  /** Play, from the beginning if the time is at its end, or pause. */
  toggle() {
    this.gliding = null;
    this.playing = !this.playing && this.words.duration > 0;
    if (this.playing && this.t >= this.words.duration) this.seek(0);
    this.last = null;
    this.#update();
    if (this.playing) requestAnimationFrame((now) => this.#advance(now));
  }

  pause() {
    this.playing = false;
    this.gliding = null;
    this.#update();
  }

  /** Pause at the next layer, or at the one before. */
  step(by) {
    const { stops } = this.words;
    const stop = by > 0 ? stops.find((one) => one > this.t + SAME) : stops.findLast((one) => one < this.t - SAME);
    this.pause();
    this.seek(stop ?? (by > 0 ? this.words.duration : 0));
  }

  #advance(now) {
    if (!this.playing) return;
    if (this.last !== null) this.seek(this.t + ((now - this.last) / 1000) * this.speed);
    this.last = now;
    if (this.t >= this.words.duration) this.pause();
    else requestAnimationFrame((next) => this.#advance(next));
  }

  #update() {
    const { duration } = this.words;
    this.slider.value = this.t;
    this.slider.style.setProperty("--share", `${duration > 0 ? (100 * this.t) / duration : 0}%`);
    this.clock.textContent = this.t.toFixed(1);
    this.phase.textContent = this.phases[this.moment] ?? "";
    if (this.button.dataset.playing !== String(this.playing)) {
      this.button.dataset.playing = String(this.playing);
      this.button.replaceChildren(icon(this.playing ? "pause" : "play"));
    }
  }

  #controls() {
    const { duration, phases, step } = this.words;
    this.button = iconButton("play", "Play or pause (space)", () => this.toggle(), { id: "play" });
    this.slider = make("input", {
      type: "range", id: "time", min: 0, max: duration, step: step || 1, "aria-label": "Time",
      input: () => {
        this.playing = false;
        this.seek(Number(this.slider.value));
      },
    });
    this.phase = make("span", { class: "phase faint", id: "phase" });
    this.clock = make("span", { class: "clock-now" });
    const steps = phases.some(([text]) => text !== "")
      ? [
          iconButton("left", "Previous layer", () => this.step(-1), { id: "layer-left" }),
          iconButton("right", "Next layer", () => this.step(1), { id: "layer-right" }),
        ]
      : [];
    const speed = make(
      "select",
      { id: "speed", title: "Speed", "aria-label": "Speed", change: () => { this.speed = Number(speed.value); } },
      ...SPEEDS.map((one) => make("option", { value: one, selected: one === 1 }, `${one}×`)),
    );
    return make(
      "footer",
      { id: "transport" },
      iconButton("restart", "Restart", () => this.seek(0), { id: "restart" }),
      this.button,
      ...steps,
      this.slider,
      ...(steps.length > 0 ? [this.phase] : []),
      make("span", { class: "clock" }, this.clock, make("span", { class: "faint" }, ` / ${duration.toFixed(1)} s`)),
      speed,
    );
  }
}
