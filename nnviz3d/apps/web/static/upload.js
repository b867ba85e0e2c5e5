// Upload of files that the user chooses by the button or drops anywhere on the page.
(() => {
  const allowed = () => window.trame && window.trame.state.get("uploads");

  const MOST = 3; // Sentences about files that are no samples.

  /** Send a file; returns the position of its first sample, or the problem in a sentence. */
  async function send(file) {
    const query = new URLSearchParams({ name: file.name, secret: window.trame.state.get("secret") });
    try {
      const answer = await fetch(`samples/new?${query}`, { method: "POST", body: file });
      return answer.ok ? await answer.json() : { problem: `${file.name} could not be sent (${answer.status} ${answer.statusText}).` };
    } catch (error) {
      return { problem: `${file.name} could not be sent (${error.message}).` };
    }
  }

  /** Send files one after the other: the first sample is shown, and all are listed. */
  async function upload(files) {
    const problems = [];
    let shown = false;
    for (const file of files) {
      const { position, problem } = await send(file);
      if (problem) problems.push(problem);
      else if (!shown) {
        shown = true;
        window.trame.trigger("choose_sample", [position]);
      }
    }
    const more = problems.length > MOST ? ` ${problems.length - MOST} more of ${files.length} files are no samples either.` : "";
    if (problems.length > 0) window.nnviz3dSay(problems.slice(0, MOST).join(" ") + more);
  }

  window.addEventListener("change", (event) => {
    const field = event.target;
    if (field.id !== "file" || !field.files.length) return;
    upload([...field.files]);
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
    const files = [...event.dataTransfer.files];
    if (files.length === 0) return;
    event.preventDefault();
    if (allowed()) upload(files);
  });
})();
