// The help dialog of an exported file: its keys, and the origin of its numbers.

import { iconButton, make } from "./dom.js";

const KEYS = [
  ["drag", "turn; with shift or two fingers move"],
  ["wheel, pinch", "zoom"],
  ["click, tap", "say what is there"],
  ["double click", "come closer"],
  ["space", "play or pause"],
  ["← →", "the sample before, the next one"],
  ["t", "a tour from the input to the decision; ← → lead on, space rests, esc ends it"],
  ["r", "the whole scene"],
  ["esc", "nothing chosen"],
];

/** Make the dialog. */
export function helpDialog(words) {
  const dialog = make("dialog", { id: "help" });
  const pairs = (list) =>
    make("div", { class: "pairs" }, ...list.flatMap(([name, text]) => [make("span", { class: "faint" }, name), make("span", {}, text)]));
  const numbers = [...words.samples[0].provenance, ...words.notes.map((note) => ["this file", note]), ["made by", words.made_by]];
  dialog.append(
    make("div", { class: "dialog-head" }, make("h2", {}, "Keys"), iconButton("close", "Close", () => dialog.close())),
    pairs(KEYS),
    make("h2", {}, "Where the numbers come from"),
    pairs(numbers),
    make("h2", {}, "What this page shows as it was exported"),
    pairs(words.fixed),
    make("p", { class: "faint" }, "This page is one file. It asks no server for anything and sends nothing."),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}
