/** Projection of the world on a picture. Matrices have 16 numbers by rows: clip coordinates are the matrix times (x, y, z, 1). */

import { vecDot, vecSub } from "./camera.js";

const BREATHING = 0.5;
const NEAREST_SHARE = 0.001;

/**
 * Return the range of distances along the view that holds a box, `[near, far]`, with some room.
 *
 * @param {Eye} eye
 * @param {[number[], number[]]} bounds Smallest and largest corner.
 */
export function depthRange(eye, [low, high]) {
  let near = Infinity;
  let far = -Infinity;
  for (let corner = 0; corner < 8; ++corner) {
    const point = [0, 1, 2].map((i) => (corner & (1 << i) ? high[i] : low[i]));
    const depth = vecDot(vecSub(point, eye.position), eye.ahead);
    near = Math.min(near, depth);
    far = Math.max(far, depth);
  }
  if (!(far > 0)) return [0.1, 1];
  near = Math.max(near, 0);
  const room = (far - near) * BREATHING;
  [near, far] = [near - room, far + room];
  return [Math.max(near, NEAREST_SHARE * far), far];
}

/**
 * Return the matrix of a camera.
 *
 * @param {Eye} eye
 * @param {[number, number]} range From `depthRange`.
 * @param {[number, number]} shift Pixels by which the picture moves to the right and upwards.
 */
export function pictureMatrix(eye, [near, far], [right, up] = [0, 0]) {
  const [width, height] = eye.size;
  const row = (v, by) => [...v.map((one) => one * by), -vecDot(v, eye.position) * by];
  const w = row(eye.ahead, 1);
  const x = row(eye.right, height / width / eye.half).map((one, i) => one + ((2 * right) / width) * w[i]);
  const y = row(eye.up, 1 / eye.half).map((one, i) => one + ((2 * up) / height) * w[i]);
  const z = w.map((one, i) => (one * (far + near) - (i === 3 ? 2 * far * near : 0)) / (far - near));
  return Float64Array.from([...x, ...y, ...z, ...w]);
}
