// Keys that work anywhere on the page except in text fields.
(() => {
  const names = {
    " ": "play",
    r: "home",
    R: "home",
    Home: "home",
    ArrowLeft: "previous",
    ArrowRight: "next",
    Escape: "clear",
    z: "group",
    t: "tour",
    T: "tour",
    d: "mute",
    D: "undo",
  };
  // While a tour leads, these keys are its own.
  const touring = { " ": "tour_pause", ArrowLeft: "tour_previous", ArrowRight: "tour_next", Escape: "tour" };
  // Keys that need the page's own camera, by the functions of saves.js.
  const saves = { k: "keyframe", K: "removeKeyframe", w: "write", W: "write" };
  // Held keys do not repeat these.
  const once = new Set(["play", "mute", "tour", "tour_pause"]);
  const fields = "input:not([type=range]), textarea, select, [contenteditable], [role=listbox], [role=combobox]";

  window.addEventListener("keydown", (event) => {
    const leads = window.trame.state.get("tour_on");
    const name = (leads ? touring[event.key] : undefined) ?? names[event.key] ?? saves[event.key];
    const at = event.target instanceof Element ? event.target : document.body;
    if (!name || event.ctrlKey || event.metaKey || event.altKey || at.closest(fields)) return;
    // A focused slider uses the arrow keys; a button that was focused by the keyboard, not by a click, uses the space bar.
    if (event.key.startsWith("Arrow") && at.closest("[role=slider]")) return;
    if (event.key === " " && at.closest("button:focus-visible")) return;
    // Escape closes an open menu first.
    if (event.key === "Escape" && document.querySelector(".v-menu.v-overlay--active")) return;
    event.preventDefault();
    if (event.key in saves) {
      if (!event.repeat) window.dispatchEvent(new CustomEvent("nnviz3d-key", { detail: name }));
      return;
    }
    if (!event.repeat || !once.has(name)) window.trame.trigger("key", [name]);
  });

  // Some browsers click a button when the space bar is released.
  window.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target instanceof HTMLButtonElement && !event.target.matches(":focus-visible")) {
      event.preventDefault();
    }
  });
})();
