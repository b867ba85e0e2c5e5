/**
 * The text of a view in an address: `?view=` of the live page, `#view=` of an exported file. `1~s3~t4.5~lconv2d_1` is a
 * version and fields, each with a letter and a value. The same text is read and written by `nnviz3d/scene/view_text.py`,
 * which describes it.
 *
 * A view is an object with any of the fields of `VIEW_FIELDS`; `pose` is `{position, target, up, field_of_view, aspect}`,
 * and `pick` is `{layer, index}`, without an index for a whole layer.
 */

const LONGEST_VIEW = 6000;
const LONGEST_VIEW_NAME = 1000;
const VIEW_VERSION = "1";
const USUAL_FIELD_OF_VIEW = 26;
const LEAST_VIEW_LENGTH = 1e-9;

/** The fields by their letters: the name, and the kind of its values. */
export const VIEW_FIELDS = {
  s: ["sample", "count"],
  t: ["time", "real"],
  p: ["pose", "pose"],
  k: ["aspect", "real"],
  l: ["layer", "name"],
  h: ["threshold", "real"],
  c: ["colormap", "name"],
  n: ["normalize", "name"],
  r: ["ranking", "name"],
  q: ["quantity", "name"],
  a: ["against", "count"],
  g: ["target", "name"],
  m: ["method", "name"],
  u: ["unfold", "name"],
  f: ["unfolded", "real"],
  o: ["channel_order", "name"],
  i: ["channel_pictures", "name"],
  e: ["embedding", "name"],
  b: ["colored_by", "name"],
  y: ["points", "points"],
  d: ["step", "count"],
  v: ["statistic", "name"],
  z: ["histogram", "name"],
  x: ["pick", "pick"],
  w: ["opened", "names"],
  j: ["perspective", "name"],
  I: ["interventions", "names"],
  O: ["map_opacity", "real"],
};

/** Least and greatest values of the fields that are single numbers. */
const VIEW_RANGES = { time: [0, 3600], threshold: [0, 1], unfolded: [0, 1], map_opacity: [0, 1], aspect: [1e-3, 1e3] };

/** The fields of points by their letters: the name, and the kind of its values; none for what is true if it is there. */
const POINTS_FIELDS = {
  n: ["name", "name"],
  c: ["of_class", "count"],
  w: ["wrong", null],
  k: ["column", "name"],
  v: ["value", "name"],
  l: ["low", "real"],
  h: ["high", "real"],
  i: ["isolated", null],
  s: ["chosen", "runs"],
};
const LONGEST_CHOSEN = 5000;
const MOST_CHOSEN = 1000000;

const VIEW_KINDS = {
  count: { write: String, read: readViewCount },
  real: { write: viewNumber, read: readViewNumber },
  name: { write: viewWord, read: readViewWord },
  names: {
    write: (names) => names.map(viewWord).join(","),
    read: (text) => (text === "" ? [] : text.split(",").map(readViewWord)),
  },
  pick: { write: viewPick, read: readViewPick },
  pose: { write: viewPose, read: readViewPose },
  points: { write: viewPoints, read: readViewPoints },
  runs: { write: String, read: readViewRuns },
};

/** Return the text of a view. Numbers have five decimals; fields that would make it too long are left out. */
export function encodeView(view) {
  const values = { ...view, aspect: view.pose?.aspect };
  let text = VIEW_VERSION;
  for (const [letter, [name, kind]] of Object.entries(VIEW_FIELDS)) {
    const value = values[name];
    if (value === undefined || value === null) continue;
    const field = `~${letter}${VIEW_KINDS[kind].write(value)}`;
    if (text.length + field.length <= LONGEST_VIEW) text += field;
  }
  return text;
}

/** Read the text of a view; throws an Error with one sentence if it is no such text. */
export function decodeView(text) {
  try {
    return readView(text);
  } catch (error) {
    throw new Error(`The view in the address is not understood (${error.message}), so the scene's own is shown.`);
  }
}

/**
 * Return the pose of a view for a picture with this width over height. In a picture that is narrower than the one for
 * which it was chosen the eye is farther away, so that everything stays in the picture.
 */
export function poseInPicture(pose, aspect) {
  const { position, target, up, field_of_view, aspect: chosen } = pose;
  const farther = chosen === undefined || chosen === null ? 1 : Math.max(1, chosen / aspect);
  const length = Math.hypot(...up);
  return {
    position: position.map((value, axis) => target[axis] + (value - target[axis]) * farther),
    target,
    up: up.map((value) => value / length),
    field_of_view,
  };
}

function readView(text) {
  if (text.length > LONGEST_VIEW) throw new Error(`it has more than ${LONGEST_VIEW} characters`);
  const [version, ...fields] = text.split("~");
  if (version !== VIEW_VERSION) throw new Error("it is of another version");
  const view = {};
  for (const field of fields) {
    const letter = field.slice(0, 1);
    if (!Object.hasOwn(VIEW_FIELDS, letter)) throw new Error(`it has an unknown field '${letter}'`);
    const [name, kind] = VIEW_FIELDS[letter];
    if (name in view) throw new Error(`it has two fields '${letter}'`);
    view[name] = VIEW_KINDS[kind].read(field.slice(1));
    const [least, most] = VIEW_RANGES[name] ?? [-Infinity, Infinity];
    if (view[name] < least || view[name] > most) throw new Error(`${name} is ${least} to ${most}`);
  }
  const { aspect, ...others } = view;
  if (aspect !== undefined && others.pose === undefined) throw new Error("it has a width over height without a pose");
  if (aspect !== undefined) others.pose.aspect = aspect;
  return others;
}

