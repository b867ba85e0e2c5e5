// Drawing of a live scene in the browser, from the parts that the server sends, if the browser can; else the server draws.
(() => {
  const topic = "nnviz3d.draw";
  // Keys that move the camera of a focused picture; all others are the page's own.
  const cameraKeys = ["ArrowUp", "ArrowDown", "+", "=", "-", "_"];
  const mostBytes = 600 * 2 ** 20;
  const mostSeconds = 30;
  const secondsToMeasure = 3;
  const mostLosses = 2;
  const slowest = 500; // Milliseconds for each of several pictures of a motion.
  const mostSlow = 6;

  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const trame = window.trame;
  const mode = trame.state.get("draw");
  const session = () => trame.client.getConnection().getSession();
  let drawing = null;

  /** Say what the page waits for, or why it shows no picture; nothing once it shows one. */
  function wait(sentence) {
    if (trame.state.get("waiting") !== sentence) trame.state.set("waiting", sentence);
  }

  function letServerDraw(reason) {
    drawing?.close();
    drawing = null;
    trame.state.set("drawing_reason", reason);
    trame.state.set("drawing", "server");
  }

  /** Give up drawing here, for a reason that follows "The server draws this picture, because ". */
  function giveUp(reason) {
    if (mode === "client") wait(`This browser cannot draw the scene, because ${reason}`);
    else letServerDraw(`The server draws this picture, because ${reason}`);
  }

  function lacksWebGL() {
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return context === null;
  }

  const place = (id) =>
    new Promise((resolve) => {
      const found = () => document.getElementById(id);
      if (found()) return resolve(found());
      const observer = new MutationObserver(() => {
        if (!found()) return;
        observer.disconnect();
        resolve(found());
      });
      observer.observe(document.body, { childList: true, subtree: true });
    });

  /** Return a function that takes the bytes of arrays piece by piece, and passes on each array that is complete. */
  function arrayReader(described, complete) {
    const size = { uint8: 1, float16: 2, int32: 4, float32: 4, float64: 8 };
    let [number, bytes, count] = [0, null, 0];
    return (piece) => {
      for (; number < described.length; number += 1) {
        const [index, dtype, shape] = described[number];
        bytes ??= new Uint8Array(shape.reduce((product, n) => product * n, size[dtype]));
        const part = piece.subarray(0, bytes.length - count);
        bytes.set(part, count);
        count += part.length;
        piece = piece.subarray(part.length);
        if (count < bytes.length) return;
        complete(index, { dtype, shape, bytes });
        [bytes, count] = [null, 0];
      }
    };
  }

  class Drawing {
    constructor(client, link) {
      this.link = link;
      this.stage = document.createElement("div");
      this.stage.className = "client-picture";
      this.stage.setAttribute("role", "application");
      this.stage.setAttribute("aria-label", "Picture of the network. Arrow up and down turn it, plus and minus zoom.");
      this.store = new client.Store();
      this.frame = null;
      this.unacknowledged = null;
      this.following = true;
      this.homePose = null;
      this.losses = 0;
      this.pictures = 0;
      this.smooth = false;
      this.slow = 0;
      this.time = -Infinity;
      this.viewer = new client.Viewer(this.stage, {
        hit: (hit) => this.click(hit),
        pose: (_, byUser) => (this.following = this.following && !byUser),
        key: (event) => !cameraKeys.includes(event.key),
        drawn: (how) => this.drawn(how),
        problems: (sentences) => this.told(sentences),
      });
      this.stage.addEventListener("webglcontextlost", () => this.lost(), true);
      this.resizing = new ResizeObserver(() => this.measure());
      this.resizing.observe(this.stage);
      const [regular, semiBold] = ["Regular", "SemiBold"].map((name) => fetched(`nnviz3d_fonts/Inter-${name}.otf`));
      Promise.all([regular, semiBold]).then(async (files) => {
        await client.loadFonts(...files);
        this.viewer.redraw();
      });
    }

    close() {
      this.link.unsubscribe();
      this.send({ type: "stop" });
      this.resizing.disconnect();
      this.viewer.close();
      this.stage.remove();
    }

    send(message) {
      return session()
        .call(topic, [message])
        .then((answer) => {
          if (answer?.refused) console.error(answer.refused);
        });
    }

    start([width, height]) {
      this.size = [width, height];
      this.send({ type: "start", width, height });
    }

    measure() {
      const { width, height } = this.stage.getBoundingClientRect();
      const size = [width, height];
      if (width < 1 || height < 1 || String(size) === String(this.size)) return;
      this.size = size;
      this.send({ type: "size", width, height });
    }

    async receive(message) {
      if (message.home) {
        this.viewer.homePose = this.homePose = message.home_pose;
        this.viewer.goHome();
        this.following = true;
        return;
      }
      const cells = this.cellsIn(message.records);
      const read = arrayReader(message.arrays, (index, array) => {
        this.store.add({ first_record: 0, records: [], first_array: index, arrays: [array] });
        if (cells.has(index)) this.viewer.expect(this.store.array(index));
      });
      if (message.parcel) await this.fetch(message.parcel, message.size, read);
      else read(message.content);
      if (drawing !== this) return;
      for (const [index, record] of message.records) {
        this.store.add({ first_record: index, records: [record], first_array: 0, arrays: [] });
      }
      this.frame = { ...message.frame, drawList: this.store.frame(message.frame) };
      this.store.forget(message.gone);
      this.unacknowledged = message.frame.number;
      this.following = this.following || message.enters;
      // Readers who prefer pictures without motion see the end of a tour's flight only.
      const skips = message.flies && this.homePose !== null && still.matches;
      if (!skips) this.setHome(message.home_pose);
      this.viewer.show(this.frame.drawList);
    }

    /** Return the indices of the arrays that are the cells of blocks. */
    cellsIn(records) {
      const blocks = records.filter(([, { kind, like }]) => (kind ?? this.store.records.get(like)?.kind) === "Voxels");
      return new Set(blocks.map(([, { values }]) => values?.a));
    }

    setHome(pose) {
      if (this.following && String(Object.values(pose)) !== String(Object.values(this.homePose ?? {}))) {
        this.viewer.home(pose);
      }
      this.viewer.homePose = this.homePose = pose;
    }

    look(pose) {
      this.following = false;
      this.viewer.look(pose);
    }

    fly(pose) {
      this.following = false;
      this.viewer.fly(pose);
    }

    drawn({ smooth, moving }) {
      this.pictures += 1;
      wait("");
      this.smooth = smooth;
      const time = performance.now();
      this.slow = moving && time - this.time > slowest ? this.slow + 1 : 0;
      this.time = time;
      if (mode === "auto" && this.slow >= mostSlow) giveUp("its graphics are too slow for this scene.");
      if (this.unacknowledged === null) return;
      const frame = this.unacknowledged;
      this.unacknowledged = null;
      this.send({ type: "shown", frame });
    }

    click(hit) {
      if (this.frame === null) return;
      const { number, primitives, drawList } = this.frame;
      const record = hit === null ? 0 : primitives[drawList.primitives.indexOf(hit.primitive)];
      this.send({ type: "click", frame: number, kind: hit?.kind ?? null, record, part: hit === null ? [] : part(hit) });
    }

    told(sentences) {
      if (sentences.length && !this.viewer.renderer.lost) giveUp(`${sentences[0][0].toLowerCase()}${sentences[0].slice(1)}`);
    }

    lost() {
      this.losses += 1;
      if (this.losses >= mostLosses) giveUp("its graphics card has stopped twice.");
    }

    /** Fetch large arrays, which `read` gets piece by piece; if that takes too long, the server draws from then on. */
    async fetch(parcel, size, read) {
      const megabytes = Math.round(size / 1e6);
      if (mode === "auto" && size > mostBytes) {
        giveUp(`its numbers take ${megabytes} MB.`);
        return;
      }
      const secret = encodeURIComponent(window.trame.state.get("secret"));
      const answer = await fetch(`arrays/${parcel}?secret=${secret}`);
      if (!answer.ok) throw new Error(`The server does not send the picture (${answer.status} ${answer.statusText}).`);
      const start = performance.now();
      let [count, told] = [0, start];
      for (const reader = answer.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        read(value);
        count += value.length;
        const time = performance.now();
        if (time - told > 250) {
          told = time;
          wait(`Loading the scene: ${Math.round(count / 1e6)} of ${megabytes} MB`);
        }
        const seconds = (time - start) / 1000;
        if (mode === "auto" && seconds > secondsToMeasure && (size / count) * seconds > mostSeconds) {
          await reader.cancel();
          giveUp(`its ${megabytes} MB would take ${Math.round((size / count) * seconds)} s over this connection.`);
          return;
        }
      }
    }
  }

  /** Return the numbers of the part of a primitive that a ray met, in the order of the server's class. */
  function part(hit) {
    return hit.cell ?? ["number", "ridge", "row", "column"].filter((name) => name in hit).map((name) => hit[name]);
  }

  async function fetched(address) {
    const answer = await fetch(address);
    return answer.arrayBuffer();
  }

  async function drawHere() {
    const client = await import(new URL("client.js", document.baseURI));
    let received = Promise.resolve();
    const link = session().subscribe(topic, ([message]) => {
      received = received.then(() => drawing?.receive(message)).catch((error) => giveUp(`of an error: ${error.message}`));
    });
    drawing = new Drawing(client, link);
    // The page is not laid out yet; its true size follows, if it is another one.
    drawing.start([Math.max(1, innerWidth - (innerWidth < 900 ? 0 : 316)), Math.max(1, innerHeight - 100)]);
    trame.state.set("drawing", "client");
    (await place("client")).append(drawing.stage);
  }

  // After a lost connection the page loads again as soon as the server answers; its address holds the camera's pose.

  const LONGEST_PAUSE = 20000;
  const MOST_ATTEMPTS = 20;
  let attempts = null; // While it tries: ends the pause before the next attempt.

  function tell(sentence) {
    const place = document.getElementById("gone-state");
    if (place) place.textContent = sentence;
  }

  /** Ask the server once; returns whether the page can do nothing more. */
  async function knock() {
    const address = new URL(location);
    address.searchParams.set("secret", trame.state.get("secret"));
    const answer = await fetch(address).catch(() => null);
    if (answer?.ok) location.replace(address);
    else if (answer !== null) {
      tell("nnviz3d was started anew since then, with another address: open the one that it has printed.");
    }
    return answer !== null;
  }

  async function reconnect() {
    if (attempts !== null) return attempts();
    let pause = 500;
    for (let count = 0; count < MOST_ATTEMPTS; count += 1) {
      await new Promise((resolve) => {
        attempts = resolve;
        setTimeout(resolve, pause);
      });
      if (await knock()) break;
      pause = Math.min(1.5 * pause, LONGEST_PAUSE);
      tell("It does not answer yet. If it was stopped, start it again and open the address that it prints.");
      if (count === MOST_ATTEMPTS - 1) tell("It has not answered for minutes: start it again, and open the address that it prints.");
    }
    attempts = null;
  }
  window.nnviz3dReconnect = reconnect;
  trame.client.onConnectionClose(() => reconnect());
  // A computer that wakes up, or is back in its network, does not wait for the end of a pause.
  window.addEventListener("online", () => attempts?.());
  document.addEventListener("visibilitychange", () => !document.hidden && attempts?.());

  // The picture that is saved is the one on this page.
  document.addEventListener(
    "click",
    async (event) => {
      if (drawing === null || !(event.target instanceof Element) || event.target.closest("#save") === null) return;
      event.stopPropagation();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await drawing.viewer.save());
      drawing.viewer.redraw();
      link.download = trame.state.get("picture_name");
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
    true,
  );

  window.nnviz3d = {
    /** The pose of this page's camera; `null` if the server draws. */
    pose: () => drawing?.viewer.pose ?? null,
    look: (pose) => drawing?.look(pose),
    fly: (pose) => drawing?.fly(pose),
    /** Whether the user has moved this page's camera. */
    moved: () => drawing !== null && !drawing.following,
    /** Number of pictures that this page has drawn. */
    pictures: () => drawing?.pictures ?? null,
    /** The draw list that this page shows. */
    drawList: () => drawing?.frame?.drawList ?? null,
    /** How often the graphics card has stopped. */
    losses: () => drawing?.losses ?? null,
    /** The number of the frame that this page shows, once it is drawn with smooth edges; else `null`. */
    still: () => (drawing?.smooth && drawing.unacknowledged === null ? drawing.frame.number : null),
  };

  if (mode === "server") letServerDraw("");
  else if (lacksWebGL()) giveUp("this browser lacks WebGL2.");
  else drawHere().catch((error) => giveUp(`of an error: ${error.message}`));
})();
