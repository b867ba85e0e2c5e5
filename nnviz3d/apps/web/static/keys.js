// Keys that work anywhere on the page but where one types.
(() => {
  const names = {
    " ": "play",
    r: "home",
    R: "home",
    Home: "home",
    ArrowLeft: "previous",
    ArrowRight: "next",
    Escape: "clear",
  };
  const fields = "input:not([type=range]), textarea, select, [contenteditable], [role=listbox], [role=combobox]";

  window.addEventListener("keydown", (event) => {
    const name = names[event.key];
    const at = event.target instanceof Element ? event.target : document.body;
    if (!name || event.ctrlKey || event.metaKey || event.altKey || at.closest(fields)) return;
    // A slider has the arrows for itself, and a button that was reached by keys the space bar; one that was clicked not.
    if (event.key.startsWith("Arrow") && at.closest("[role=slider]")) return;
    if (event.key === " " && at.closest("button:focus-visible")) return;
    // An open menu is closed first.
    if (event.key === "Escape" && document.querySelector(".v-menu.v-overlay--active")) return;
    event.preventDefault();
    if (!event.repeat || name !== "play") window.trame.trigger("key", [name]);
  });

  // Browsers that click a button when the space bar comes up again.
  window.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target instanceof HTMLButtonElement && !event.target.matches(":focus-visible")) {
      event.preventDefault();
    }
  });
})();
