/** Drawing of draw lists with WebGL2. Each kind of primitive has its drawer; unchanged primitives are not touched. */

import { BackgroundDrawer } from "./background.js";
import { BoxesDrawer } from "./boxes.js";
import { Eye } from "./camera.js";
import { Graphics, GraphicsError } from "./gl.js";
import { LinesDrawer } from "./lines.js";
import { PointsDrawer } from "./points.js";
import { depthRange, pictureMatrix } from "./projection.js";
import { RidgesDrawer } from "./ridges.js";
import { SpritesDrawer } from "./sprites.js";
import { SurfaceDrawer } from "./surfaces.js";
import { ImageDrawer, TilesDrawer } from "./tiles.js";
import { VoxelsDrawer } from "./voxels.js";

const DRAWERS = {
  Image: ImageDrawer,
  Lines: LinesDrawer,
  Points: PointsDrawer,
  Ridges: RidgesDrawer,
  Surface: SurfaceDrawer,
  Tiles: TilesDrawer,
  Voxels: VoxelsDrawer,
};
/** Most cells that are uploaded without a pause. */
const AT_ONCE = 3e6;

/** Return the number of cells that have to be uploaded to draw a primitive. */
function newCells(primitive, drawer) {
  if (primitive.kind !== "Voxels" || drawer?.block?.values === primitive.values) return 0;
  return primitive.values.data.length;
}

/** Draws into a canvas; the size of the picture is that of the canvas. */
export class Renderer {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.drawList = { background: [[0, 0, 0], [0, 0, 0]], primitives: [] };
    this.drawers = new Map();
    this.problems = new Map();
    this.waiting = [];
    this.lost = false;
    this.#begin();
  }

  #begin() {
    this.graphics = new Graphics(this.canvas);
    this.ground = new BackgroundDrawer(this.graphics);
    this.boxes = new BoxesDrawer(this.graphics);
    this.sprites = null;
    this.refused = new WeakMap();
    const gl = this.graphics.gl;
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
  }

  /** Width and height in pixels. */
  get size() {
    return [this.canvas.width, this.canvas.height];
  }

  /** Forget all that was on the graphics card, which has lost it. */
  lose() {
    this.lost = true;
  }

  /** Upload everything again, after the graphics card has lost it. */
  restore() {
    this.drawers.clear();
    this.lost = false;
    this.#begin();
    this.draw(this.drawList);
  }

  /** Make the next picture equal to a draw list; `render` shows it. */
  draw(drawList) {
    this.drawList = drawList;
    if (this.lost) return;
    this.problems.clear();
    const wanted = new Map();
    for (const primitive of drawList.primitives) {
      if (primitive.kind in DRAWERS) wanted.set(`${primitive.kind} ${primitive.name}`, primitive);
    }
    for (const [key, drawer] of this.drawers) {
      if (wanted.has(key)) continue;
      drawer.remove();
      this.drawers.delete(key);
    }
    const ordered = new Map();
    this.waiting = [];
    const large = [...wanted].reduce((sum, [key, one]) => sum + newCells(one, this.drawers.get(key)), 0) > AT_ONCE;
    for (const [key, primitive] of wanted) {
      const known = this.drawers.get(key);
      const drawer = known ?? new DRAWERS[primitive.kind](this.graphics);
      ordered.set(key, drawer);
      if (large && newCells(primitive, known) > 0) this.waiting.push([key, primitive]);
      else this.#update(ordered, key, primitive);
    }
    this.drawers = ordered;
    this.boxes.update(drawList.primitives.filter((primitive) => primitive.kind === "Box"));
  }

  #update(drawers, key, primitive) {
    const array = primitive.values ?? primitive.pixels ?? {};
    try {
      if (this.refused.has(array)) throw this.refused.get(array);
      drawers.get(key).update(primitive);
    } catch (error) {
      if (!(error instanceof GraphicsError)) throw error;
      this.refused.set(array, error);
      drawers.get(key).remove();
      drawers.delete(key);
      this.problems.set(key, `${primitive.name} is not drawn: ${error.message}`);
    }
  }

  /**
   * Upload blocks that wait, because their cells are too many to upload without a pause; others show what they showed.
   *
   * @param {number} milliseconds After this time no further one is begun.
   * @returns {boolean} Whether any was uploaded.
   */
  prepare(milliseconds = Infinity) {
    const end = performance.now() + milliseconds;
    const count = this.waiting.length;
    while (!this.lost && this.waiting.length > 0 && performance.now() < end) {
      this.#update(this.drawers, ...this.waiting.shift());
    }
    return this.waiting.length < count;
  }

  /** All drawers of visible things, in the order in which they are drawn: what is blended comes last. */
  #visible() {
    const all = [...this.drawers.values(), this.boxes];
    return [...all.filter((one) => !one.blended), ...all.filter((one) => one.blended), this.boxes.frames].filter(
      (one) => one.visible,
    );
  }

  /** Free the memory of the graphics card. */
  close() {
    for (const drawer of this.drawers.values()) drawer.remove();
    this.drawers.clear();
    this.graphics.gl.getExtension("WEBGL_lose_context")?.loseContext();
    this.lost = true;
  }

  /** Return the box of the world that holds all that is visible: smallest and largest corner. */
  bounds() {
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const drawer of this.#visible()) {
      for (let i = 0; i < 3; ++i) {
        low[i] = Math.min(low[i], drawer.extent[0][i]);
        high[i] = Math.max(high[i], drawer.extent[1][i]);
      }
    }
    return low[0] <= high[0] ? [low, high] : [[-1, -1, -1], [1, 1, 1]];
  }

  /**
   * Return the matrix of a pose: 16 numbers by rows, clip coordinates are the matrix times (x, y, z, 1).
   *
   * @param {object} pose `{position, target, up, field_of_view}`
   * @param {[number, number]} size Width and height of the picture.
   */
  matrix(pose, size = this.size, shift = [0, 0]) {
    const eye = new Eye(pose, size);
    return pictureMatrix(eye, depthRange(eye, this.bounds()), shift);
  }

  /**
   * Draw one picture.
   *
   * @param {object} pose
   * @param {object} options
   * @param {number} options.scale Factor for the widths of lines and the sizes of balls; 1 in 1280 x 720 pixels.
   * @param {boolean} options.careful Whether to darken corners and creases and to shade the background.
   * @param {boolean} options.coarse Whether to draw curves with fewer points, and fewer points of large clouds.
   * @param {[number, number]} options.shift Pixels, less than one, by which the picture moves right and up.
   * @param {WebGLFramebuffer | null} options.target As large as the canvas, which is the default.
   */
  render(pose, { scale = 1, careful = true, coarse = false, shift = [0, 0], target = null } = {}) {
    if (this.lost) return;
    const gl = this.graphics.gl;
    const [width, height] = this.size;
    const [low, high] = this.drawList.background;
    const middle = low.map((one, i) => (one + high[i]) / 2);
    const view = {
      eye: new Eye(pose, this.size),
      matrix: this.matrix(pose, this.size, shift),
      low,
      ground: careful ? low : middle,
      scale,
      careful,
      coarse,
    };
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    gl.viewport(0, 0, width, height);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    this.ground.draw(careful ? [low, high] : [middle, middle]);
    for (const drawer of this.#visible()) drawer.draw(view);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Draw text over the picture; see `SpritesDrawer.draw`. */
  write(placed, size) {
    if (this.lost) return;
    this.sprites ??= new SpritesDrawer(this.graphics);
    this.sprites.draw(placed, size, this.size);
  }
}
