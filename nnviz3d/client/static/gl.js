/** WebGL2 programs, meshes and textures for all drawers, and messages about what a browser cannot draw. */

/** Texels from which an upload may find no room. */
const LARGE_TEXTURE = 4e6;

/** A picture that this browser's graphics cannot draw; the message is a sentence for the reader. */
export class GraphicsError extends Error {}

/** Programs and textures of one WebGL2 context. */
export class Graphics {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const options = { alpha: false, antialias: false, depth: true, powerPreference: "high-performance" };
    this.gl = canvas.getContext("webgl2", options);
    if (this.gl === null) throw new GraphicsError("This browser has no WebGL2, which draws the picture.");
    // Either of them lets frames be added up.
    for (const name of ["EXT_color_buffer_float", "EXT_color_buffer_half_float"]) this.gl.getExtension(name);
    this.largest = this.gl.getParameter(this.gl.MAX_TEXTURE_SIZE);
    this.programs = new Map();
  }

  /** Return the program of two shaders, compiled once. */
  program(vertex, fragment) {
    const key = `${vertex}\n//\n${fragment}`;
    if (!this.programs.has(key)) this.programs.set(key, new Program(this.gl, vertex, fragment));
    return this.programs.get(key);
  }
}

/** A compiled program. It sets its uniforms by name and by the count of their components. */
class Program {
  constructor(gl, vertex, fragment) {
    this.gl = gl;
    this.handle = gl.createProgram();
    for (const [kind, text] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.handle, shader);
    }
    gl.linkProgram(this.handle);
    if (!gl.getProgramParameter(this.handle, gl.LINK_STATUS) && !gl.isContextLost()) {
      const logs = gl.getAttachedShaders(this.handle).map((shader) => gl.getShaderInfoLog(shader));
      throw new Error([gl.getProgramInfoLog(this.handle), ...logs].filter(Boolean).join("\n"));
    }
    this.uniforms = new Map();
    const count = gl.getProgramParameter(this.handle, gl.ACTIVE_UNIFORMS);
    for (let i = 0; i < count; ++i) {
      const { name, type } = gl.getActiveUniform(this.handle, i);
      this.uniforms.set(name, { type, at: gl.getUniformLocation(this.handle, name) });
    }
  }

  use() {
    this.gl.useProgram(this.handle);
  }

  /** Set uniforms: numbers, lists of two to four numbers, or matrices of 16 numbers by rows. */
  set(values) {
    const gl = this.gl;
    for (const [name, value] of Object.entries(values)) {
      const found = this.uniforms.get(name);
      if (found === undefined) continue;
      if (found.type === gl.SAMPLER_2D || found.type === gl.INT) gl.uniform1i(found.at, value);
      else if (typeof value === "number") gl.uniform1f(found.at, value);
      else if (value.length === 16) gl.uniformMatrix4fv(found.at, true, value);
      else gl[`uniform${value.length}fv`](found.at, value);
    }
  }

  attribute(name) {
    return this.gl.getAttribLocation(this.handle, name);
  }
}

/** Vertices in buffers, drawn as triangles or lines. */
export class Mesh {
  constructor(gl) {
    this.gl = gl;
    this.vertices = gl.createVertexArray();
    this.buffers = new Map();
  }

  /**
   * Set an attribute of all vertices.
   *
   * @param {number} at Location in the program.
   * @param {ArrayBufferView} data
   * @param {number} components Numbers of each vertex; bytes mean shares of 255.
   */
  attribute(at, data, components) {
    this.interleaved([at], data, components);
  }

  /** Set several attributes, whose numbers follow each other for each vertex. */
  interleaved(places, data, components) {
    const gl = this.gl;
    this.write(places[0], data);
    gl.bindVertexArray(this.vertices);
    const bytes = data instanceof Uint8Array;
    const length = components * data.BYTES_PER_ELEMENT;
    places.forEach((at, i) => {
      if (at < 0) return;
      gl.enableVertexAttribArray(at);
      const stride = length * places.length;
      gl.vertexAttribPointer(at, components, bytes ? gl.UNSIGNED_BYTE : gl.FLOAT, bytes, stride, i * length);
    });
    gl.bindVertexArray(null);
  }

  /** Replace the numbers in a buffer. */
  write(key, data) {
    const gl = this.gl;
    if (!this.buffers.has(key)) this.buffers.set(key, gl.createBuffer());
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.get(key));
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  }

  /** Draw triangles by the indices of their vertices, from now on. */
  triangles(indices) {
    this.#cells(indices, this.gl.TRIANGLES);
  }

  /** Draw lines of one pixel by the indices of their ends, from now on. */
  lines(indices) {
    this.#cells(indices, this.gl.LINES);
  }

  #cells(indices, kind) {
    const gl = this.gl;
    gl.bindVertexArray(this.vertices);
    if (this.indices === undefined) this.indices = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.indices);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    this.count = indices.length;
    this.kind = kind;
    this.indexType = indices instanceof Uint32Array ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT;
  }

  /** Draw all cells, or those of the first `most` indices. */
  draw(most = this.count) {
    const gl = this.gl;
    gl.bindVertexArray(this.vertices);
    gl.drawElements(this.kind, Math.min(most, this.count), this.indexType, 0);
    gl.bindVertexArray(null);
  }

  remove() {
    for (const buffer of this.buffers.values()) this.gl.deleteBuffer(buffer);
    if (this.indices !== undefined) this.gl.deleteBuffer(this.indices);
    this.gl.deleteVertexArray(this.vertices);
  }
}

/**
 * Return a texture of exact numbers or colours, without interpolation.
 *
 * @param {WebGL2RenderingContext} gl
 * @param {{width: number, height: number, data: Float32Array | Uint8Array, components: 1 | 3 | 4}} pixels
 *   One component is a float32, three and four are bytes.
 */
export function texture(gl, { width, height, data, components }) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  const [inside, format, kind] = {
    1: [gl.R32F, gl.RED, gl.FLOAT],
    3: [gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE],
    4: [gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE],
  }[components];
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, format, kind, data);
  // Asking for errors waits for the graphics card, so only large textures are checked.
  if (width * height > LARGE_TEXTURE && gl.getError() === gl.OUT_OF_MEMORY) {
    gl.deleteTexture(made);
    throw new GraphicsError(`The graphics card has no room for ${width} x ${height} numbers.`);
  }
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  }
  return made;
}

/** Bind a texture to a unit. */
export function bindTexture(gl, unit, made) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
}
