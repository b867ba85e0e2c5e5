// The receptive field of a picked cell as a cone of light, as the Python module scene.views.field_marks draws it.

import { CellGrid } from "./cell_grid.js";
import { framesOf } from "./pick_marks.js";
import { ReceptiveFields, fieldBox, fieldShare } from "./receptive_field.js";

const FIELD_LIGHT = [1.0, 0.93, 0.72];
const [SMALL_FIELD, WHOLE_FIELD] = [0.95, 0.3]; // Opacity of the frames.
const [CONE_EDGE, CONE_RAY] = [0.5, 0.055]; // Opacity of the rays along the edges of a cone, and between them.
const CONE_BACK = 0.4; // Brightness of a cone that leads back to an earlier row.
const FIELD_LIFT = 0.1; // Distance of a frame from the picture of an input, in cells.
const RAYS = 8; // Number of rays along each side of a cone.
const MOST_LISTED = 12; // Maximum number of layers that are listed.

/** The receptive fields of the cells of a page. */
export class FieldMarks {
  /** @param {object} fields As `field_words` of the Python module pick_fields makes it. */
  constructor({ tables, shown, layouts, edges }) {
    this.fields = new ReceptiveFields(tables);
    this.shown = new Map(shown);
    this.layouts = layouts;
    this.edges = edges;
    this.last = {};
  }

  /** Return for each shown layer what a pick depends on, in the order of the graph, the last one its own. */
  parts({ layer, index }) {
    const node = this.shown.get(layer);
    const shape = this.fields.shapes.get(node);
    const { grid, channel_axis } = Object.values(this.layouts)[0][layer];
    const location = index.length < grid.shape.length && channel_axis !== null;
    const full = location ? [...index.slice(0, channel_axis), null, ...index.slice(channel_axis)] : index;
    if (full.length !== shape.length) return new Map();
    const found = this.fields.field(node, full);
    return new Map([...this.shown].filter(([, one]) => found.has(one)).map(([name, one]) => [name, found.get(one)]));
  }

  /** Return the frames and rays of a pick in a layout; the same objects for the same pick. */
  marks(pick, layout) {
    if (this.last.pick !== pick || this.last.layout !== layout) {
      this.last = { pick, layout, marks: this.#marks(this.parts(pick), pick.layer, this.layouts[layout]) };
    }
    return this.last.marks;
  }

  /** Return the field as pairs of layer and box, from the nearest layer to the inputs. */
  pairs(pick) {
    const parts = [...this.parts(pick)].filter(([name]) => name !== pick.layer).reverse();
    const listed = parts.map(([name, part]) => [name, boxWords(part)]);
    if (listed.length <= MOST_LISTED) return listed;
    const left = listed.length - MOST_LISTED;
    return [...listed.slice(0, MOST_LISTED - 1), [`${left.toLocaleString("en")} more layers`, ""], listed.at(-1)];
  }

  /** Return a layer that does not say what it reads; null if the field is exact. */
  unclear(pick) {
    return [...this.parts(pick).values()].find(({ unclear }) => unclear !== null)?.unclear ?? null;
  }

  #marks(parts, own, placements) {
    if (parts.size < 2) return [];
    const spans = new Map([...parts].map(([name, part]) => [name, drawnSpan(placements[name], part)]));
    const shares = new Map([...parts].map(([name, part]) => [name, fieldShare(part)]));
    const frames = [...parts.keys()]
      .filter((name) => name !== own)
      .map((name) => [framesOf([spans.get(name)]).points.data, SMALL_FIELD + (WHOLE_FIELD - SMALL_FIELD) * shares.get(name)]);
    const [edges, rays] = [[], []];
    for (const [source, target] of this.edges) {
      if (!parts.has(source) || !parts.has(target) || shares.get(target) >= 1) continue;
      const until = placements[source].pictured ? placements[source].origin[0] + placements[source].size[0] : null;
      const cone = coneOf(spans.get(source), spans.get(target), until);
      const light = (1 - shares.get(target)) * (placements[source].row === placements[target].row ? 1 : CONE_BACK);
      edges.push([cone.slice(0, 4).flat(2), CONE_EDGE * light]);
      rays.push([cone.slice(4).flat(2), CONE_RAY * light]);
    }
    const found = [lightOf("pick/field", frames, 2, 1.6)];
    if (edges.length > 0) found.push(lightOf("pick/cone/edges", edges, 3, 1.2), lightOf("pick/cone/rays", rays, 3, 6));
    return found;
  }
}

function lightOf(name, parts, points, width) {
  const data = Float32Array.from(parts.flatMap(([one]) => [...one]));
  const count = data.length / (3 * points);
  const colors = parts.flatMap(([one, opacity]) => Array(one.length / (3 * points)).fill([...FIELD_LIGHT, opacity]).flat());
  return {
    kind: "Lines", name, points: { data, shape: [count, points, 3] },
    colors: { data: Float32Array.from(colors), shape: [count, 4] },
    width, opacity: 1, ends: null, source: null, avoided: false,
  };
}

/** Return the box of the world around the cells of a field; an input's picture is the front of its block. */
function drawnSpan({ grid, channel_axis, origin, cell, size, pictured }, part) {
  const cells = new CellGrid(grid, channel_axis);
  const positions = part.masks.length === 1 ? [...part.masks[0].keys()].filter((i) => part.masks[0][i]).map((i) => [i]) : null;
  const box = fieldBox(part);
  const found = (positions ?? [box.map(([low]) => low), box.map(([, high]) => high - 1)]).map((index) => cells.cell(index));
  const low = [0, 1, 2].map((axis) => Math.min(...found.map((one) => one[axis])));
  const high = [0, 1, 2].map((axis) => Math.max(...found.map((one) => one[axis])));
  const span = {
    kind: "Span",
    origin: low.map((first, axis) => origin[axis] + first * cell[axis]),
    size: low.map((first, axis) => (high[axis] - first + 1) * cell[axis]),
  };
  if (!pictured) return span;
  const front = origin[2] + size[2] + FIELD_LIFT * cell[2];
  return { ...span, origin: [span.origin[0], span.origin[1], front], size: [span.size[0], span.size[1], 0] };
}

/** Return rays from the right side of one box to the left side of another, each of three points; first those of the corners. */
function coneOf(source, target, until) {
  const turns = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const around = [...turns];
  turns.forEach(([y, z], k) => {
    const [nextY, nextZ] = turns[(k + 1) % 4];
    for (let i = 1; i < RAYS; i += 1) around.push([y + (i / RAYS) * (nextY - y), z + (i / RAYS) * (nextZ - z)]);
  });
  const on = ({ origin, size }, unit) => origin.map((low, axis) => low + unit[axis] * size[axis]);
  return around.map(([y, z]) => {
    const [start, end] = [on(source, [1, y, z]), on(target, [0, y, z])];
    let middle = start.map((value, axis) => (value + end[axis]) / 2);
    if (until !== null && start[0] < until && until < end[0]) {
      const share = (until - start[0]) / (end[0] - start[0]);
      middle = start.map((value, axis) => value + share * (end[axis] - value));
      middle[2] = start[2];
    }
    return [start, middle, end];
  });
}

function boxWords(part) {
  if (part.masks.every((mask) => !mask.includes(0))) return "everything";
  return fieldBox(part).map(([first, last]) => (last === first + 1 ? `${first}` : `${first}–${last - 1}`)).join(", ");
}
