// Camera motion by mouse, wheel, fingers and keys: the scene turns as on a turntable, so the horizon stays level.

import { orbitPose, panPose, zoomPose } from "./camera.js";

const HALF_TURN = 180; // Degrees of a drag across the shorter side of the picture.
const NOTCH = 1.12; // Zoom factor of one notch of the wheel.
const NOTCH_PIXELS = 100; // Scrolled pixels of one notch.
const MOST_NOTCHES = 5;
const SLIP = { mouse: 4, pen: 8, touch: 10 }; // Pixels that the pointer may move during a click.
const DOUBLE_MILLISECONDS = 400;
const DOUBLE_PIXELS = { mouse: 6, pen: 12, touch: 30 };
const KEY_DEGREES = 5;
const KEY_SHARE = 0.05; // Share of the picture's height by which a key moves the scene.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const HINT_MILLISECONDS = 1600;
const ZOOM_KEYS = { "+": NOTCH, "=": NOTCH, "-": 1 / NOTCH, _: 1 / NOTCH };

/**
 * Turns events of an element into camera poses and clicks.
 *
 * Drag: turn. Shift, the middle or the right button, or two fingers: move. Wheel or pinch: zoom at the pointer. Arrows:
 * turn, with Shift move; + and -: zoom; r: home. In a frame of another page, such as a notebook, the wheel scrolls that
 * page until a click has given the element the focus; Escape takes it away. All points are pixels of the page from the element's upper left corner.
 */
export class Controls {
  /**
   * @param {HTMLElement} element Gets the focus by a click, so that it receives keys.
   * @param {object} options
   * @param {() => object} options.pose Returns the camera's pose.
   * @param {(pose: object) => void} options.onPose Receives a new pose.
   * @param {(at: number[], event: PointerEvent) => void} [options.onClick] Receives a click.
   * @param {(at: number[], event: PointerEvent) => void} [options.onDouble] Receives the second click of a double click.
   * @param {(event: KeyboardEvent) => boolean} [options.onKey] Receives each key first; true if it has handled the key.
   * @param {() => void} [options.onHome] Moves the camera back to the scene's own view.
   * @param {boolean} [options.framed] Whether the page is in a frame of another page.
   * @param {() => number[]} [options.size] Width and height of the picture; by default those of the element.
   */
  constructor(element, options) {
    this.element = element;
    const size = () => [element.clientWidth, element.clientHeight];
    this.options = { size, framed: window.self !== window.top, ...options };
    this.hint = null;
    this.fingers = new Map();
    this.action = null;
    this.slipped = false;
    this.last = [0, 0];
    this.clicked = { time: -Infinity, at: [0, 0] };
    this.listening = new AbortController();
    element.style.touchAction = "none";
    if (!element.hasAttribute("tabindex")) element.tabIndex = 0;
    const listen = (name, method) =>
      element.addEventListener(name, method.bind(this), { signal: this.listening.signal, passive: false });
    listen("pointerdown", this.press);
    listen("pointermove", this.move);
    listen("pointerup", this.release);
    listen("pointercancel", this.cancel);
    listen("lostpointercapture", this.cancel);
    listen("wheel", this.wheel);
    listen("keydown", this.key);
    listen("contextmenu", (event) => event.preventDefault());
  }

  /** Whether a button or finger is down. */
  get held() {
    return this.fingers.size > 0;
  }

  /** Stop listening. */
  close() {
    this.listening.abort();
    this.#hideHint();
  }

  place(event) {
    const corner = this.element.getBoundingClientRect();
    return [event.clientX - corner.left, event.clientY - corner.top];
  }

  press(event) {
    if (event.pointerType === "mouse" && this.held) return;
    this.#hideHint();
    this.element.focus({ preventScroll: true });
    if (event.button === 1) event.preventDefault(); // else the page scrolls by itself
    this.capture(event.pointerId);
    this.fingers.set(event.pointerId, this.place(event));
    this.action = event.button > 0 || event.shiftKey ? "pan" : "orbit";
    this.slipped = this.fingers.size > 1;
    this.last = this.place(event);
  }

  capture(pointer) {
    try {
      this.element.setPointerCapture(pointer);
    } catch (error) {
      // The finger has already left the screen.
      if (error.name !== "NotFoundError") throw error;
    }
  }

  move(event) {
    if (!this.fingers.has(event.pointerId)) return;
    const before = this.gesture();
    this.fingers.set(event.pointerId, this.place(event));
    if (this.fingers.size > 1) this.pinch(before, this.gesture());
    else this.drag(this.place(event), event.pointerType);
  }

