// Navigation: flights to layers, the search, the tree of layers, the help, bookmarks, and hints on a first visit.
(() => {
  const trame = window.trame;
  const state = (name) => trame.state.get(name);
  const SHELF = "nnviz3d-bookmarks";
  const SEEN = "nnviz3d_hints=seen";
  const MOST_BOOKMARKS = 50;
  const LONGEST_NAME = 80;
  const LONGEST_VIEW = 6000;
  const YEAR = 366 * 86400;

  /** Fly to a layer or a group; `null`: to the pick or the highlighted layer; empty: to the whole network. */
  async function fly(name) {
    const at_once = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pose = await trame.trigger("fly_to", [name, window.nnviz3dSaves.pose()], { at_once });
    if (pose) window.nnviz3d.fly(pose);
  }

  async function goTo({ kind, name }) {
    if (kind === "pick") return fly(null);
    // Unfolded channels stand before the network, so that only the whole view shows them all.
    if (kind === "channel" && (await trame.trigger("show_channels", [name]))) await trame.trigger("key", ["home"]);
    else await fly(name);
  }

  /** Pick the channel that a text means, such as "conv2d 3", and fly there. */
  async function showChannel(text) {
    if (!(await trame.trigger("show_channel", [text]))) return;
    search()?.blur(); // the keys act on the picture again
    await fly(null);
  }

  const search = () => document.getElementById("filter");
  const sought = () => (state("layer_filter") ?? "").trim();
  const rows = () => [...document.querySelectorAll(".layer-list [role=treeitem]")];

  /** Focus a thing of the drawer, which is opened first, and show what stands below it in its section. */
  async function focusInDrawer(found) {
    trame.state.set("drawer", true);
    for (let tries = 0; tries < 20; tries += 1) {
      const element = found();
      if (element && element.getBoundingClientRect().left >= 0) {
        element.closest(".section").scrollIntoView({ block: "nearest" });
        element.scrollIntoView({ block: "nearest" });
        element.focus();
        element.select?.();
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  // The head of a pick, with what can be done to it, is above what was read last, so the drawer is scrolled to it.

  let picked = "";

  function showHead() {
    const title = state("pick_title") ?? "";
    const isNew = title && title !== picked;
    picked = title;
    if (isNew) requestAnimationFrame(() => document.getElementById("picked")?.scrollIntoView({ block: "nearest" }));
  }

  trame.state.watch(["pick_title"], showHead);

  // The tree: its container takes the focus and hands it to a row, so that Tab leaves it with one press.

  const tree = (event) => (event.target instanceof Element ? event.target.closest(".layer-list") : null);

  document.addEventListener("focusin", (event) => {
    if (!tree(event) || event.target !== tree(event)) return;
    const all = rows();
    (all.find((row) => row.getAttribute("aria-selected") === "true") ?? all[0])?.focus();
  });

  function walk(event, list) {
    const all = rows();
    const at = all.indexOf(event.target);
    const row = event.target;
    if (event.key === "Tab" && event.shiftKey) {
      list.tabIndex = -1;
      list.addEventListener("focusout", () => (list.tabIndex = 0), { once: true });
      return false;
    }
    if (at < 0) return false;
    const level = (one) => Number(one.getAttribute("aria-level"));
    const to = {
      ArrowDown: () => all[at + 1],
      ArrowUp: () => all[at - 1] ?? search(),
      Home: () => all[0],
      End: () => all.at(-1),
    }[event.key];
    if (to) {
      to()?.focus();
      return true;
    }
    const expanded = row.getAttribute("aria-expanded");
    if (event.key === "ArrowRight") {
      if (expanded === "false") row.click();
      return true;
    }
    if (event.key === "ArrowLeft") {
      if (expanded === "true") row.click();
      else all.slice(0, at).findLast((one) => one.getAttribute("aria-expanded") === "true" && level(one) <= level(row))?.focus();
      return true;
    }
    return false;
  }

  document.addEventListener("keydown", (event) => {
    const list = tree(event);
    if (list && walk(event, list)) return event.preventDefault();
    if (event.target === search() && search() !== null) {
      const first = rows().find((row) => row.dataset.layer && row.getAttribute("aria-expanded") === null);
      if (event.key === "Enter" && sought()) {
        if (rows().length) (first ?? rows()[0]).click();
        else showChannel(sought());
        if (first) search().blur(); // the keys act on the picture again
      } else if (event.key === "ArrowDown") rows()[0]?.focus();
      else return;
      event.preventDefault();
    }
    const tab = event.target instanceof Element ? event.target.closest("[role=tablist] [role=tab]") : null;
    if (tab?.matches(":focus-visible") && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
      const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
      const by = event.key === "ArrowRight" ? 1 : -1;
      tabs.at((tabs.indexOf(tab) + by) % tabs.length).focus();
      event.preventDefault();
    }
  });

  // What a search has found is flown to; without a search a click highlights, and a double click flies.
  document.addEventListener(
    "click",
    (event) => {
      const row = event.target instanceof Element ? event.target.closest(".layer-list [data-layer]") : null;
      if (row === null || (!sought() && !row.matches(".inner")) || row.getAttribute("aria-expanded") !== null) return;
      event.stopPropagation();
      fly(row.dataset.layer);
    },
    true,
  );
  document.addEventListener("dblclick", (event) => {
    const row = event.target instanceof Element ? event.target.closest(".layer-list [data-layer]") : null;
    if (row !== null && row.getAttribute("aria-expanded") === null) fly(row.dataset.layer);
  });

  // Bookmarks are kept by the browser, so whatever is read is checked: here their form, by the server each view.

  function shelf() {
    try {
      const found = JSON.parse(localStorage.getItem(SHELF) ?? "[]");
      const text = (value, most) => typeof value === "string" && value.length > 0 && value.length <= most;
      return (Array.isArray(found) ? found : []).filter(
        (one) => text(one?.name, LONGEST_NAME) && text(one?.view, LONGEST_VIEW) && text(one?.of, LONGEST_NAME),
      );
    } catch {
      return []; // The browser keeps nothing for this page, or another program has written something else.
    }
  }

  const mine = () => shelf().filter((one) => one.of === state("bookmarks_of"));
  const show = () => trame.state.set("bookmarks", mine().map(({ name }) => name));

  /** Keep these bookmarks of all models; returns whether the browser keeps them. */
  function keep(list) {
    let kept = true;
    try {
      localStorage.setItem(SHELF, JSON.stringify(list));
    } catch {
      kept = false;
      window.nnviz3dSay("This browser does not keep this bookmark; the address of the page holds its view too.");
    }
    show();
    return kept;
  }

  const usualName = () => {
    const crumbs = state("crumbs") ?? [];
    const words = crumbs.slice(1).map(({ words }) => words);
    const title = (state("perspectives") ?? []).find(({ name }) => name === state("perspective"))?.title ?? "View";
    return [title, ...words].join(" · ");
  };

  async function bookmark(asked = "") {
    const view = await window.nnviz3dSaves.view();
    if (mine().length >= MOST_BOOKMARKS) {
      const full = `There are ${MOST_BOOKMARKS} bookmarks of this model, and no more are kept: remove one, then add this view.`;
      window.nnviz3dSay(full);
      return;
    }
    const base = (asked.trim() || usualName()).slice(0, LONGEST_NAME - 5);
    const taken = new Set(mine().map(({ name }) => name));
    let name = base;
    for (let number = 2; taken.has(name); number += 1) name = `${base} (${number})`;
    if (!keep([...shelf(), { name, view, of: state("bookmarks_of") }])) return;
    trame.state.set("bookmark_name", "");
    window.nnviz3dSay(`Bookmarked: ${name}`);
  }

  const removeBookmark = (name) => keep(shelf().filter((one) => one.of !== state("bookmarks_of") || one.name !== name));

  async function openBookmark(name) {
    const found = mine().find((one) => one.name === name);
    if (found !== undefined) await window.nnviz3dSaves.open(found.view);
  }

  // Hints are shown on a first visit: where the browser keeps no cookie, they would be shown again and again.

  function hint() {
    try {
      if (document.cookie.includes(SEEN)) return;
      document.cookie = `${SEEN}; max-age=${YEAR}; SameSite=Lax`;  // for this path only
      trame.state.set("hints", document.cookie.includes(SEEN));
    } catch {
      // A page in a closed frame has no cookies.
    }
  }

  window.nnviz3dWay = {
    fly: (name = null) => fly(name),
    goTo,
    search: () => focusInDrawer(search),
    help: () => trame.state.set("help", !state("help")),
    bookmark,
    openBookmark,
    removeBookmark,
  };
  window.addEventListener("nnviz3d-key", (event) => window.nnviz3dWay[event.detail]?.());
  window.addEventListener("storage", (event) => event.key === SHELF && show());
  show();
  hint();
})();
