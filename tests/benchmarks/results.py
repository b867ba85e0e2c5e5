"""The table of what users wait for: its rows, the results that benchmarks record, and its text in docs/performance.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).with_name("results.json")
"""The last result of each row, so that one benchmark can be run again alone."""
RECORDING = "NNVIZ3D_BENCHMARKS_RECORD"
"""Variable of the environment that is set while `python -m tests.benchmarks` runs; otherwise nothing is recorded."""


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    felt
        What a user notices.
    earlier
        What was measured before the work on speed, in words.
    bound, sense
        The number to reach, and on which side of it a result is good.
    unit
        Unit of the number, or ``x`` for a ratio of two times of one run.
    why
        The reason if the number is not reached.
    """

    felt: str
    earlier: str
    sense: Literal["at least", "at most"]
    bound: float
    unit: str
    why: str = ""

    def reached(self, value: float) -> bool:
        """Whether a result is good enough."""
        return value >= self.bound if self.sense == "at least" else value <= self.bound

    def words(self, value: float) -> str:
        """Return a result with its unit."""
        return f"{_rounded(value)} x" if self.unit == "x" else f"{_rounded(value)} {self.unit}"


ROWS: Mapping[str, Row] = {
    "drag": Row(
        "Dragging the digits in Chromium, drawn by the server, 1280 x 720", "6 to 8", "at least", 20, "pictures/s"
    ),
    "drag_peer": Row(
        "The same drag, drawn by the page, against TensorSpace's LeNet with open layers", "0.9", "at least", 1, "x"
    ),
    "whole_picture": Row(
        "VGG16's whole picture against its blocks alone, frames a second",
        "0.38",
        "at least",
        25 / 34,
        "x",
        "By processor time, on the slower of two machines, the blocks take 26 ms, and the rest 24: lines 15, text 6, the "
        "input image and its edges 2. The lines are 2,400 connections of 32,000 pieces; most are 2.2 pixels wide, and "
        "those of a fan lie on each other. A software rasterizer blends each in squares of 4 x 4 pixels. One straight "
        "piece for each connection would save 7 ms and be another picture; leaving out bends below a tenth of a pixel, "
        "and what is inside full blocks, saves 2 ms and changes one pixel of 2,000. The placement of text runs while the "
        "blocks are drawn.",
    ),
    "quads": Row(
        "VGG16's blocks against six textured quads a block",
        "0.94",
        "at least",
        1,
        "x",
        "The quads are unlit, one draw call and one look-up a pixel; a block walks its cells, so that it can show a "
        "threshold, gaps and the cells behind them.",
    ),
    "first_sample": Row("First sample that was not captured, after the page stands", "10 s", "at most", 3, "s"),
    "vgg_sample": Row(
        "VGG16, next sample, from the key to the picture",
        "3.4 to 6.2 s",
        "at most",
        1.2,
        "s",
    ),
    "mute": Row(
        "A picked channel of the digits is muted, from the key to the picture", "not measured", "at most", 0.3, "s"
    ),
    "mute_large": Row(
        "A picked channel of EfficientNet-Lite0 is muted, from the key to the picture",
        "not measured",
        "at most",
        2,
        "s",
    ),
    "switch": Row(
        "A perspective that the capture holds, from the click to the picture", "not measured", "at most", 0.5, "s"
    ),
    "command": Row(
        "Command to picture, own model and image, beyond Keras' import, load and call", "about 4 s", "at most", 1, "s"
    ),
    "nodes_first": Row("2,000 nodes: first picture, without the start of Python", "36 s", "at most", 5, "s"),
    "nodes_moving": Row("2,000 nodes: moving", "1.4", "at least", 12, "frames/s"),
    "capture_25": Row(
        "Capturing 25 pictures with EfficientNetB0, against `predict`",
        "46 x",
        "at most",
        3,
        "x",
        why="all numbers of a picture are 100 MB, and writing them alone takes longer than that on the disk of this run",
    ),
    "capture_100": Row(
        "Capturing 100 pictures with EfficientNetB0, against `predict`",
        "46 x",
        "at most",
        3,
        "x",
        why="writing the 10 GB of numbers alone takes longer than that on the disk of this run; the system copies each GB "
        "into its file cache in half a second of one core, whichever way the files are written, and checksums and "
        "connections take half as long",
    ),
    "film_4k": Row(
        "Film at 3840 x 2160",
        "0.27",
        "at least",
        8 * 0.27,
        "frames/s",
        "Drawn in software, a frame takes about 0.95 s of processor time: 0.45 for the blocks, 0.22 for background, lines, "
        "text and copies, 0.12 for reading, averaging and converting the four samples of each pixel, 0.16 for H.264. "
        "Two cores draw two frames side by side. "
        "Mesa's own four samples a pixel take as long: lines and text are shaded once, but an empty frame takes seven "
        "times as long. "
        "Fewer samples show in the edges: against the mean of 36 samples, two a pixel have a 7 % larger error than "
        "these four with the best filter of 3 x 3 pixels, and 47 % without, and three a 15 % larger one. Smoothing "
        "edges alone saves little: of the groups of eight pixels of blocks that are drawn together, 17 to 43 % hold an "
        "edge in the digits and 68 to 94 % in VGG16, and a block's pixel that is left out costs 40 % of one that is drawn.",
    ),
    "gif": Row(
        ".gif against drawing its frames",
        "0.54 to 0.68",
        "at least",
        0.8,
        "x",
        "Half of the processor time beyond drawing alone is the start of one drawing process for each core, as for .mp4. "
        "The other half converts the frames to the palette and encodes them.",
    ),
    "png": Row("Folder of .png against drawing its frames", "0.54 to 0.68", "at least", 0.8, "x"),
    "tsne_10k": Row("3-D t-SNE of 10,000 x 50, against openTSNE", "1 x", "at most", 0.25, "x"),
    "tsne_100k": Row("3-D t-SNE of 100,000 x 50", "did not finish", "at most", 6, "minutes"),
    "tsne_1m": Row("3-D t-SNE of 1,000,000 x 50", "did not finish", "at most", 60, "minutes"),
    "cloud_100k": Row("A cloud of 100,000 points, moving", "3.4", "at least", 20, "frames/s"),
    "cloud_1m": Row("A cloud of 1,000,000 points, moving", "0.6", "at least", 10, "frames/s"),
    "cloud_build": Row("A cloud of 1,000,000 points, first picture", "18 s", "at most", 3, "s"),
    "cloud_memory": Row("A cloud of 1,000,000 points, peak memory", "3.5 GB", "at most", 1, "GB"),
    "inspect": Row(
        "`inspect` of a model on 1,000 samples, against one sample", "ran all of them", "at most", 1.25, "x"
    ),
    "live_delay": Row("A training's page, delay behind the training", "hundreds of steps", "at most", 2, "s"),
    "live_cost": Row("`fit` with a recorder at its default settings, against plain `fit`", "1.04", "at most", 1.1, "x"),
    "memory_capture": Row("Memory: a capture of 1,000 samples, against 10", "not measured", "at most", 1.1, "x"),
    "memory_page": Row("Memory: a server after 50 visits, against 5", "not measured", "at most", 1.1, "x"),
    "memory_film": Row(
        "Memory: a film of 10,000 frames, at its end against a tenth of it", "not measured", "at most", 1.1, "x"
    ),
}


