/** Drawing of the background: one colour at the bottom, another one at the top. */

import { Mesh } from "./gl.js";

const VERTEX_OF_GROUND = `#version 300 es
in vec2 place;
out float height;
void main()
{
  height = 0.5 * place.y + 0.5;
  gl_Position = vec4(place, 0.0, 1.0);
}
`;
const FRAGMENT_OF_GROUND = `#version 300 es
precision highp float;
uniform vec3 lowColor, highColor;
in float height;
out vec4 color;
void main()
{
  color = vec4(mix(lowColor, highColor, height), 1.0);
}
`;

/** Draws the background behind everything. */
export class BackgroundDrawer {
  constructor(graphics) {
    this.gl = graphics.gl;
    this.program = graphics.program(VERTEX_OF_GROUND, FRAGMENT_OF_GROUND);
    this.square = new Mesh(this.gl);
    this.square.attribute(this.program.attribute("place"), Float32Array.of(-1, -1, 1, -1, -1, 1, 1, 1), 2);
    this.square.triangles(Uint16Array.of(0, 1, 2, 2, 1, 3));
  }

  draw([low, high]) {
    const gl = this.gl;
    if (low.every((one, i) => one === high[i])) {
      gl.clearColor(...low, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      return;
    }
    this.program.use();
    this.program.set({ lowColor: low, highColor: high });
    gl.disable(gl.DEPTH_TEST);
    this.square.draw();
    gl.enable(gl.DEPTH_TEST);
  }
}
