/** The interactive picture of a draw list: a WebGL canvas, text on a canvas over it, and a camera that the user moves. */

import { PoseFlight } from "./camera.js";
import { knownLevels } from "./cells.js";
import { Controls } from "./controls.js";
import { closeUpPose, pick } from "./picking.js";
import { withCountOfPoints } from "./points.js";
import { Renderer } from "./renderer.js";
import { StillPicture } from "./still_picture.js";
import { TextLayer, pictureScale } from "./text.js";

/** Milliseconds without a change after which the picture rests. */
const REST = 160;
const LONGEST_REST = 1500;
/** Mean milliseconds between frames above which a moving picture is drawn with half the width and height. */
const SLOW = 24;
/** Share of the width and height of coarse frames, and of those on very slow machines. */
const COARSE_SHARE = 0.5;
const SLOW_SHARE = 0.4;
/** Mean milliseconds between coarse frames above which they are smaller, with the text in them. */
const VERY_SLOW = 30;
/** Mean milliseconds between coarse frames below which whole frames are tried again, and how often. */
const QUICK = 20;
const MOST_FAILURES = 3;
/** Milliseconds of each frame for the upload of cells, while there are many. */
const UPLOAD = 30;
/** Enlargement of text, lines and balls in small pictures on a page. */
const READABLE = 1.45;
const ANY_POSE = { position: [0, 0, 10], target: [0, 0, 0], up: [0, 1, 0], field_of_view: 26 };

/**
 * Shows draw lists in an element, as large as the element. It draws only when something has changed.
 *
 * While the picture changes from frame to frame, it is drawn without creases, and with half the width and height if
 * frames take long. When it rests, it is drawn whole, and then with smooth edges.
 */
export class Viewer {
  /**
   * @param {HTMLElement} element Has a size of its own.
   * @param {object} on Callbacks, each optional.
   * @param {(hit: object | null, at: number[], event: Event) => void} on.hit A click, and what it met; `at` is in device
   *   pixels from the upper left corner.
   * @param {(hit: object | null, at: number[], event: Event) => boolean} on.double The same for a double click; unless it
   *   returns true, the camera flies to what lies there.
   * @param {(pose: object, by_user: boolean) => void} on.pose The camera has moved.
   * @param {(event: KeyboardEvent) => boolean} on.key A key; true if it needs nothing more.
   * @param {(drawn: object) => void} on.drawn A picture was drawn: `{moving, coarse, smooth}`.
   * @param {(problems: string[]) => void} on.problems Sentences on what cannot be drawn; an empty list if all is drawn.
   */
  constructor(element, on = {}) {
    this.element = element;
    this.on = on;
    this.drawList = null;
    this.changes = { last: -Infinity, moving: false };
    this.pace = { last: -Infinity, mean: 0, coarse: false, failures: 0, slow: false, cost: 0, begun: null };
    this.still = null;
    this.stale = false;
    this.complete = false;
    this.frame = null;
    this.camera = ANY_POSE;
    this.flight = null;
    this.homePose = ANY_POSE;
    this.told = "[]";
    this.picture = document.createElement("canvas");
    this.words = document.createElement("canvas");
    for (const canvas of [this.picture, this.words]) {
      Object.assign(canvas.style, { position: "absolute", inset: "0", width: "100%", height: "100%", display: "block" });
    }
    this.words.style.pointerEvents = "none";
    if (getComputedStyle(element).position === "static") element.style.position = "relative";
    element.append(this.picture, this.words);
    this.renderer = new Renderer(this.picture);
    this.text = new TextLayer(this.words);
    this.controls = new Controls(element, {
      pose: () => this.camera,
      onPose: (pose) => this.#steer(pose),
      onClick: (at, event) => this.#click(on.hit, at, event),
      onDouble: (at, event) => this.#double(at, event),
      onKey: (event) => on.key?.(event) ?? false,
      onHome: () => this.goHome(),
    });
    this.picture.addEventListener("webglcontextlost", (event) => this.#lose(event));
    this.picture.addEventListener("webglcontextrestored", () => this.#restore());
    this.resizing = new ResizeObserver(() => this.redraw());
    this.resizing.observe(element);
  }

  /** Width and height of the picture in device pixels. */
  get size() {
    const { width, height } = this.element.getBoundingClientRect();
    const ratio = devicePixelRatio;
    return [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  }

  /** Factor for the sizes of text, lines and balls. */
  get scale() {
    return pictureScale(this.size, READABLE * devicePixelRatio);
  }

  /** The camera's pose. */
  get pose() {
    return this.camera;
  }

  /** Show a draw list instead of the earlier one. */
  show(drawList) {
    this.drawList = drawList;
    this.renderer.draw(drawList);
    this.#tell();
    this.#change();
  }

  /** Prepare the cells of a block that the next draw list will show, while its other parts are still on their way. */
  expect(cells) {
    knownLevels(cells);
  }

  /** Set the pose to which `goHome` returns, and take it. */
  home(pose) {
    this.homePose = pose;
    this.look(pose);
  }

  /** Return to the home pose. */
  goHome() {
    this.#steer(this.homePose);
  }

  /** Take a pose. */
  look(pose) {
    this.flight = null;
    this.#moved(pose, false);
  }

  /** Fly to a pose, in some seconds if they are given; at once if the reader prefers pictures without motion. */
  fly(pose, seconds = undefined) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.#steer(pose);
      return;
    }
    this.flight = { path: new PoseFlight(this.camera, pose, seconds), start: performance.now() };
    this.#change();
  }

  /** Draw the picture again, such as after a font has loaded. */
  redraw() {
    this.#change();
  }

  /**
   * Return what is visible at a point, in device pixels from the upper left corner; `null` if nothing is there.
   * @param {string} [pointer] Type of the pointer: a fingertip reaches farther than a mouse.
   */
  pick(at, pointer = "mouse") {
    if (this.drawList === null) return null;
    const reach = devicePixelRatio * (pointer === "touch" ? 2.5 : 1);
    return pick(this.drawList, this.camera, this.size, at, { scale: this.scale, reach });
  }

  /** Return the whole picture with its text as a PNG file. */
  async save() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = this.size;
    const context = canvas.getContext("2d");
    this.renderer.prepare();
    this.#drawWhole();
    this.#startStill();
    while (this.still !== null && !this.still.done) this.still.add();
    this.still?.show();
    context.drawImage(this.picture, 0, 0);
    context.drawImage(this.words, 0, 0);
    this.#endStill();
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /** Stop, and remove the picture from its element. */
  close() {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.resizing.disconnect();
    this.controls.close();
    this.#endStill();
    this.renderer.close();
    this.picture.remove();
    this.words.remove();
  }

  #moved(pose, byUser) {
    this.camera = pose;
    this.on.pose?.(pose, byUser);
    this.#change();
  }

