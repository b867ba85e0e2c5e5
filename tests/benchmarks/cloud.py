"""Draw a cloud of points in a process of its own, and print figures as JSON: ``python -m tests.benchmarks.cloud FILE``.

The file is a capture with an embedding, as `write_cloud` makes it. The figures are the seconds from the capture to the
first picture, the frames a second of a camera that moves and of whole pictures at rest, each with read-back at
1280 x 720, the number of points drawn while moving, and the peak of the process's memory in GB.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

SIZE = (1280, 720)
ASPECT = SIZE[0] / SIZE[1]


def write_cloud(path: Path, count: int) -> None:
    """Write a capture with an embedding of ten groups of points, without pictures of the samples."""
    from nnviz3d.data.capabilities.embeddings import write_embedding
    from tests.support import captures

    random = np.random.default_rng(0)
    labels = random.integers(0, 10, count)
    points = (random.normal(size=(10, 3))[labels] * 6 + random.normal(size=(count, 3))).astype(np.float32)
    found = replace(
        captures.small_embedding(),
        points=points,
        first=points,
        snapshots=points[np.newaxis],
        names=tuple(f"sample {k}" for k in range(count)),
        labels=labels,
        predictions=np.where(random.random(count) < 0.05, (labels + 1) % 10, labels),
        probabilities=np.full(count, 0.9, dtype=np.float32),
        thumbnails=np.empty((0, 1, 1, 3), dtype=np.uint8),
        vectors=np.empty((0, 50), dtype=np.float32),
    )
    also = [partial(write_embedding, found=found)]
    captures.write(path, captures.small_graph(), captures.small_values(), also=also)


def main(path: Path) -> None:
    """Measure the cloud of a capture."""
    started = time.perf_counter()
    from nnviz3d.data.capture import open_capture
    from nnviz3d.render.offscreen import Offscreen
    from nnviz3d.scene.scene import Scene
    from nnviz3d.scene.spec import Keyframe, parse_scene

    spec = parse_scene({"format": 1, "views": [{"kind": "embedding", "layer": "dense"}]})
    scene = Scene.build(spec, open_capture(path), aspect=ASPECT)
    what = scene.at(scene.duration)
    poses = [scene.poses.of(Keyframe(azimuth=2.0 * k, elevation=12.0), ASPECT) for k in range(24)]
    studio = Offscreen(SIZE, antialias=False)
    studio.picture(what, poses[0])
    first = time.perf_counter() - started

    def rate(draw: Callable[[int], object], count: int) -> float:
        seconds = []
        for k in range(-2, count):
            start = time.perf_counter()
            draw(k)
            seconds.append(time.perf_counter() - start)
        return 1 / statistics.median(seconds[2:])

    still = rate(lambda k: studio.picture(what, poses[k]), 5)
    studio.renderer.careful = False
    moving = rate(lambda k: studio.picture(what, poses[k]), 20)
    told = [
        row.text for panel in studio.renderer.text.panels for row in panel.rows if "moves" in getattr(row, "text", "")
    ]
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024 / 1e9
    print(json.dumps({"first": first, "rest": still, "moving": moving, "told": told, "memory": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
