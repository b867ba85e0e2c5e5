/** Drawing of `Voxels`: one box for each tensor, whose fragment shader walks the grid of its numbers. */

import { vecNorm } from "./camera.js";
import { packCells, shownRange, thresholdRank } from "./cells.js";
import { Mesh, bindTexture, texture } from "./gl.js";
import { GAP_SHARE } from "./picking.js";
import { SHADERS } from "./shaders.js";

const NAN_COLOR = [0.1, 1.0, 0.35];
const INF_COLOR = [1.0, 0.15, 0.85];
/** More cells than any block has. */
const ALL = 1e30;
/** Width of the light that moves through a block, as a share of its length. */
const FRONT = 0.16;
/** Cells by which the drawn box is larger than its cells, so that no pixel at its edge is lost. */
const MARGIN_CELLS = 0.01;
/** Pixels of a cell up to which there are no gaps between cells; as in the shader. */
const GAPLESS = 2;
const CORNERS = Float32Array.from({ length: 24 }, (_, i) => (Math.floor(i / 3) >> (i % 3)) & 1);
/** Two triangles of each face; from outside their corners are clockwise, so that the faces in front can be left out. */
const FACES = Uint16Array.of(
  ...[0, 4, 2, 2, 4, 6, 1, 3, 5, 3, 7, 5, 0, 1, 4, 1, 5, 4, 2, 6, 3, 3, 6, 7, 0, 2, 1, 1, 2, 3, 4, 5, 6, 5, 7, 6],
);

const VERTEX = `${SHADERS["voxels.head.vert.glsl"]}
void main()
{
  vec4 vertexMC = vec4(lowest + corner * extent, 1.0);
  gl_Position = MCDCMatrix * vertexMC;
${SHADERS["voxels.vert.glsl"]}}
`;
const FRAGMENT = `${SHADERS["voxels.head.frag.glsl"]}
${SHADERS["voxels.decl.glsl"]}
void main()
{
${SHADERS["voxels.frag.glsl"]}}
`;
/** The fragment shader of coarse pictures of small cells, which have no gaps and no dark corners. */
const COARSE_FRAGMENT = FRAGMENT.replace("\n", "\n#define COARSE\n");

/** Return the range of visible cells along x: the first one, and the one after the last. */
export function visibleColumns({ values, since, reveal }) {
  const count = values.shape[2];
  return [Math.min(Math.floor(count * since), count), Math.min(count, Math.ceil(count * reveal))];
}

/** Draws one block. `update` uploads only what changed. */
export class VoxelsDrawer {
  /** @param {Graphics} graphics */
  constructor(graphics) {
    this.graphics = graphics;
    const gl = graphics.gl;
    this.program = graphics.program(VERTEX, FRAGMENT);
    this.box = new Mesh(gl);
    this.box.attribute(this.program.attribute("corner"), CORNERS, 3);
    this.box.triangles(FACES);
    this.textures = {};
  }

  update(block) {
    const before = this.block;
    if (before === block) return;
    this.block = block;
    if (before === undefined || before.values !== block.values) {
      const { numbers, ranks, levels } = packCells(block.values, this.graphics.largest);
      this.#upload("numbers", { ...numbers, components: 1 });
      this.#upload("levels", { ...ranks, components: 4 });
      const pairGrid = [...levels.shape].reverse();
      this.packed = { tilesAcross: numbers.across, pairTilesAcross: ranks.across, pairGrid };
      this.levels = levels;
      this.rank = undefined;
    }
    const rank = thresholdRank(this.levels.bounds, block.threshold);
    if (rank !== this.rank) this.shown = shownRange(this.levels, block.values.shape, rank);
    this.rank = rank;
    if (before === undefined || before.colormap.table !== block.colormap.table) {
      this.#upload("lookup", { width: 256, height: 1, components: 3, data: block.colormap.table.data });
    }
    this.uniforms = this.#uniforms(block);
  }

  #upload(name, pixels) {
    if (this.textures[name] !== undefined) this.graphics.gl.deleteTexture(this.textures[name]);
    this.textures[name] = texture(this.graphics.gl, pixels);
  }

  #uniforms(block) {
    const [z, y, x] = block.values.shape;
    const [begin, end] = visibleColumns(block);
    const [low, cell] = [block.origin, block.cell];
    const size = [x * cell[0], y * cell[1], z * cell[2]];
    this.extent = [low, low.map((one, i) => one + size[i])];
    // Only the part of the box that can show a cell is drawn, because each of its pixels walks the grid.
    const [first, last] = this.shown;
    const from = [Math.max(first[0], begin), first[1], first[2]].map((one) => one - MARGIN_CELLS);
    const to = [Math.min(last[0], end), last[1], last[2]].map((one) => one + MARGIN_CELLS);
    this.visible = block.reveal > block.since && to.every((one, i) => one - from[i] > 3 * MARGIN_CELLS);
    const lit = block.front !== null;
    return {
      ...this.packed,
      lowest: low.map((one, i) => one + from[i] * cell[i]),
      extent: cell.map((one, i) => one * (to[i] - from[i])),
      gridSize: [x, y, z],
      gridStart: [begin, 0, 0],
      gridEnd: [end, y, z],
      front: [low[0] + size[0] * (lit ? block.front : 0), Math.max(FRONT * size[0], 1.5 * cell[0]), Number(lit)],
      glow: block.glow,
      origin: low,
      cellSize: cell,
      realCount: block.count ?? ALL,
      limits: block.limits,
      threshold: block.threshold,
      lowestRank: (this.rank - 0.5) / 255,
      emphasis: block.emphasis,
      nanColor: NAN_COLOR,
      infColor: INF_COLOR,
      gapShare: GAP_SHARE,
      parallel: 0,
      farAway: 1e4,
      numbers: 0,
      levels: 1,
      lookup: 2,
    };
  }

  /** Draw the block. @param {object} view From `Renderer`. */
  draw(view) {
    const gl = this.graphics.gl;
    const program = view.coarse && this.#gapless(view.eye) ? this.#coarseProgram() : this.program;
    program.use();
    program.set(this.uniforms);
    program.set({
      MCDCMatrix: view.matrix,
      cameraMC: view.eye.position,
      viewDirection: view.eye.ahead,
      pixelSize: view.eye.pixel,
      groundColor: view.low,
      neighbours: view.careful ? 9 : 0,
    });
    ["numbers", "levels", "lookup"].forEach((name, unit) => bindTexture(gl, unit, this.textures[name]));
    gl.enable(gl.CULL_FACE);
    gl.cullFace(gl.FRONT);
    this.box.draw();
    gl.disable(gl.CULL_FACE);
  }

  /** Return whether all cells are so small in the picture that there are no gaps between them. */
  #gapless(eye) {
    const [low, high] = this.extent;
    const away = eye.position.map((one, i) => Math.max(low[i] - one, one - high[i], 0));
    return Math.min(...this.block.cell) <= GAPLESS * eye.pixel * vecNorm(away);
  }

  #coarseProgram() {
    this.coarse ??= this.graphics.program(VERTEX, COARSE_FRAGMENT);
    return this.coarse;
  }

  remove() {
    for (const made of Object.values(this.textures)) this.graphics.gl.deleteTexture(made);
    this.box.remove();
  }
}
