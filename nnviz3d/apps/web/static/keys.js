// Keys that work anywhere on the page except in text fields, by the table of the Python module `page_keys`.
(() => {
  const actions = window.trame.state.get("key_actions");
  // While a tour leads, these keys are its own.
  const touring = { " ": "tour_pause", ArrowLeft: "tour_previous", ArrowRight: "tour_next", Escape: "tour" };
  // Held keys do not repeat these.
  const once = new Set(["play", "mute", "tour", "tour_pause"]);
  const fields = "input:not([type=range], [type=color], [type=checkbox]), textarea, select, [contenteditable], [role=listbox], [role=combobox]";
  // Widgets that use the arrow keys and Home by themselves; the last ones if the keyboard, not a click, focused them.
  const movable = "[role=slider], [role=menu], [role=dialog]";
  const lists = "[role=tree] :focus-visible, [role=tablist] :focus-visible";

  const overlay = () => document.querySelector(".v-overlay--active:is(.v-menu, .v-dialog)");

  // Whether a list or a menu was open before the widgets' own handlers of this key ran: they close it.
  let open = false;
  window.addEventListener("keydown", () => (open = overlay() !== null), true);

  /** Escape empties the field of a search, and leaves any other field; Enter leaves a field of one line. */
  function leave(field, event) {
    if (open || event.defaultPrevented) return;
    if (event.key === "Escape" && field.closest(".filter") && field.value) {
      field.value = "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (event.key === "Escape" || (event.key === "Enter" && field.matches("input") && !field.closest("[role=combobox]"))) {
      field.blur();
    }
  }

  window.addEventListener("keydown", (event) => {
    const led = window.trame.state.get("tour_on") ? touring[event.key] : undefined;
    const [name, local] = led ? [led, false] : (actions[event.key] ?? []);
    const at = event.target instanceof Element ? event.target : document.body;
    if (at.closest(fields)) return leave(at, event);
    if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = event.key.startsWith("Arrow") || event.key === "Home";
    if (moves && (at.closest(movable) || at.matches(lists))) return;
    // A button that was focused by the keyboard, not by a click, uses the space bar.
    if (event.key === " " && at.closest("button:focus-visible")) return;
    // Vuetify may miss an Escape that comes soon after the dialog has opened.
    if (event.key === "Escape" && window.trame.state.get("help")) {
      event.preventDefault();
      window.trame.state.set("help", false);
      return;
    }
    // Escape closes an open menu or dialog first.
    if (event.key === "Escape" && overlay()) return;
    event.preventDefault();
    if (local) {
      if (!event.repeat) window.dispatchEvent(new CustomEvent("nnviz3d-key", { detail: name }));
      return;
    }
    if (!event.repeat || !once.has(name)) window.trame.trigger("key", [name]);
  });

  // A click focuses the picture too; only a focus by the keyboard is shown around it.
  window.addEventListener("keydown", (event) => event.key === "Tab" && document.body.classList.add("by-keyboard"), true);
  window.addEventListener("pointerdown", () => document.body.classList.remove("by-keyboard"), true);

  // Some browsers click a button when the space bar is released.
  window.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target instanceof HTMLButtonElement && !event.target.matches(":focus-visible")) {
      event.preventDefault();
    }
  });
})();
