// Enclosing of points by a box or a lasso that is drawn on the picture; the server finds the points inside.
(() => {
  const trame = window.trame;
  const mostCorners = 400;
  const leastPixels = 4;
  const svg = "http://www.w3.org/2000/svg";
  let drawing = null;

  const way = () => trame.state.get("enclose");
  const view = () => document.getElementById("view");
  const ended = () => trame.state.set("enclose", "");

  /** Show by the pointer that a drag encloses. */
  function showWay() {
    view()?.classList.toggle("enclosing", Boolean(way()));
  }

  function corners({ kind, path }) {
    if (kind === "lasso") return path;
    const [[left, top], [right, bottom]] = [path[0], path.at(-1)];
    return [
      [left, top],
      [right, top],
      [right, bottom],
      [left, bottom],
    ];
  }

  function show() {
    drawing.line.setAttribute("points", corners(drawing).map((corner) => corner.join(",")).join(" "));
  }

  function end() {
    drawing?.picture.remove();
    drawing = null;
  }

  /** Return at most `mostCorners` corners of an outline. */
  function fewer(path) {
    const step = Math.max(1, Math.ceil(path.length / mostCorners));
    return path.filter((_, i) => i % step === 0);
  }

  function begin(event) {
    const box = view().getBoundingClientRect();
    const picture = document.createElementNS(svg, "svg");
    const line = document.createElementNS(svg, "polygon");
    picture.setAttribute("class", "enclosure");
    picture.append(line);
    view().append(picture);
    const place = [event.clientX - box.left, event.clientY - box.top];
    drawing = { kind: way(), pointer: event.pointerId, box, picture, line, path: [place] };
  }

  function send(event) {
    const { box, path } = drawing;
    const [across, down] = [0, 1].map((axis) => {
      const places = path.map((place) => place[axis]);
      return Math.max(...places) - Math.min(...places);
    });
    if (Math.max(across, down) < leastPixels) return;
    const outline = fewer(corners(drawing)).map(([x, y]) => [
      (x - box.width / 2) / box.height,
      (box.height / 2 - y) / box.height,
    ]);
    if (outline.length < 3) return;
    const how = event.shiftKey ? "add" : event.altKey ? "remove" : "new";
    trame.trigger("enclose_points", [window.nnviz3d?.pose?.() ?? null, outline, how]);
    if (how === "new") ended();
  }

  const inPicture = (event) => event.target instanceof Element && event.target.closest("#view") !== null;
  const taken = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };

  // Before the camera gets the event.
  window.addEventListener(
    "pointerdown",
    (event) => {
      if (!way() || !inPicture(event) || event.target.closest("button")) return;
      taken(event);
      if (drawing === null && event.button === 0) begin(event);
    },
    true,
  );
  window.addEventListener(
    "pointermove",
    (event) => {
      if (drawing === null || event.pointerId !== drawing.pointer) return;
      taken(event);
      drawing.path.push([event.clientX - drawing.box.left, event.clientY - drawing.box.top]);
      show();
    },
    true,
  );
  window.addEventListener(
    "pointerup",
    (event) => {
      if (drawing === null || event.pointerId !== drawing.pointer) return;
      taken(event);
      send(event);
      end();
    },
    true,
  );
  window.addEventListener("pointercancel", end, true);
  for (const name of ["mousedown", "mousemove", "mouseup", "touchstart", "touchmove", "touchend", "click", "dblclick"]) {
    window.addEventListener(
      name,
      (event) => {
        if (way() && inPicture(event) && !event.target.closest("button")) event.stopPropagation();
      },
      true,
    );
  }
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !(way() || drawing)) return;
      taken(event);
      end();
      ended();
    },
    true,
  );
  trame.state.watch(["enclose"], showWay);
})();
