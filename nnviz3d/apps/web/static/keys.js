// Keys that work anywhere on the page but where one types.
(() => {
  const names = {
    " ": "play",
    r: "home",
    R: "home",
    Home: "home",
    ArrowLeft: "previous",
    ArrowRight: "next",
  };
  const fields = "input:not([type=range]), textarea, select, [contenteditable], [role=listbox], [role=combobox]";

  window.addEventListener("keydown", (event) => {
    const name = names[event.key];
    const at = event.target instanceof Element ? event.target : document.body;
    if (!name || event.ctrlKey || event.metaKey || event.altKey || at.closest(fields)) return;
    // A slider has the arrows for itself, a button the space bar.
    if (event.key.startsWith("Arrow") && at.closest("[role=slider]")) return;
    if (event.key === " " && at.closest("button")) return;
    event.preventDefault();
    if (!event.repeat || name !== "play") window.trame.trigger("key", [name]);
  });

  // A button that was clicked does not keep the space bar.
  window.addEventListener("pointerup", () => {
    const at = document.activeElement;
    if (at instanceof HTMLButtonElement && !at.closest("[role=combobox]")) at.blur();
  });
})();
