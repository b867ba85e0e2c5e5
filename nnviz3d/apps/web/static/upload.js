// Uploads files that the user chooses by the button or drops anywhere on the page.
(() => {
  const say = (text) => window.trame.state.set("message", text);
  const allowed = () => window.trame && window.trame.state.get("uploads");

  async function upload(file) {
    const query = new URLSearchParams({ name: file.name, secret: window.trame.state.get("secret") });
    const answer = await fetch(`samples/new?${query}`, { method: "POST", body: file });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const result = await answer.json();
    return result.problem ? say(result.problem) : window.trame.trigger("choose_sample", [result.position]);
  }

  window.addEventListener("change", (event) => {
    const field = event.target;
    if (field.id !== "file" || !field.files.length) return;
    upload(field.files[0]).catch((error) => say(`The picture could not be sent (${error.message}).`));
    field.value = "";
  });

  // Without this, the browser would leave the page and open the dropped file.
  window.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = allowed() ? "copy" : "none";
    document.body.classList.toggle("dropping", Boolean(allowed()));
  });
  for (const name of ["dragleave", "drop"]) {
    window.addEventListener(name, () => document.body.classList.remove("dropping"));
  }
  window.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (!file) return;
    event.preventDefault();
    if (allowed()) upload(file).catch((error) => say(`The picture could not be sent (${error.message}).`));
  });
})();
