// Places and sprites of the pictures of points, as the Python module render.point_pictures.

import { roundEven } from "./fonts.js";

const PICTURE_SIZES = [26, 36, 50, 70, 98]; // Heights in pixels of a 720 pixels high picture.
const MOST_PICTURES = 240;
const PICTURE_GAP = 2; // Least distance between two pictures.
const PICTURE_EDGE = 2; // Width of the frame in the colour of the point.
const NEAREST_PICTURE = 1e-6; // Least world distance along the view of a point that has a picture.

/**
 * Return the pictures that are shown: of opaque points that are near enough, the larger ones first.
 * @param {object} cloud `Points` with pictures.
 * @param {(x: number, y: number, z: number) => number[]} project Returns pixels from the upper left corner, and the depth.
 * @param {number} pixel World size of a pixel at distance 1.
 * @param {number[]} size Width and height of the picture.
 * @param {number} scale Factor for the sizes of text, lines and balls.
 * @param {number[][]} occupied Rectangles of panels, [left, bottom, right, top] from the lower left corner.
 * @returns {{number: number, left: number, top: number, width: number, height: number, kind: number}[]} In pixels.
 */
export function placePictures(cloud, project, pixel, size, scale, occupied = []) {
  const [points, colors] = [cloud.points.data, cloud.colors.data];
  const [count, rows, columns] = cloud.pictures.shape;
  const sizes = PICTURE_SIZES.map((high) => high * scale);
  const byKind = sizes.map(() => []);
  for (let number = 0; number < count; number++) {
    if (colors[4 * number + 3] < 1) continue;
    const [x, y, depth] = project(points[3 * number], points[3 * number + 1], points[3 * number + 2]);
    if (!(depth > NEAREST_PICTURE) || !(x >= 0 && y >= 0 && x <= size[0] && y <= size[1])) continue;
    const high = cloud.picture_size / (depth * pixel);
    const kind = sizes.findLastIndex((least) => least <= high);
    if (kind >= 0) byKind[kind].push({ number, x, y });
  }
  const found = [];
  const taken = occupied.map(([left, bottom, right, top]) => ({
    left,
    top: size[1] - top,
    width: right - left,
    height: top - bottom,
  }));
  const gap = PICTURE_GAP * scale;
  for (let kind = sizes.length - 1; kind >= 0; kind--) {
    const height = roundEven(sizes[kind]);
    const width = Math.max(1, roundEven((sizes[kind] * columns) / rows));
    for (const { number, x, y } of byKind[kind]) {
      const [left, top] = [Math.floor(x - width / 2), Math.floor(y - height / 2)];
      const apart = (one) =>
        one.left >= left + width + gap ||
        one.left + one.width <= left - gap ||
        one.top >= top + height + gap ||
        one.top + one.height <= top - gap;
      if (!taken.every(apart)) continue;
      found.push({ number, left, top, width, height, kind });
      taken.push(found.at(-1));
      if (found.length === MOST_PICTURES) return found;
    }
  }
  return found;
}

/** Return the function that projects a point by the 16 numbers of a matrix, and the world size of a pixel at distance 1. */
export function pictureProjection(matrix, [width, height]) {
  const row = (at, x, y, z) => matrix[at] * x + matrix[at + 1] * y + matrix[at + 2] * z + matrix[at + 3];
  const project = (x, y, z) => {
    const depth = row(12, x, y, z);
    return [((row(0, x, y, z) / depth + 1) / 2) * width, ((1 - row(4, x, y, z) / depth) / 2) * height, depth];
  };
  return { project, pixel: 2 / (Math.hypot(matrix[4], matrix[5], matrix[6]) * height) };
}

/** Draw the picture of a point in a frame of its colour, around which is one of its ring; returns a sprite. */
export function pictureOfPoint(cloud, { number, width, height }, scale) {
  const [, rows, columns] = cloud.pictures.shape;
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  const start = number * rows * columns * 3;
  for (let i = 0; i < rows * columns; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = cloud.pictures.data[start + 3 * i + k];
    image.data[4 * i + 3] = 255;
  }
  whole.getContext("2d").putImageData(image, 0, 0);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  let edge = Math.min(roundEven(PICTURE_EDGE * scale), Math.floor((Math.min(width, height) - 1) / 4));
  const fill = (colors, inside) => {
    const [red, green, blue] = [0, 1, 2].map((k) => roundEven(colors.data[4 * number + k] * 255));
    context.fillStyle = `rgb(${red},${green},${blue})`;
    context.fillRect(inside, inside, width - 2 * inside, height - 2 * inside);
  };
  if (cloud.rings && cloud.rings.data[4 * number + 3] > 0) {
    fill(cloud.rings, 0);
    fill(cloud.colors, edge);
    edge *= 2;
  } else {
    fill(cloud.colors, 0);
  }
  context.imageSmoothingEnabled = height - 2 * edge < rows;
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, edge, edge, width - 2 * edge, height - 2 * edge);
  return { canvas, width, height };
}
