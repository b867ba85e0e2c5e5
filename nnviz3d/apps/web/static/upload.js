// Hands pictures in: chosen by the button, or dropped anywhere on the page.
(() => {
  const say = (text) => window.trame.state.set("message", text);
  const welcome = () => window.trame && window.trame.state.get("uploads");

  async function hand(file) {
    const answer = await fetch(`samples/new?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const said = await answer.json();
    return said.problem ? say(said.problem) : window.trame.trigger("choose_sample", [said.position]);
  }

  window.addEventListener("change", (event) => {
    const field = event.target;
    if (field.id !== "file" || !field.files.length) return;
    hand(field.files[0]).catch((error) => say(`The picture could not be sent (${error.message}).`));
    field.value = "";
  });

  // A page that takes no files still must not be left for one that is dropped by mistake.
  window.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = welcome() ? "copy" : "none";
    document.body.classList.toggle("dropping", Boolean(welcome()));
  });
  for (const name of ["dragleave", "drop"]) {
    window.addEventListener(name, () => document.body.classList.remove("dropping"));
  }
  window.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    if (welcome()) hand(file).catch((error) => say(`The picture could not be sent (${error.message}).`));
  });
})();