  drag([x, y], pointerType) {
    const [right, up] = [x - this.last[0], this.last[1] - y];
    if (!this.slipped && Math.hypot(right, up) < (SLIP[pointerType] ?? SLIP.mouse)) return;
    [this.last, this.slipped] = [[x, y], true];
    const [width, height] = this.options.size();
    const degrees = HALF_TURN / Math.min(width, height);
    const pose = this.options.pose();
    this.options.onPose(
      this.action === "orbit"
        ? orbitPose(pose, -right * degrees, -up * degrees)
        : panPose(pose, right / height, up / height),
    );
  }

  /** Return the middle of the first two fingers and their distance. */
  gesture() {
    const [one, other = one] = this.fingers.values();
    return {
      middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2],
      distance: Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1),
    };
  }

  pinch(before, after) {
    const [, height] = this.options.size();
    const nearer = zoomPose(this.options.pose(), after.distance / before.distance, this.fromMiddle(before.middle));
    const [right, down] = [after.middle[0] - before.middle[0], after.middle[1] - before.middle[1]];
    this.options.onPose(panPose(nearer, right / height, -down / height));
  }

  /** Return a position relative to the middle of the picture, to the right and upwards, as shares of its height. */
  fromMiddle([x, y]) {
    const [width, height] = this.options.size();
    return [(x - width / 2) / height, (height / 2 - y) / height];
  }

  release(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    if (this.held) {
      // The finger that stays turns the scene from where it is.
      [this.last] = this.fingers.values();
    } else if (this.action === "orbit" && !this.slipped) {
      this.click(this.last, event);
    }
  }

  cancel(event) {
    if (this.fingers.delete(event.pointerId)) this.slipped = true;
  }

  click(at, event) {
    const { time, at: before } = this.clicked;
    const near = Math.hypot(at[0] - before[0], at[1] - before[1]) < (DOUBLE_PIXELS[event.pointerType] ?? 6);
    const double = this.options.onDouble && event.timeStamp - time < DOUBLE_MILLISECONDS && near;
    this.clicked = { time: double ? -Infinity : event.timeStamp, at };
    if (double) this.options.onDouble(at, event);
    else this.options.onClick?.(at, event);
  }

  wheel(event) {
    // The frame keeps its active element when the page around it has the focus.
    if (this.options.framed && !(document.hasFocus() && this.element.contains(document.activeElement))) {
      this.#showHint();
      return;
    }
    event.preventDefault();
    const pixels = event.deltaY * [1, NOTCH_PIXELS / 3, NOTCH_PIXELS][event.deltaMode];
    // Browsers report a pinch on a touchpad as a turned wheel with Ctrl, in finer steps.
    const notches = (event.ctrlKey ? 10 : 1) * (pixels / NOTCH_PIXELS);
    const factor = NOTCH ** -Math.min(Math.max(notches, -MOST_NOTCHES), MOST_NOTCHES);
    this.options.onPose(zoomPose(this.options.pose(), factor, this.fromMiddle(this.place(event))));
  }

  key(event) {
    if (this.options.onKey?.(event)) {
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pose = this.options.pose();
    if (ARROWS[event.key]) {
      const [right, up] = ARROWS[event.key];
      this.options.onPose(
        event.shiftKey
          ? panPose(pose, right * KEY_SHARE, up * KEY_SHARE)
          : orbitPose(pose, -right * KEY_DEGREES, -up * KEY_DEGREES),
      );
    } else if (ZOOM_KEYS[event.key]) {
      this.options.onPose(zoomPose(pose, ZOOM_KEYS[event.key]));
    } else if (this.options.onHome && (event.key === "r" || event.key === "R" || event.key === "Home")) {
      this.options.onHome();
    } else {
      if (event.key === "Escape" && this.options.framed) this.element.blur();
      return;
    }
    event.preventDefault();
  }

  /** Say for a moment how the wheel can be used. */
  #showHint() {
    if (this.hint === null) {
      const box = document.createElement("div");
      box.textContent = "click to zoom with the wheel";
      Object.assign(box.style, {
        position: "absolute",
        left: "50%",
        bottom: "18%",
        transform: "translateX(-50%)",
        padding: "0.4em 0.9em",
        borderRadius: "1em",
        background: "rgb(10 14 20 / 80%)",
        color: "rgb(200 210 222)",
        font: "14px sans-serif",
        pointerEvents: "none",
      });
      this.element.append(box);
      this.hint = { box, timer: 0 };
    }
    clearTimeout(this.hint.timer);
    this.hint.timer = setTimeout(() => this.#hideHint(), HINT_MILLISECONDS);
  }

  #hideHint() {
    if (this.hint === null) return;
    clearTimeout(this.hint.timer);
    this.hint.box.remove();
    this.hint = null;
  }
}