  #click(callback, [x, y], event) {
    if (callback === undefined) return;
    const at = [x * devicePixelRatio, y * devicePixelRatio];
    callback(this.pick(at, event.pointerType), at, event);
  }

  #double([x, y], event) {
    const at = [x * devicePixelRatio, y * devicePixelRatio];
    if (this.drawList === null || this.on.double?.(this.pick(at, event.pointerType), at, event)) return;
    const pose = closeUpPose(this.drawList, this.camera, this.size, at);
    if (pose !== null) this.fly(pose);
  }

  /** Take a pose by the user's hand, which ends a flight. */
  #steer(pose) {
    this.flight = null;
    this.#moved(pose, true);
  }

  #advance() {
    const { path, start } = this.flight;
    const [pose, arrived] = path.at((performance.now() - start) / 1000);
    if (arrived) this.flight = null;
    this.#moved(pose, true);
  }

  #tell() {
    const problems = [...this.renderer.problems.values()];
    const text = JSON.stringify(problems);
    if (text !== this.told) this.on.problems?.(problems);
    this.told = text;
  }

  #lose(event) {
    event.preventDefault();
    this.#endStill();
    this.renderer.lose();
    this.on.problems?.(["The graphics card has stopped; the picture returns when it is back."]);
    this.told = "";
  }

  #restore() {
    this.renderer.restore();
    this.#tell();
    this.#change();
  }

  /** Note a change, which the next frame shows. */
  #change() {
    const time = performance.now();
    // Where a frame takes long, the next change comes late.
    const patience = Math.max(REST, Math.min(3 * this.pace.cost, LONGEST_REST));
    this.changes.moving = this.controls.held || time - this.changes.last < patience;
    this.changes.last = time;
    this.stale = true;
    this.#wake();
  }

  #wake() {
    if (this.frame === null) this.frame = requestAnimationFrame((time) => this.#tick(time));
  }

  /** Draw a frame if something has changed; else make the resting picture better. */
  #tick(time) {
    this.frame = null;
    if (this.drawList === null || this.renderer.lost) return;
    if (this.pace.begun !== null) this.pace.cost = (this.pace.cost + performance.now() - this.pace.begun) / 2;
    this.pace.begun = null;
    if (this.flight !== null) this.#advance();
    if (this.renderer.prepare(UPLOAD)) {
      this.#tell();
      this.stale = true;
    }
    // A resting picture stays until all cells of the next one are there: drawing takes time, and the two would be mixed.
    const waits = this.uploading && this.complete && !this.changes.moving;
    if (waits) this.#endStill();
    else if (this.stale) {
      this.stale = false;
      this.#endStill();
      if (this.changes.moving || this.uploading) this.#drawMoving(time);
      else this.#drawWhole();
    } else if (performance.now() - this.changes.last >= REST) {
      this.#rest();
    }
    if (this.flight !== null || this.still !== null || this.rough || this.waiting || this.uploading) this.#wake();
  }

  /** Whether the picture rests: nothing changes, and its edges are smooth. */
  get rests() {
    return this.drawList !== null && this.frame === null && !this.renderer.lost;
  }

  /** Whether cells wait for their upload. */
  get uploading() {
    return this.renderer.waiting.length > 0;
  }

  #drawMoving(time) {
    this.#measure(time);
    this.#draw({ careful: false, coarse: this.pace.coarse });
    this.rough = true;
  }

  /** Measure how long frames take while one follows the other, and draw coarse frames if the others take too long. */
  #measure(time) {
    const pace = this.pace;
    const passed = time - pace.last;
    pace.last = time;
    if (!this.rough || this.uploading) return;
    pace.mean = pace.mean * 0.7 + Math.min(passed, LONGEST_REST) * 0.3;
    if (pace.coarse && pace.mean > VERY_SLOW) pace.slow = true;
    if (!pace.coarse && pace.mean > SLOW) Object.assign(pace, { coarse: true, mean: 0, failures: pace.failures + 1 });
  }

  /** Try whole frames again after a motion whose coarse frames were quick, unless that has failed before. */
  #recover() {
    const pace = this.pace;
    if (pace.coarse && pace.mean < QUICK && pace.failures < MOST_FAILURES) Object.assign(pace, { coarse: false, mean: 0 });
  }

  #drawWhole() {
    this.#draw({ careful: true, coarse: false });
    this.rough = false;
    this.waiting = true;
  }

  /** Draw the whole picture, then one frame with smooth edges after the other, then show them. */
  #rest() {
    if (this.rough) {
      this.#recover();
      this.#drawWhole();
    } else if (this.waiting) {
      this.waiting = false;
      this.#startStill();
    } else if (this.still !== null) {
      this.still.add();
      if (!this.still.done) return;
      const mean = (performance.now() - this.still.begun) / this.still.count;
      if (mean > 2 * SLOW) this.#expectSlowness(mean > 4 * SLOW);
      this.still.show();
      this.#endStill();
      this.on.drawn?.({ moving: false, coarse: false, smooth: true });
    }
  }

  /** Begin the next motion with coarse frames. The first one is drawn here and at once covered by the still picture, because
   * software renderers compile at the first use. */
  #expectSlowness(very) {
    this.pace.coarse = true;
    this.pace.slow ||= very;
    if (this.warm) return;
    this.warm = true;
    const size = this.size;
    const placed = this.text.arrange(this.drawList, this.renderer.matrix(this.camera, size), size, this.scale, true);
    this.renderer.render(this.camera, { scale: this.scale * SLOW_SHARE, careful: false, coarse: true });
    this.renderer.write(placed.filter(({ sprite }) => sprite !== undefined), size);
  }

  #startStill() {
    this.#endStill();
    this.still = new StillPicture(this.renderer, this.camera, { scale: this.scale, careful: true });
    if (!this.still.possible) this.#endStill();
  }

  #endStill() {
    this.still?.remove();
    this.still = null;
  }

  #draw({ careful, coarse }) {
    const size = this.size;
    this.pace.begun = performance.now();
    const share = coarse ? (this.pace.slow ? SLOW_SHARE : COARSE_SHARE) : 1;
    resized(
      this.picture,
      size.map((length) => Math.ceil(length * share)),
    );
    this.renderer.render(this.camera, { scale: this.scale * share, careful, coarse });
    const told = coarse ? withCountOfPoints(this.drawList) : this.drawList;
    const placed = this.text.arrange(told, this.renderer.matrix(this.camera, size), size, this.scale, !careful);
    // A canvas with text over the picture takes a third of the time of a coarse frame.
    const inPicture = coarse && this.pace.slow && placed.every(({ sprite }) => sprite !== undefined);
    this.words.style.display = inPicture ? "none" : "block";
    if (inPicture) this.renderer.write(placed, size);
    else this.text.show(placed, size);
    this.complete ||= !this.uploading;
    this.on.drawn?.({ moving: !careful, coarse, smooth: false });
  }
}

function resized(canvas, [width, height]) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