/** Write a number with at most five decimals. */
function viewNumber(value) {
  const text = value.toFixed(5).replace(/\.?0+$/, "");
  return text === "-0" || text === "" ? "0" : text;
}

function readViewNumber(text) {
  if (!/^-?[0-9]{1,12}(?:\.[0-9]{1,8})?$/.test(text)) throw new Error(`'${text.slice(0, 20)}' is no number`);
  return Number(text);
}

function readViewCount(text) {
  if (!/^[0-9]{1,15}$/.test(text)) throw new Error(`'${text.slice(0, 20)}' is no whole number`);
  return Number(text);
}

function viewWord(name) {
  const escape = (byte) => `!${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return [...name]
    .map((character) =>
      /^[A-Za-z0-9._-]$/.test(character) ? character : [...new TextEncoder().encode(character)].map(escape).join(""),
    )
    .join("");
}

function readViewWord(text) {
  const wrong = new Error(`'${text.slice(0, 20)}' is no name`);
  if (!/^(?:[A-Za-z0-9._-]|![0-9A-F]{2})*$/.test(text)) throw wrong;
  const bytes = [];
  for (let at = 0; at < text.length; at += text[at] === "!" ? 3 : 1) {
    bytes.push(text[at] === "!" ? parseInt(text.slice(at + 1, at + 3), 16) : text.charCodeAt(at));
  }
  let name = "";
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
  } catch {
    throw wrong;
  }
  const length = [...name].length;
  if (length === 0 || length > LONGEST_VIEW_NAME) throw new Error(`a name has 1 to ${LONGEST_VIEW_NAME} characters`);
  return name;
}

function viewPick({ layer, index }) {
  return index === undefined || index === null ? viewWord(layer) : `${viewWord(layer)},${index.join(",")}`;
}

function readViewPick(text) {
  const comma = text.indexOf(",");
  if (comma < 0) return { layer: readViewWord(text) };
  const index = text.slice(comma + 1);
  return {
    layer: readViewWord(text.slice(0, comma)),
    index: index === "" ? [] : index.split(",").map(readViewCount),
  };
}

function viewPoints(points) {
  return Object.entries(POINTS_FIELDS)
    .filter(([, [name]]) => points[name] !== undefined && points[name] !== null)
    .map(([letter, [name, kind]]) => letter + (kind === null ? "" : VIEW_KINDS[kind].write(points[name])))
    .join(",");
}

function readViewPoints(text) {
  const points = {};
  for (const item of text === "" ? [] : text.split(",")) {
    const letter = item.slice(0, 1);
    if (!Object.hasOwn(POINTS_FIELDS, letter)) throw new Error(`points have an unknown field '${letter}'`);
    const [name, kind] = POINTS_FIELDS[letter];
    if (name in points || (kind === null && item !== letter)) throw new Error(`'${item.slice(0, 20)}' is no choice of points`);
    points[name] = kind === null ? true : VIEW_KINDS[kind].read(item.slice(1));
  }
  return points;
}

/** Check the text of rising numbers, such as 3-7.12. */
function readViewRuns(text) {
  const wrong = new Error("enclosed samples are rising numbers such as 3-7.12");
  if (text === "") return text;
  if (text.length > LONGEST_CHOSEN || !/^[0-9]{1,9}(-[0-9]{1,9})?(\.[0-9]{1,9}(-[0-9]{1,9})?)*$/.test(text)) throw wrong;
  let [before, count] = [-2, 0];
  for (const run of text.split(".")) {
    const ends = run.split("-").map(Number);
    const [start, end] = [ends[0], ends.at(-1)];
    if (start <= before + 1 || end < start || (ends.length > 1 && end === start)) throw wrong;
    count += end - start + 1;
    if (count > MOST_CHOSEN) throw new Error("too many samples are enclosed");
    before = end;
  }
  return text;
}

function viewPose({ position, target, up = [0, 1, 0], field_of_view = USUAL_FIELD_OF_VIEW }) {
  const numbers = [...position, ...target];
  const usual = field_of_view === USUAL_FIELD_OF_VIEW;
  if (!usual || String(up) !== "0,1,0") numbers.push(...up);
  if (!usual) numbers.push(field_of_view);
  return numbers.map(viewNumber).join(",");
}

function readViewPose(text) {
  const numbers = text.split(",").map(readViewNumber);
  if (![6, 9, 10].includes(numbers.length)) throw new Error(`a pose has 6, 9 or 10 numbers, not ${numbers.length}`);
  const pose = {
    position: numbers.slice(0, 3),
    target: numbers.slice(3, 6),
    up: numbers.length > 6 ? numbers.slice(6, 9) : [0, 1, 0],
    field_of_view: numbers.length > 9 ? numbers[9] : USUAL_FIELD_OF_VIEW,
  };
  checkViewPose(pose);
  return pose;
}

function checkViewPose({ position, target, up, field_of_view }) {
  if ([...position, ...target, ...up].some((value) => Math.abs(value) > 1e9)) throw new Error("a pose is too far away");
  if (field_of_view < 1 || field_of_view > 150) throw new Error("a field of view is 1 to 150");
  const arm = position.map((value, axis) => value - target[axis]);
  const [distance, length] = [Math.hypot(...arm), Math.hypot(...up)];
  if (distance < LEAST_VIEW_LENGTH) throw new Error("position and target are the same point");
  const across = [0, 1, 2].map((axis) => {
    const [one, other] = [(axis + 1) % 3, (axis + 2) % 3];
    return (arm[one] * up[other] - arm[other] * up[one]) / (distance * length);
  });
  if (length < LEAST_VIEW_LENGTH || !(Math.hypot(...across) >= LEAST_VIEW_LENGTH)) {
    throw new Error("up is no direction across the one in which the camera looks");
  }
}
