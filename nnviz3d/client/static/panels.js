/** Places of the panels in the corners of a picture. Pure geometry in pixels, as in `render/panels.py`. */

const PANEL_MARGIN = 6;
/** Pixels of a panel's width that are its soft shadow, which may overlap the shadow of the next panel. */
const PANEL_SHADE = 28;
const MOST_OF_HEIGHT = 0.25;
/** Maximum width of the panels of each corner, as a share of the picture's width. */
const WIDEST = { "top-left": 0.7, "top-right": 0.27, "bottom-left": 0.5, "bottom-right": 0.46 };
/** Width of a picture, divided by its scale, below which each panel may take the whole width. */
const NARROW_PICTURE = 720;
/** Least distance of the panels at the left from those at the right, if they stand side by side. */
const PANEL_GAP = 14;
/** Width of its rows to which a panel is narrowed at most, so that others have room beside it. */
const LEAST_PANEL = 220;

/** Return whether a panel stands in a corner; the others are boards in front of the scene. */
export function inCorner(panel) {
  return panel.corner in WIDEST;
}

/** Return whether a picture is upright and so narrow that its panels are one above the other, all with text at the left. */
export function isNarrow(size, scale) {
  return size[0] < Math.min(NARROW_PICTURE * scale, size[1]);
}

/** Return the maximum width of the rows of each of `beside` panels in a corner, in pixels. */
export function panelWidest(corner, beside, size, scale) {
  const [margin, shade] = [PANEL_MARGIN * scale, PANEL_SHADE * scale];
  if (isNarrow(size, scale)) return size[0] - 2 * margin - shade;
  return Math.min(WIDEST[corner] * size[0] - margin, size[0] / beside - 2 * margin - shade);
}

/**
 * Return the panels that must be narrower, so that those of an edge stand side by side, with their rows' widths.
 *
 * Panels at the left and at the right that are too wide together share the width: short ones keep theirs. If the others
 * would be too narrow to read, none is narrowed.
 *
 * @param {{corner: string, width: number}[]} panels
 * @returns {Map<object, number>}
 */
export function narrowedPanels(panels, size, scale) {
  const found = new Map();
  for (const edge of isNarrow(size, scale) ? [] : ["top", "bottom"]) {
    const own = panels.filter(({ corner }) => corner.startsWith(edge));
    if (new Set(own.map(({ corner }) => corner)).size < 2) continue;
    let left = size[0] - own.length * PANEL_MARGIN * scale + (PANEL_SHADE - PANEL_GAP) * scale;
    const cut = new Map();
    [...own]
      .sort((a, b) => a.width - b.width)
      .forEach((panel, done) => {
        const room = left / (own.length - done);
        if (panel.width > room) cut.set(panel, Math.floor(room) - PANEL_SHADE * scale - 2);
        left -= Math.min(panel.width, room);
      });
    if ([...cut.values()].every((width) => width >= LEAST_PANEL * scale)) cut.forEach((width, panel) => found.set(panel, width));
  }
  return found;
}

/** Return whether a panel is left out: in a very small picture the scales would cover the scene that they explain. */
export function isTooHigh({ height }, size) {
  return height > MOST_OF_HEIGHT * size[1];
}

/**
 * Return a panel that says how many panels are left out, in the corner of the first one; null if all are shown.
 *
 * @param {{corner: string, height: number}[]} panels
 */
export function leftOutNote(panels, size) {
  const high = panels.filter((panel) => isTooHigh(panel, size));
  if (high.length === 0) return null;
  const text = `${panels.length - high.length} of ${panels.length} legends are shown; a larger picture shows all`;
  return { kind: "Panel", name: "left out", corner: high[0].corner, rows: [{ kind: "TextRow", text, style: "quiet" }] };
}

/**
 * Place the panels that are not too high.
 *
 * Panels of one corner are side by side, the first one outermost, in as many rows as needed. In a narrow upright picture
 * they are one above the other.
 *
 * @param {{corner: string, width: number, height: number}[]} panels in their order
 * @param {number[]} size width and height of the picture
 * @param {number} scale 1 for a picture that is 720 pixels high
 * @returns {{panel: object, left: number, bottom: number, rect: number[]}[]} the shown panels; `rect` is what other text must
 * not cover, `[left, bottom, right, top]`
 */
export function placePanels(panels, size, scale) {
  const shown = panels.filter((panel) => !isTooHigh(panel, size));
  return (isNarrow(size, scale) ? oneAboveTheOther : sideBySide)(shown, size, scale);
}

function oneAboveTheOther(panels, size, scale) {
  const margin = PANEL_MARGIN * scale;
  return ["top", "bottom"].flatMap((edge) => {
    let used = margin;
    return [`${edge}-left`, `${edge}-right`].flatMap((corner) =>
      panels
        .filter((panel) => panel.corner === corner)
        .map((panel) => {
          const bottom = edge === "top" ? size[1] - used - panel.height : used;
          used += panel.height - (PANEL_SHADE * scale) / 2;
          return placedPanel(panel, margin, bottom, scale);
        }),
    );
  });
}

function sideBySide(panels, [width, height], scale) {
  const margin = PANEL_MARGIN * scale;
  const shelves = new Map();
  for (const { corner } of panels) {
    if (!shelves.has(corner)) shelves.set(corner, panelShelves(panels, corner, width, margin));
  }
  const across = (corner) => Math.max(...shelves.get(corner).map((shelf) => shelf.reduce((sum, p) => sum + p.width + margin, 0)));
  const tallest = (shelf) => Math.max(...shelf.map((panel) => panel.height));
  const placed = new Map();
  for (const [corner, rows] of shelves) {
    let rise = margin;
    const other = corner.replace("right", "left");
    if (other !== corner && shelves.has(other) && across(other) + across(corner) - (PANEL_SHADE - PANEL_GAP) * scale > width) {
      rise += shelves.get(other).reduce((sum, shelf) => sum + tallest(shelf), 0);
    }
    for (const shelf of rows) {
      let offset = margin;
      for (const panel of shelf) {
        const left = corner.endsWith("right") ? width - offset - panel.width : offset;
        const bottom = corner.startsWith("top") ? height - rise - panel.height : rise + tallest(shelf) - panel.height;
        placed.set(panel, placedPanel(panel, left, bottom, scale));
        offset += panel.width + margin;
      }
      rise += tallest(shelf);
    }
  }
  return panels.map((panel) => placed.get(panel));
}

/** Divide the panels of a corner among rows that are not wider than a picture; a panel that is wider has its own. */
function panelShelves(panels, corner, width, margin) {
  const shelves = [];
  let used = margin;
  for (const panel of panels.filter((one) => one.corner === corner)) {
    if (!shelves.length || used + panel.width + margin > width) {
      shelves.push([]);
      used = margin;
    }
    shelves[shelves.length - 1].push(panel);
    used += panel.width + margin;
  }
  return shelves;
}

function placedPanel(panel, left, bottom, scale) {
  const shade = (PANEL_SHADE * scale) / 2;
  const rect = [left + shade, bottom + shade, left + panel.width - shade, bottom + panel.height - shade];
  return { panel, left, bottom, rect };
}
