/** Antialiasing of a still picture: the mean of frames that are shifted by parts of a pixel. */

import { Mesh, bindTexture } from "./gl.js";

/** Shift of each frame in pixels, right and up: a rotated grid, best for edges near the axes. */
export const SHIFTS = [
  [-0.125, -0.375],
  [0.375, -0.125],
  [0.125, 0.375],
  [-0.375, 0.125],
];

const VERTEX_OF_COPY = `#version 300 es
in vec2 place;
void main()
{
  gl_Position = vec4(place, 0.0, 1.0);
}
`;
const FRAGMENT_OF_COPY = `#version 300 es
precision highp float;
uniform highp sampler2D frame;
uniform float share;
out vec4 color;
void main()
{
  color = vec4(texelFetch(frame, ivec2(gl_FragCoord.xy), 0).rgb * share, 1.0);
}
`;

/** A picture beside the canvas that can be drawn into. */
class Target {
  constructor(gl, [width, height], format, depth) {
    this.gl = gl;
    this.handle = gl.createFramebuffer();
    this.colors = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.colors);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.handle);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.colors, 0);
    if (depth) {
      this.depths = gl.createRenderbuffer();
      gl.bindRenderbuffer(gl.RENDERBUFFER, this.depths);
      gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT24, width, height);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, this.depths);
    }
    this.complete = gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  remove() {
    this.gl.deleteFramebuffer(this.handle);
    this.gl.deleteTexture(this.colors);
    if (this.depths !== undefined) this.gl.deleteRenderbuffer(this.depths);
  }
}

/** Mean of shifted frames of one pose. Each is added by its own call, so that the page can do other work in between. */
export class StillPicture {
  /**
   * @param {Renderer} renderer
   * @param {object} pose
   * @param {object} options As of `Renderer.render`.
   */
  constructor(renderer, pose, options) {
    this.renderer = renderer;
    this.pose = pose;
    this.options = options;
    this.count = 0;
    this.begun = performance.now();
    this.gl = renderer.graphics.gl;
    this.frame = new Target(this.gl, renderer.size, this.gl.RGBA8, true);
    this.total = new Target(this.gl, renderer.size, this.gl.RGBA16F, false);
    this.program = renderer.graphics.program(VERTEX_OF_COPY, FRAGMENT_OF_COPY);
    this.square = new Mesh(this.gl);
    this.square.attribute(this.program.attribute("place"), Float32Array.of(-1, -1, 1, -1, -1, 1, 1, 1), 2);
    this.square.triangles(Uint16Array.of(0, 1, 2, 2, 1, 3));
  }

  /** Whether this browser can add frames. */
  get possible() {
    return this.frame.complete && this.total.complete;
  }

  /** Whether all frames were added. */
  get done() {
    return this.count === SHIFTS.length;
  }

  /** Draw the next frame and add it. */
  add() {
    this.renderer.render(this.pose, { ...this.options, shift: SHIFTS[this.count], target: this.frame.handle });
    this.#copy(this.frame, this.total.handle, 1, this.count > 0);
    this.count += 1;
  }

  /** Show the mean of the frames on the canvas. */
  show() {
    this.#copy(this.total, null, 1 / this.count, false);
  }

  #copy(from, to, share, added) {
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, to);
    gl.disable(gl.DEPTH_TEST);
    if (added) {
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
    }
    this.program.use();
    this.program.set({ frame: 0, share });
    bindTexture(gl, 0, from.colors);
    this.square.draw();
    gl.disable(gl.BLEND);
    gl.enable(gl.DEPTH_TEST);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  remove() {
    this.frame.remove();
    this.total.remove();
    this.square.remove();
  }
}
