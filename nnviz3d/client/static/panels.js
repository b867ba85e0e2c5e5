/** Places of the panels in the corners of a picture. Pure geometry in pixels, as in `render/renderer.py`. */

const PANEL_MARGIN = 6;
/** Pixels of a panel's width that are its soft shadow, which may overlap the shadow of the next panel. */
const PANEL_SHADE = 28;
const MOST_OF_HEIGHT = 0.25;
/** Maximum width of the panels of each corner, as a share of the picture's width. */
const WIDEST = { "top-left": 0.7, "top-right": 0.27, "bottom-left": 0.5, "bottom-right": 0.46 };

/** Return whether a panel stands in a corner; the others are boards in front of the scene. */
export function inCorner(panel) {
  return panel.corner in WIDEST;
}

/** Return the maximum width of a panel in pixels. */
export function panelWidest(panel, size, scale) {
  return WIDEST[panel.corner] * size[0] - PANEL_MARGIN * scale;
}

/**
 * Place the panels in the corners.
 *
 * @param {{corner: string, width: number, height: number}[]} panels in their order
 * @param {number[]} size width and height of the picture
 * @param {number} scale 1 for a picture that is 720 pixels high
 * @returns {{panel: object, left: number, bottom: number, rect: number[]}[]} the shown panels; `rect` is what other text must
 * not cover, `[left, bottom, right, top]`
 */
export function placePanels(panels, [width, height], scale) {
  const margin = PANEL_MARGIN * scale;
  // In a very small picture the scales would cover the scene that they explain.
  const shown = panels.filter((panel) => panel.height <= MOST_OF_HEIGHT * height);
  const tallest = {};
  const across = {};
  for (const panel of shown) {
    tallest[panel.corner] = Math.max(tallest[panel.corner] ?? 0, panel.height);
    across[panel.corner] = (across[panel.corner] ?? 0) + panel.width + margin;
  }
  // If a narrow picture has no room for them side by side, they stand one above the other.
  const stacked = (corner) => across[corner] + margin > width;
  const down = {};
  for (const edge of ["top", "bottom"]) {
    const both = (across[`${edge}-left`] ?? 0) + (across[`${edge}-right`] ?? 0);
    if (both - 2 * PANEL_SHADE * scale > width) down[`${edge}-right`] = tallest[`${edge}-left`] ?? 0;
  }
  const used = {};
  return shown.map((panel) => {
    const corner = panel.corner;
    const offset = stacked(corner) ? margin : (used[corner] ?? margin);
    const rise = down[corner] ?? 0;
    if (stacked(corner)) down[corner] = rise + panel.height;
    used[corner] = offset + panel.width + margin;
    const left = corner.endsWith("right") ? width - offset - panel.width : offset;
    const level = stacked(corner) ? 0 : tallest[corner] - panel.height;
    const bottom = corner.startsWith("top") ? height - margin - panel.height - rise : margin + level + rise;
    const shade = (PANEL_SHADE * scale) / 2;
    const rect = [left + shade, bottom + shade, left + panel.width - shade, bottom + panel.height - shade];
    return { panel, left, bottom, rect };
  });
}
