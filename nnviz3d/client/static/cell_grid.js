// The arrangement of a tensor's numbers as cells of a block, as the Python class CellGrid of scene.layout.cells.

/** Cells and indices of one tensor; `at` is the position of its channel axis, null without one. */
export class CellGrid {
  constructor({ shape, size, count, tokens, backwards }, at) {
    Object.assign(this, { shape, size, count, tokens, backwards, at });
    this.locationShape = shape.filter((_, axis) => axis !== at);
    if (shape.length < 2) this.locationShape = shape;
    this.channels = at === null || shape.length < 2 ? 1 : shape[at];
  }

  /** Return the index of one channel of a location. */
  full(location, channel) {
    if (this.at === null || this.shape.length < 2) return location;
    return [...location.slice(0, this.at), channel, ...location.slice(this.at)];
  }

  /** Return the location of an index, without the channel; in a vector each number is its own location. */
  location(index) {
    if (this.at === null || this.shape.length < 2 || index.length !== this.shape.length) return index;
    return index.filter((_, axis) => axis !== this.at);
  }

  /** Whether an index belongs to a number of the tensor, or to a location with all its channels. */
  holds(index) {
    const lengths = index.length === this.shape.length ? this.shape : this.locationShape;
    return index.length === lengths.length && index.every((i, axis) => i >= 0 && i < lengths[axis]);
  }

  /** Return the index of the number in a cell; null for a spare cell. */
  index([i, j, k]) {
    const [x, y, z] = this.size;
    if (i >= x || j >= y || k >= z) return null;
    if (this.shape.length < 2) {
      const flat = (y - 1 - j) * x + i;
      if (flat >= this.count) return null;
      return this.shape.length ? [flat] : [];
    }
    if (this.locationShape.length === 1) {
      const down = this.backwards ? j : y - 1 - j;
      return this.tokens ? this.full([down], i) : this.full([i], down);
    }
    const planes = z / this.channels;
    const [channel, plane] = [Math.floor((z - 1 - k) / planes), (z - 1 - k) % planes];
    return this.full([...unflattened(plane, this.locationShape.slice(0, -2)), y - 1 - j, i], channel);
  }

  /** Return the location of a cell of a map, which has no channels. */
  mapLocation([i, j, k]) {
    const lengths = this.locationShape;
    if (lengths.length < 2) return [i];
    const planes = lengths.slice(0, -2).reduce((product, length) => product * length, 1);
    return [...unflattened(planes - 1 - k, lengths.slice(0, -2)), lengths.at(-2) - 1 - j, i];
  }

  /** Return the cell of the number at an index of the tensor. */
  cell(index) {
    const [x, y, z] = this.size;
    if (this.shape.length < 2) {
      const flat = index.length ? index[0] : 0;
      return [flat % x, y - 1 - Math.floor(flat / x), 0];
    }
    const channel = this.at === null ? 0 : index[this.at];
    const location = this.location(index);
    if (location.length === 1) {
      const [across, down] = this.tokens ? [channel, location[0]] : [location[0], channel];
      return [across, this.backwards ? down : y - 1 - down, 0];
    }
    const plane = flattened(location.slice(0, -2), this.locationShape.slice(0, -2));
    const planes = z / this.channels;
    return [location.at(-1), y - 1 - location.at(-2), z - 1 - (channel * planes + plane)];
  }
}

/** Return the index of a flat index in C order. */
export function unflattened(flat, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

/** Return the flat index in C order. */
export function flattened(index, shape) {
  return index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);
}
