/** Places of the panels in the corners of a picture. Pure geometry in pixels, as in `render/panels.py`. */

const PANEL_MARGIN = 6;
/** Pixels of a panel's width that are its soft shadow, which may overlap the shadow of the next panel. */
const PANEL_SHADE = 28;
const MOST_OF_HEIGHT = 0.25;
/** Maximum width of the panels of each corner, as a share of the picture's width. */
const WIDEST = { "top-left": 0.7, "top-right": 0.27, "bottom-left": 0.5, "bottom-right": 0.46 };
/** Width of a picture, divided by its scale, below which each panel may take the whole width. */
const NARROW_PICTURE = 720;

/** Return whether a panel stands in a corner; the others are boards in front of the scene. */
export function inCorner(panel) {
  return panel.corner in WIDEST;
}

/** Return whether a picture is upright and so narrow that its panels are one above the other, all with text at the left. */
export function isNarrow(size, scale) {
  return size[0] < Math.min(NARROW_PICTURE * scale, size[1]);
}

/** Return the maximum width of the rows of a panel in a corner, in pixels. */
export function panelWidest(corner, size, scale) {
  if (isNarrow(size, scale)) return size[0] - (2 * PANEL_MARGIN + PANEL_SHADE) * scale;
  return WIDEST[corner] * size[0] - PANEL_MARGIN * scale;
}

/**
 * Place the panels that are not too high.
 *
 * Panels of one corner are side by side, the first one outermost. If the picture has no room for that, they are one above
 * the other.
 *
 * @param {{corner: string, width: number, height: number}[]} panels in their order
 * @param {number[]} size width and height of the picture
 * @param {number} scale 1 for a picture that is 720 pixels high
 * @returns {{panel: object, left: number, bottom: number, rect: number[]}[]} the shown panels; `rect` is what other text must
 * not cover, `[left, bottom, right, top]`
 */
export function placePanels(panels, size, scale) {
  // In a very small picture the scales would cover the scene that they explain.
  const shown = panels.filter((panel) => panel.height <= MOST_OF_HEIGHT * size[1]);
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
  const tallest = {};
  const across = {};
  for (const panel of panels) {
    tallest[panel.corner] = Math.max(tallest[panel.corner] ?? 0, panel.height);
    across[panel.corner] = (across[panel.corner] ?? 0) + panel.width + margin;
  }
  const stacked = (corner) => across[corner] + margin > width;
  const down = {};
  for (const edge of ["top", "bottom"]) {
    const both = (across[`${edge}-left`] ?? 0) + (across[`${edge}-right`] ?? 0);
    if (both - 2 * PANEL_SHADE * scale > width) down[`${edge}-right`] = tallest[`${edge}-left`] ?? 0;
  }
  const used = {};
  return panels.map((panel) => {
    const corner = panel.corner;
    const offset = stacked(corner) ? margin : (used[corner] ?? margin);
    const rise = down[corner] ?? 0;
    if (stacked(corner)) down[corner] = rise + panel.height;
    used[corner] = offset + panel.width + margin;
    const left = corner.endsWith("right") ? width - offset - panel.width : offset;
    const level = stacked(corner) ? 0 : tallest[corner] - panel.height;
    const bottom = corner.startsWith("top") ? height - margin - panel.height - rise : margin + level + rise;
    return placedPanel(panel, left, bottom, scale);
  });
}

function placedPanel(panel, left, bottom, scale) {
  const shade = (PANEL_SHADE * scale) / 2;
  const rect = [left + shade, bottom + shade, left + panel.width - shade, bottom + panel.height - shade];
  return { panel, left, bottom, rect };
}
