// Camera poses: turning, moving and zooming, the pose at which given points fill the picture.
// A pose is `{position, target, up, field_of_view}` as the Python class CameraPose; vectors are arrays of three numbers.

const STEEPEST = 86; // Largest elevation in degrees; at 90 the view would flip.
const FLIGHT_SECONDS = 0.6;
const FAR_ROUND = -0.5; // Cosine of the angle between two views from which on the camera goes around the scene.

export const vecAdd = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const vecSub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const vecScale = (a, factor) => [a[0] * factor, a[1] * factor, a[2] * factor];
export const vecDot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const vecCross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const vecNorm = (a) => Math.sqrt(vecDot(a, a));
export const vecUnit = (a) => {
  const length = vecNorm(a);
  return [a[0] / length, a[1] / length, a[2] / length];
};

const radians = (degrees) => (degrees * Math.PI) / 180;
const clamped = (value, low, high) => Math.min(Math.max(value, low), high);
const moved = (pose, shift) => ({
  ...pose,
  position: vecAdd(pose.position, shift),
  target: vecAdd(pose.target, shift),
});

/** Half the height of a picture at distance 1. */
function halfHeight(pose) {
  return Math.tan(radians(pose.field_of_view / 2));
}

/** Return a pose turned around its target by degrees; the horizon stays level. */
export function orbitPose(pose, azimuth, elevation) {
  const arm = vecSub(pose.position, pose.target);
  const distance = vecNorm(arm);
  const raised = (Math.asin(clamped(arm[1] / distance, -1, 1)) * 180) / Math.PI + elevation;
  const around = Math.atan2(arm[0], arm[2]) + radians(azimuth);
  const up = radians(clamped(raised, -STEEPEST, STEEPEST));
  const position = vecAdd(pose.target, vecScale(viewDirection(around, up), distance));
  return { ...pose, position, up: [0, 1, 0] };
}

/** Return a shifted pose, by shares of the picture's height; points at the target's depth follow the pointer. */
export function panPose(pose, right, up) {
  const arm = vecSub(pose.position, pose.target);
  const distance = vecNorm(arm);
  const sideways = vecUnit(vecCross(pose.up, arm));
  const upwards = vecScale(vecCross(arm, sideways), 1 / distance);
  const height = 2 * distance * halfHeight(pose);
  return moved(pose, vecScale(vecAdd(vecScale(sideways, right), vecScale(upwards, up)), -height));
}

/**
 * Return a pose nearer to its target: at a factor of 2, half the distance.
 * @param {number[]} at Point of the picture that stays fixed at the target's depth: distance to the right of and above
 *   the middle, as shares of the picture's height.
 */
export function zoomPose(pose, factor, at = [0, 0]) {
  const arm = vecSub(pose.position, pose.target);
  const nearer = { ...pose, position: vecAdd(pose.target, vecScale(arm, 1 / factor)) };
  return panPose(nearer, at[0] * (1 - factor), at[1] * (1 - factor));
}

/** Return the azimuth and elevation of a pose in degrees, as `fitPose` takes them. */
export function anglesOf(pose) {
  const arm = vecSub(pose.position, pose.target);
  const degrees = 180 / Math.PI;
  return [Math.atan2(arm[0], arm[2]) * degrees, Math.asin(clamped(arm[1] / vecNorm(arm), -1, 1)) * degrees];
}

/**
 * Find the nearest pose that sees all points, looking in a given direction; see `fit` in the Python module scene.camera.
 * @param {number[][]} points World coordinates.
 * @param {number} azimuth Degrees, as `elevation`; (0, 0) looks straight at the maps.
 * @param {{aspect: number, margins: {left: number, right: number, top: number, bottom: number}}} picture Width over
 *   height of the picture, and the shares of its width and height that stay free.
 */
export function fitPose(points, azimuth, elevation, { aspect, margins }, field_of_view = 26) {
  const back = viewDirection(radians(azimuth), radians(elevation));
  const right = vecUnit(vecCross([0, 1, 0], back));
  const up = vecCross(back, right);
  const depths = points.map((point) => vecDot(point, back));
  const halfY = Math.tan(radians(field_of_view / 2));
  const halfX = halfY * aspect;
  // v - c <= (e - z) high and c - v <= (e - z) low for the eye's depth e and coordinate c.
  const squeezed = (axis, low, high) => {
    let [most, least] = [-Infinity, Infinity];
    points.forEach((point, i) => {
      const v = vecDot(point, axis);
      most = Math.max(most, v + high * depths[i]);
      least = Math.min(least, v - low * depths[i]);
    });
    return [most, least];
  };
  const [left, rightmost] = [halfX * (1 - 2 * margins.left), halfX * (1 - 2 * margins.right)];
  const [bottom, top] = [halfY * (1 - 2 * margins.bottom), halfY * (1 - 2 * margins.top)];
  const [ax, bx] = squeezed(right, left, rightmost);
  const [ay, by] = squeezed(up, bottom, top);
  const depth = Math.max((ax - bx) / (left + rightmost), (ay - by) / (bottom + top));
  const x = (ax - rightmost * depth + (bx + left * depth)) / 2;
  const y = (ay - top * depth + (by + bottom * depth)) / 2;
  const position = vecAdd(vecAdd(vecScale(right, x), vecScale(up, y)), vecScale(back, depth));
  const sorted = [...depths].sort((one, other) => one - other);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { position, target: vecSub(position, vecScale(back, depth - median)), up, field_of_view };
}

