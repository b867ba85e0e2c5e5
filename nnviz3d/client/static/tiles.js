/** Drawing of `Tiles` and `Image`: rectangles with a picture. */

import { vecAdd, vecScale } from "./camera.js";
import { GraphicsError, Mesh, bindTexture, texture } from "./gl.js";
import { extentOfPoints, quadTriangles } from "./lines.js";
import { repeated } from "./points.js";
import { SHADERS } from "./shaders.js";

/** Maximum width in pixels of pictures whose pixels are drawn as squares. */
const CRISP = 64;
const SMOOTH_INSET = 0.5;
const CRISP_INSET = 0.01;

/** Put tiles `(n, h, w, 3)` side by side into one picture, about square: `{width, height, across, data}`. */
function packTiles({ data, shape: [n, h, w] }) {
  const across = Math.max(1, Math.min(n, Math.ceil(Math.sqrt((n * h) / Math.max(w, 1)))));
  const width = across * w;
  const height = Math.max(Math.ceil(n / across), 1) * h;
  const packed = new Uint8Array(width * height * 3);
  for (let k = 0; k < n; ++k) {
    const start = (Math.floor(k / across) * h * width + (k % across) * w) * 3;
    for (let row = 0; row < h; ++row) {
      const from = (k * h + row) * w * 3;
      packed.set(data.subarray(from, from + w * 3), start + row * width * 3);
    }
  }
  return { width, height, across, data: packed };
}

/** Draws equal rectangles, each with a tile of one texture. `opacity` darkens them, so that nothing is visible behind. */
export class TilesDrawer {
  constructor(graphics) {
    this.graphics = graphics;
    this.gl = graphics.gl;
    this.program = graphics.program(SHADERS["pictures.vert.glsl"], SHADERS["pictures.frag.glsl"]);
    this.squares = new Mesh(this.gl);
  }

  update(tiles) {
    const before = this.tiles;
    this.tiles = tiles;
    if (before?.pixels !== tiles.pixels) this.upload(tiles.pixels, false);
    this.place(tiles);
    this.visible = tiles.opacity > 0 && this.count > 0;
  }

  /** Upload pixels `(n, h, w, 3)`. With `small`, smaller copies are used where the picture is small on the screen. */
  upload(pixels, small) {
    const gl = this.gl;
    const packed = packTiles(pixels);
    if (Math.max(packed.width, packed.height) > this.graphics.largest) {
      throw new GraphicsError(`${packed.width} x ${packed.height} pixels are too many for this browser's graphics.`);
    }
    const [count, h, w] = pixels.shape;
    if (this.made !== undefined) gl.deleteTexture(this.made);
    this.made = texture(gl, { ...packed, components: 3 });
    this.smooth = w > CRISP;
    if (this.smooth) {
      if (small) gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, small ? gl.LINEAR_MIPMAP_LINEAR : gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    }
    if (count !== this.count) this.squares.triangles(quadTriangles(count));
    this.count = count;
    this.layout = { tileSize: [w, h], wholeSize: [packed.width, packed.height], across: packed.across };
    this.layout.inset = small ? 0 : this.smooth ? SMOOTH_INSET : CRISP_INSET;
  }

  /** Move the rectangles. */
  place({ origins, size, right, up }) {
    this.squares.attribute(this.program.attribute("start"), repeated(origins.data, 3, 4), 3);
    this.sides = { right: vecScale(right, size[0]), up: vecScale(up, size[1]) };
    const [low, high] = extentOfPoints(origins.data);
    const far = vecAdd(this.sides.right, this.sides.up);
    this.extent = [low.map((one, i) => one + Math.min(far[i], 0)), high.map((one, i) => one + Math.max(far[i], 0))];
  }

  draw(view) {
    this.program.use();
    this.program.set({ matrix: view.matrix, pixels: 0, brightness: this.tiles.opacity, ...this.layout, ...this.sides });
    bindTexture(this.gl, 0, this.made);
    this.squares.draw();
  }

  remove() {
    if (this.made !== undefined) this.gl.deleteTexture(this.made);
    this.squares.remove();
  }
}

/** Draws an `Image`. */
export class ImageDrawer extends TilesDrawer {
  update(image) {
    const before = this.tiles;
    this.tiles = image;
    const { data, shape } = image.pixels;
    if (before?.pixels !== image.pixels) this.upload({ data, shape: [1, ...shape] }, true);
    const origins = { data: Float32Array.from(image.origin) };
    this.place({ origins, size: image.size, right: [1, 0, 0], up: [0, 1, 0] });
    this.visible = image.opacity > 0;
  }
}
