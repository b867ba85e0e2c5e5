/** Map of the pixels that lines cross, so that labels keep clear of them. Pure geometry in pixels. */

/** Width of a cell of the map in pixels. */
const MAP_CELL = 2;
/** Most samples of one piece of a line; a longer piece leaves the picture by far. */
const MOST_SAMPLES = 20000;

/** The cells of a picture that polylines cross. */
export class LineMap {
  /** @param {number[]} size width and height of the picture */
  constructor([width, height]) {
    this.columns = Math.floor(width / MAP_CELL) + 1;
    this.rows = Math.floor(height / MAP_CELL) + 1;
    this.marked = new Uint8Array(this.columns * this.rows);
  }

  /** Mark a straight piece between two points; pieces with NaN, behind the camera, are left out. */
  mark(x, y, toX, toY) {
    const length = Math.max(Math.abs(toX - x), Math.abs(toY - y)) / MAP_CELL;
    if (!Number.isFinite(length)) return;
    const steps = Math.min(Math.max(Math.ceil(length * 2), 1), MOST_SAMPLES);
    for (let k = 0; k <= steps; k += 1) {
      const share = k / steps;
      const column = (x * (1 - share) + toX * share) / MAP_CELL;
      const row = (y * (1 - share) + toY * share) / MAP_CELL;
      if (column >= 0 && row >= 0 && column < this.columns && row < this.rows) {
        this.marked[Math.floor(row) * this.columns + Math.floor(column)] = 1;
      }
    }
  }

  /** Return whether any line crosses a rectangle. */
  crosses(left, bottom, right, top) {
    const first = boundedCell(Math.floor(left / MAP_CELL), this.columns);
    const last = boundedCell(Math.ceil(right / MAP_CELL), this.columns);
    const high = boundedCell(Math.ceil(top / MAP_CELL), this.rows);
    for (let row = boundedCell(Math.floor(bottom / MAP_CELL), this.rows); row < high; row += 1) {
      for (let k = row * this.columns + first; k < row * this.columns + last; k += 1) if (this.marked[k]) return true;
    }
    return false;
  }
}

function boundedCell(value, most) {
  return Math.max(0, Math.min(value, most));
}
