/** Drawing of text sprites over the picture, while the canvas with the text is hidden. */

import { Mesh, bindTexture } from "./gl.js";
import { quadTriangles } from "./lines.js";

/** Most textures of sprites that are kept although the last picture had them not. */
const MOST_SPRITES = 400;

const VERTEX_OF_SPRITE = `#version 300 es
uniform vec2 start, extent, wholeSize;
out vec2 at;
void main()
{
  vec2 place = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1);
  at = vec2(place.x, 1.0 - place.y);
  gl_Position = vec4(2.0 * (start + place * extent) / wholeSize - 1.0, 0.0, 1.0);
}
`;
const FRAGMENT_OF_SPRITE = `#version 300 es
precision highp float;
uniform sampler2D pixels;
in vec2 at;
out vec4 color;
void main()
{
  color = texture(pixels, at);
}
`;

/** Draws sprites, each with a canvas of its own, whose pixels are uploaded once. */
export class SpritesDrawer {
  constructor(graphics) {
    this.gl = graphics.gl;
    this.program = graphics.program(VERTEX_OF_SPRITE, FRAGMENT_OF_SPRITE);
    this.square = new Mesh(this.gl);
    this.square.triangles(quadTriangles(1));
    this.textures = new Map();
  }

  /**
   * Draw sprites into the canvas.
   *
   * @param {{sprite: {canvas: HTMLCanvasElement, width: number, height: number}, left: number, bottom: number}[]} placed
   * @param {[number, number]} size Width and height of the picture that the sprites were placed in.
   * @param {[number, number]} canvasSize Width and height of the canvas, which may be smaller.
   */
  draw(placed, size, canvasSize) {
    const gl = this.gl;
    gl.viewport(0, 0, ...canvasSize);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.program.use();
    this.program.set({ wholeSize: size, pixels: 0 });
    for (const { sprite, left, bottom } of placed) {
      bindTexture(gl, 0, this.#texture(sprite.canvas));
      const extent = [sprite.canvas.width, sprite.canvas.height];
      this.program.set({ start: [Math.round(left), Math.round(bottom) + sprite.height - extent[1]], extent });
      this.square.draw();
    }
    gl.disable(gl.BLEND);
    gl.enable(gl.DEPTH_TEST);
    if (this.textures.size > MOST_SPRITES) this.#forget(new Set(placed.map(({ sprite }) => sprite.canvas)));
  }

  #texture(canvas) {
    const gl = this.gl;
    if (!this.textures.has(canvas)) {
      const made = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, made);
      gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
      gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
      this.textures.set(canvas, made);
    }
    return this.textures.get(canvas);
  }

  #forget(kept) {
    for (const [canvas, made] of this.textures) {
      if (kept.has(canvas)) continue;
      this.gl.deleteTexture(made);
      this.textures.delete(canvas);
    }
  }
}
