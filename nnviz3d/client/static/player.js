// The page of an exported file: the picture, a bar above it, panels beside it, and the time below it.

import { make, iconButton } from "./dom.js";
import { ExportedFile } from "./exported.js";
import { loadFonts } from "./fonts.js";
import { PlayerAddress } from "./player_address.js";
import { helpDialog } from "./player_help.js";
import { PlayerPanels } from "./player_panels.js";
import { PlayerTime } from "./player_time.js";
import { PlayerTour } from "./player_tour.js";
import { FileError } from "./unpack.js";
import { poseInPicture } from "./view_text.js";
import { Viewer } from "./viewer.js";

const TALL_BELOW = 0.9; // Width over height of the picture below which the tall layout is shown.
const DRAWER_BESIDE = 900; // Pixels of the page from which the panels are beside the picture at first.
const BROWSER_NEEDS = [
  ["DecompressionStream", "This browser is too old to read the file; open it with a newer one."],
  ["WebGL2RenderingContext", "This browser has no WebGL 2, which draws the network; open the file with another one."],
];

/** What the user has chosen, and the picture of it. */
class Player {
  constructor(file) {
    const { words } = file;
    const [first] = file.tables.values();
    this.file = file;
    this.words = words;
    this.state = {
      layout: "wide",
      sample: first.words.sample,
      quantity: first.words.quantity,
      layer: words.layer,
      colormap: words.looks?.colormap,
      normalize: words.looks?.normalize,
      threshold: words.looks?.threshold,
    };
    this.time = new PlayerTime(words, () => this.show());
    this.panels = new PlayerPanels(this);
    this.tour = new PlayerTour(this);
    this.message = make("div", { id: "message", role: "status", hidden: true });
    this.view = make("div", { id: "view", role: "application", "aria-label": "The network in 3D" });
    this.help = helpDialog(words);
    this.drawer = make("aside", { id: "drawer" }, this.panels.element);
    this.scrim = make("div", { id: "scrim", click: () => this.openDrawer(false) });
    document.body.append(
      this.#bar(),
      make("main", {}, this.drawer, make("div", { id: "stage" }, this.view, this.message), this.scrim),
      this.tour.element,
      ...(words.duration > 0 ? [this.time.element] : []),
      this.help,
    );
    this.openDrawer(innerWidth >= DRAWER_BESIDE && window.self === window.top);
    this.pick = null;
    this.viewer = new Viewer(this.view, {
      hit: (hit) => this.choosePick(this.table.pick(this.time.moment, hit)),
      pose: (pose, byUser) => byUser && this.address.write(),
      key: (event) => this.key(event),
      problems: (problems) => this.say(problems.join(" ")),
    });
    addEventListener("keydown", (event) => {
      if (!this.view.contains(event.target) && this.key(event)) event.preventDefault();
    });
    new ResizeObserver(() => this.fit()).observe(this.view);
    this.address = new PlayerAddress(this);
    this.fit();
    this.address.read();
    this.show();
  }

  /** The table of what is chosen. */
  get table() {
    return this.file.table(this.state);
  }

  /** Draw what is chosen. */
  show() {
    this.viewer.show(this.table.marked(this.time.moment, this.state, this.pick));
    this.panels.synchronize();
    const sample = this.sample;
    document.title = sample.title;
    this.title.textContent = sample.title;
    this.caption.textContent = [this.words.model, sample.name].filter(Boolean).join(" · ");
  }

  /** The shown sample. */
  get sample() {
    return this.words.samples.find(({ index }) => index === this.state.sample);
  }

  /** Change what is shown. */
  choose(changes) {
    Object.assign(this.state, changes);
    this.show();
    if ("sample" in changes) this.tour.follow();
    this.address.write();
  }

  /** Mark what is picked, and say what it is; `null` for nothing. */
  choosePick(pick) {
    this.pick = pick;
    this.show();
    this.address.write();
  }

  /** Show the next sample, or the one before. */
  step(by) {
    const { samples } = this.words;
    const shown = samples.findIndex(({ index }) => index === this.state.sample);
    this.choose({ sample: samples[(shown + by + samples.length) % samples.length].index });
  }