/** Interpolate between two poses: the eye's direction, its distance and its target move together. */
export function betweenPoses(a, b, share) {
  const mix = (u, v) => vecAdd(vecScale(u, 1 - share), vecScale(v, share));
  const [armA, armB] = [vecSub(a.position, a.target), vecSub(b.position, b.target)];
  const length = Math.exp(Math.log(vecNorm(armA)) * (1 - share) + Math.log(vecNorm(armB)) * share);
  const [unitA, unitB] = [vecUnit(armA), vecUnit(armB)];
  // The mean of opposite directions has no length: here the eye goes around the scene, as on a turntable.
  const around = vecDot(unitA, unitB) < FAR_ROUND;
  const arm = around ? turnedDirection(unitA, unitB, share) : vecUnit(mix(unitA, unitB));
  const target = mix(a.target, b.target);
  const field_of_view = a.field_of_view * (1 - share) + b.field_of_view * share;
  const up = around ? [0, 1, 0] : mix(a.up, b.up);
  return { position: vecAdd(target, vecScale(arm, length)), target, up, field_of_view };
}

/** Return a direction between two: azimuth, the shorter way around, and elevation change evenly. */
function turnedDirection(a, b, share) {
  const [[azimuth, up], [after, upAfter]] = [a, b].map((v) => [Math.atan2(v[0], v[2]), Math.asin(clamped(v[1], -1, 1))]);
  const turn = after - azimuth - 2 * Math.PI * Math.round((after - azimuth) / (2 * Math.PI));
  return viewDirection(azimuth + turn * share, up * (1 - share) + upAfter * share);
}

/** Return the unit vector from the scene to the eye, by its azimuth and elevation in radians. */
function viewDirection(azimuth, elevation) {
  return [
    Math.sin(azimuth) * Math.cos(elevation),
    Math.sin(elevation),
    Math.cos(azimuth) * Math.cos(elevation),
  ];
}

/** A flight from one pose to another, slower at both ends. */
export class PoseFlight {
  constructor(start, end, seconds = FLIGHT_SECONDS) {
    Object.assign(this, { start, end, seconds });
  }

  /** Return the pose some seconds after the start, and whether the flight has ended: `[pose, arrived]`. */
  at(elapsed) {
    const share = this.seconds > 0 ? clamped(elapsed / this.seconds, 0, 1) : 1;
    if (share === 1) return [this.end, true];
    return [betweenPoses(this.start, this.end, share * share * (3 - 2 * share)), false];
  }
}

/** A camera and the size of its picture: rays through points of the picture, and points of the world in the picture. */
export class Eye {
  /** @param {number[]} size Width and height in pixels. */
  constructor(pose, size) {
    this.position = [...pose.position];
    this.ahead = vecUnit(vecSub(pose.target, pose.position));
    this.right = vecUnit(vecCross(this.ahead, pose.up));
    this.up = vecCross(this.right, this.ahead);
    this.half = halfHeight(pose);
    this.size = size;
  }

  /** World size of a pixel at distance 1. */
  get pixel() {
    return (2 * this.half) / this.size[1];
  }

  /** Return the unit vector towards a point of the picture, in pixels from its upper left corner. */
  ray(x, y) {
    const [width, height] = this.size;
    const across = vecAdd(vecScale(this.right, x - width / 2), vecScale(this.up, height / 2 - y));
    return vecUnit(vecAdd(this.ahead, vecScale(across, this.pixel)));
  }

  /** Project a point of the world; returns `[x, y, depth]`: pixels, and the depth along the view. */
  project(x, y, z) {
    const away = [x - this.position[0], y - this.position[1], z - this.position[2]];
    const depth = vecDot(away, this.ahead);
    return [
      this.size[0] / 2 + vecDot(away, this.right) / depth / this.pixel,
      this.size[1] / 2 - vecDot(away, this.up) / depth / this.pixel,
      depth,
    ];
  }
}
