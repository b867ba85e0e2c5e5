// Elements of a page, made without text that is read as HTML.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  drawer: "M4 5h16v14H4zM9.5 5v14",
  home: "M4 9V5h4M16 5h4v4M20 15v4h-4M8 19H4v-4M12 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
  save: "M12 4v10M8 10.5l4 4 4-4M5 16v3h14v-3",
  help: "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17M9.6 9.6a2.4 2.4 0 1 1 3.4 2.2c-.7.4-1 .8-1 1.7M12 16.4v.2",
  restart: "M6 5v14M19 5.5v13L9 12z",
  play: "M8 5l11 7-11 7z",
  pause: "M8.5 5v14M15.5 5v14",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  way: "M6 19.5a2 2 0 1 1 0-4 2 2 0 0 1 0 4M8 17.5h8a3 3 0 0 0 0-6H9a3 3 0 0 1 0-6h6M18 3.5v4l-3-2z",
  close: "M6 6l12 12M18 6L6 18",
};

/**
 * Make an element.
 *
 * @param {string} name Such as "div".
 * @param {object} attributes Attributes; a function is a listener, such as `click`.
 * @param {...(Node | string | null)} children Strings become text.
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make a drawing for a button, by its name. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  if (name === "play" || name === "restart") path.setAttribute("class", "solid");
  drawing.append(path);
  return drawing;
}

/** Make a round button with a drawing. */
export function iconButton(name, title, click, more = {}) {
  return make("button", { type: "button", class: "icon", title, "aria-label": title, click, ...more }, icon(name));
}

/** Make a canvas with a picture of `{data, shape}`, red, green and blue in bytes. */
export function pictureCanvas({ data, shape: [height, width] }) {
  const canvas = make("canvas", { width, height, class: "thumb" });
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i += 1) {
    pixels.data.set([data[3 * i], data[3 * i + 1], data[3 * i + 2], 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** Make a row with a name at the left, a control, and words at the right. */
export function fieldRow(name, title, control, value = null) {
  return make("label", { class: value === null ? "field" : "field measured", title }, make("span", { class: "field-name" }, name), control, value);
}

/** Make buttons side by side, of which one is chosen. */
export class ChoiceButtons {
  constructor(label, choices, choose) {
    this.buttons = choices.map(({ name, title }) =>
      make("button", { type: "button", class: "choice", "data-choice": name, click: () => choose(name) }, title),
    );
    this.element = make("div", { class: "choices", role: "group", "aria-label": label }, ...this.buttons);
  }

  set value(chosen) {
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.choice === chosen));
  }
}