  /** Take the layout for the shape of the picture, and its view of the whole scene. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.view;
    if (width === 0 || height === 0) return;
    const layout = width / height < TALL_BELOW && this.file.holds("layout", "tall") ? "tall" : "wide";
    const shape = `${layout} ${width} ${height}`;
    const same = shape === this.shape;
    this.shape = shape;
    const home = same ? this.home : homeFor(this.words.layouts.find(({ name }) => name === layout).homes, width / height);
    const moved = this.home !== undefined && this.viewer.pose !== this.home;
    this.home = home;
    if (!moved || layout !== this.state.layout) this.viewer.home(home);
    else this.viewer.homePose = home;
    if (layout !== this.state.layout) this.choose({ layout });
    if (this.tour.on) this.tour.fit();
  }

  /** Return the pose for the shape of the picture among poses for some aspects. */
  poseAmong(poses) {
    const { clientWidth: width, clientHeight: height } = this.view;
    const aspect = width / height;
    const [least] = poses[0];
    return poseInPicture({ ...homeFor(poses, aspect), aspect: least }, aspect);
  }

  /** Return the pick of a number; null if the file does not show its layer. */
  pickCell({ layer, index }) {
    return this.table.pickWords(this.time.moment).pickCell(layer, index);
  }

  /** Act on a key; returns whether it means something. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=range]), select, dialog")) return false;
    const several = this.words.samples.length > 1 && !event.target.matches("input") && !event.shiftKey;
    const { tour } = this;
    const actions = {
      t: () => tour.toggle(),
      " ": () => this.time.toggle(),
      r: () => this.viewer.goHome(),
      Home: () => this.viewer.goHome(),
      h: () => this.help.showModal(),
      "?": () => this.help.showModal(),
      Escape: () => (this.pick === null ? this.choose({ layer: null }) : this.choosePick(null)),
      ...(several ? { ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1) } : {}),
      ...(tour.on ? tour.keys : {}),
    };
    const action = actions[event.key];
    if (action === undefined || (event.key === " " && event.target.matches("button:focus-visible"))) return false;
    event.preventDefault();
    action();
    return true;
  }

  /** Show a sentence over the picture; an empty one removes it. */
  say(words) {
    this.message.textContent = words;
    this.message.hidden = words === "";
  }

  openDrawer(open) {
    document.body.classList.toggle("with-drawer", open);
  }

  async save() {
    const link = make("a", { download: `${fileName(this.sample.title)}.png`, href: URL.createObjectURL(await this.viewer.save()) });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  #bar() {
    this.title = make("span", { class: "heading-title" });
    this.caption = make("span", { class: "heading-caption" });
    const toggle = () => this.openDrawer(!document.body.classList.contains("with-drawer"));
    return make(
      "header",
      { id: "bar" },
      iconButton("drawer", "Layers, settings", toggle, { id: "toggle" }),
      make("div", { class: "heading" }, this.title, this.caption),
      this.tour.button,
      iconButton("home", "Reset the view (R)", () => this.viewer.goHome(), { id: "home" }),
      iconButton("save", "Save this picture (PNG)", () => this.save(), { id: "save" }),
      iconButton("help", "Keys, and where the numbers come from (H)", () => this.help.showModal(), { id: "help-button" }),
    );
  }
}

/** Return the pose for an aspect between those that are known. */
function homeFor(homes, aspect) {
  const later = homes.findIndex(([known]) => known >= aspect);
  if (later <= 0) return homes[later < 0 ? homes.length - 1 : 0][1];
  const [[low, a], [high, b]] = [homes[later - 1], homes[later]];
  const share = (aspect - low) / (high - low);
  const mixed = (key) => a[key].map((value, i) => value + share * (b[key][i] - value));
  return { ...a, position: mixed("position"), target: mixed("target"), up: a.up };
}

function fileName(title) {
  return title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "nnviz3d";
}

/** Open the file and show its first picture; the other parts are read while it is shown. */
async function openPage() {
  const opening = document.getElementById("opening");
  try {
    const missing = BROWSER_NEEDS.find(([name]) => !(name in globalThis));
    if (missing !== undefined) throw new FileError(missing[1]);
    const file = await ExportedFile.open();
    await file.next();
    await loadFonts(...file.words.fonts.map((index) => file.store.array(index).data));
    opening.remove();
    const player = new Player(file);
    globalThis.nnviz3d = player;
    while (file.more) {
      await new Promise((resolve) => setTimeout(resolve));
      const before = player.table;
      await file.next();
      player.fit();
      if (player.table === before) player.panels.synchronize();
      else player.show();
    }
  } catch (error) {
    const words = error instanceof FileError ? error.message : `The file cannot be shown: ${error.message}`;
    const empty = () => document.body.appendChild(make("p", { id: "opening" }));
    const place = opening.isConnected ? opening : document.getElementById("message") ?? empty();
    place.textContent = words;
    place.hidden = false;
    if (!(error instanceof FileError)) throw error;
  }
}

await openPage();