def record_result(row: str, value: float, measured: str) -> None:
    """Record the result of a row, if results are recorded.

    Parameters
    ----------
    row
        A key of `ROWS`.
    measured
        What exactly was measured, in one line: sizes, what is compared, how often.
    """
    known = ROWS[row]
    print(f"  {known.felt}: {known.words(value)} ({known.sense} {known.words(known.bound)})")
    if RECORDING not in os.environ:
        return
    results = recorded()
    day = datetime.now(UTC).date().isoformat()
    results[row] = {"value": value, "measured": measured, "day": day, "cores": os.cpu_count()}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def recorded() -> dict[str, dict[str, Any]]:
    """Return the last result of each row."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def as_markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table and the list of what was not reached."""
    lines = ["| what is felt | before | to reach | reached | |", "|---|---|---|---|---|"]
    how, missed = [], []
    for key, row in ROWS.items():
        target = f"{row.sense} {row.words(row.bound)}"
        if key not in results:
            lines.append(f"| {row.felt} | {row.earlier} | {target} | not measured | |")
            continue
        result = results[key]
        good = row.reached(result["value"])
        lines.append(
            f"| {row.felt} | {row.earlier} | {target} | {row.words(result['value'])} | {'yes' if good else 'no'} |"
        )
        how.append(f"- {row.felt}: {result['measured']} ({result['day']}, {result['cores']} cores)")
        if not good:
            missed.append(f"- {row.felt}: {row.words(result['value'])}. {row.why}".rstrip())
    parts = ["\n".join(lines), "## How each was measured", "\n".join(how)]
    if missed:
        parts += ["## Not reached", "\n".join(missed)]
    return "\n\n".join(parts) + "\n"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
