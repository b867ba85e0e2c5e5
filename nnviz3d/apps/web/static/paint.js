// The canvas of the paint panel: a brush and an eraser over the sample's picture, at the size that the model takes.
(() => {
  const PAUSE = 120; // Milliseconds between two pictures that are sent during one stroke.
  const MOST = 50; // Strokes that can be undone.
  const SOFT = 64; // Pictures with fewer pixels a side are painted with soft edges.

  const state = (name) => window.trame.state.get(name);
  const here = () => document.getElementById("paint-canvas");

  let shown = null; // What the server tells of the picture and the paint, and whether the paint here is that one.
  let base = null; // The picture below the paint, as bytes of red, green, blue and opacity.
  let paint = null; // The paint; opaque or absent.
  let owner = null; // The position of the sample that the paint is over.
  let past = []; // Earlier paint, the newest last.
  let stroke = null;
  let sent = ""; // The name by which the server keeps the paint that was sent last.
  let sending = false;
  let waiting = false; // Whether there is newer paint to be sent.
  let goesOn = false; // Whether a picture of the present stroke was sent before.

  /** Whether the paint is over the sample that the canvas shows. */
  const ours = () => Boolean(paint && base && shown) && owner === shown.told.position;

  /** Return the pixels of a picture; black or transparent ones where the address is empty. */
  async function pixelsAt(address, width, height, fill) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (fill) {
      context.fillStyle = fill;
      context.fillRect(0, 0, width, height);
    }
    if (address) {
      const answer = await fetch(`${address}&secret=${encodeURIComponent(state("secret"))}`);
      if (answer.ok && answer.status !== 204) {
        const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
        context.drawImage(await createImageBitmap(await answer.blob(), options), 0, 0);
      }
    }
    return context.getImageData(0, 0, width, height);
  }

  /** Show the picture and the paint that the server tells of, unless the paint is this page's own. */
  async function follow() {
    const told = state("paint_canvas");
    const canvas = here();
    if (!canvas || !told?.width) {
      shown = null;
      return;
    }
    if (shown?.canvas === canvas && shown.told === told && shown.current) return;
    const before = shown;
    const other = !before || ["picture", "name", "position"].some((key) => before.told[key] !== told[key]);
    const resized = !paint || paint.width !== told.width || paint.height !== told.height;
    shown = { canvas, told, current: false };
    if (other || resized) {
      past = [];
      stroke = null;
      base = null;
      window.trame.state.set("paint_color", told.dark ? "#ffffff" : told.grey ? "#000000" : "#808080");
      window.trame.state.set("paint_size", Math.max(Math.round(told.width / 7) / 4, 0.75));
    }
    if (!base || before.canvas !== canvas) {
      canvas.width = told.width;
      canvas.height = told.height;
      const found = await pixelsAt(told.picture, told.width, told.height, "#000000");
      if (shown?.told !== told) return;
      base = found;
    }
    const own = sent && told.overlay.endsWith(`=${sent}`) && owner === told.position && !other;
    if (own) shown.current = true;
    else if (!(stroke || sending)) {
      const found = await pixelsAt(told.overlay, told.width, told.height, "");
      if (shown?.told !== told || stroke || sending) return;
      paint = found;
      owner = told.position;
      shown.current = true;
      sent = "";
    }
    draw();
  }

  function draw() {
    const canvas = here();
    if (!canvas || !ours() || canvas.width !== paint.width || base.width !== paint.width) return;
    const whole = new ImageData(new Uint8ClampedArray(base.data), base.width, base.height);
    for (let k = 0; k < paint.data.length; k += 4) {
      if (paint.data[k + 3]) whole.data.set(paint.data.subarray(k, k + 4), k);
    }
    canvas.getContext("2d", { willReadFrequently: true }).putImageData(whole, 0, 0);
  }

  const copy = (pixels) => new ImageData(new Uint8ClampedArray(pixels.data), pixels.width, pixels.height);

  /** Return the point of the picture under the pointer, in pixels. */
  function pointAt(event) {
    const box = here().getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * paint.width, ((event.clientY - box.top) / box.height) * paint.height];
  }

  const colorOf = (text) => [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));

  /** Paint or erase along a line from the last point of the stroke. */
  function lead(to) {
    const from = stroke.at;
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const count = Math.max(Math.ceil(length / Math.max(stroke.radius / 3, 0.25)), 1);
    for (let k = 1; k <= count; k++) {
      dab(from[0] + ((to[0] - from[0]) * k) / count, from[1] + ((to[1] - from[1]) * k) / count);
    }
    stroke.at = to;
    draw();
  }

  function dab(x, y) {
    const { radius, before, cover, erases, color } = stroke;
    const { width, height } = paint;
    const soft = Math.min(width, height) < SOFT;
    const reach = Math.ceil(radius + 1);
    for (let row = Math.max(Math.floor(y) - reach, 0); row <= Math.min(Math.floor(y) + reach, height - 1); row++) {
      for (let column = Math.max(Math.floor(x) - reach, 0); column <= Math.min(Math.floor(x) + reach, width - 1); column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const share = soft ? Math.min(Math.max(radius + 0.5 - distance, 0), 1) : Number(distance <= radius);
        const pixel = row * width + column;
        if (share <= cover[pixel]) continue;
        cover[pixel] = share;
        const at = 4 * pixel;
        if (erases) {
          if (share >= 0.5) paint.data.fill(0, at, at + 4);
          continue;
        }
        const below = before.data[at + 3] ? before.data : base.data;
        for (let k = 0; k < 3; k++) paint.data[at + k] = Math.round(below[at + k] + (color[k] - below[at + k]) * share);
        paint.data[at + 3] = 255;
      }
    }
  }

  function begin(event) {
    if (event.target !== here() || !ours() || event.button !== 0) return;
    event.preventDefault();
    here().setPointerCapture(event.pointerId);
    const at = pointAt(event);
    past = [...past.slice(1 - MOST), copy(paint)];
    stroke = {
      at,
      before: copy(paint),
      cover: new Float32Array(paint.width * paint.height),
      radius: Number(state("paint_size")) || 1,
      erases: Boolean(state("paint_erases")),
      color: colorOf(state("paint_color") || "#ffffff"),
    };
    goesOn = false;
    lead(at);
  }

  function move(event) {
    if (!stroke) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) lead(pointAt(one));
    send();
  }

  function end() {
    if (!stroke) return;
    stroke = null;
    send();
  }

  /** Send the paint, or note that there is newer paint while some is on its way. */
  async function send() {
    if (sending) {
      waiting = true;
      return;
    }
    sending = true;
    try {
      do {
        waiting = false;
        try {
          await sendOnce();
        } catch (error) {
          window.nnviz3dSay(`The paint could not be sent (${error.message}).`);
        }
        if (stroke) await new Promise((resolve) => setTimeout(resolve, PAUSE));
      } while (waiting);
    } finally {
      sending = false;
    }
    follow();
  }

  async function sendOnce() {
    const canvas = new OffscreenCanvas(paint.width, paint.height);
    canvas.getContext("2d").putImageData(paint, 0, 0);
    // The server refuses the paint if it shows another sample by then.
    const query = new URLSearchParams({ position: owner, goes_on: goesOn ? "1" : "0", secret: state("secret") });
    goesOn = true;
    const body = await canvas.convertToBlob({ type: "image/png" });
    const answer = await fetch(`samples/paint?${query}`, { method: "POST", body });
    const { overlay, problem } = answer.ok ? await answer.json() : { problem: `The paint could not be sent (${answer.status}).` };
    if (problem) window.nnviz3dSay(problem);
    else sent = overlay;
  }

  window.nnviz3dPaint = {
    undo() {
      if (!past.length || stroke || !ours()) return;
      paint = past.pop();
      goesOn = false;
      draw();
      send();
    },
    clear() {
      if (stroke || !ours()) return;
      past = [...past.slice(1 - MOST), copy(paint)];
      paint = new ImageData(paint.width, paint.height);
      goesOn = false;
      draw();
      send();
    },
  };

  window.addEventListener("pointerdown", begin);
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
  new MutationObserver(() => {
    if (here() !== (shown?.canvas ?? null)) follow();
  }).observe(document.body, { childList: true, subtree: true });
  window.trame.state.watch(["paint_canvas"], follow);
})();
