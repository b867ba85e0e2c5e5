"""A process that draws frames of a film: ``python -m nnviz3d.apps.film.drawing_process``.

Each line of its standard input is JSON. A film is a `FilmPlan` and the ending of the film's name (none for a folder); the
numbers that follow, one a line, are frames of this film. It answers each number with a line of JSON,
``{"frame": 7, "shape": [...]}``, and the packed frame's bytes. An error is the last answer: ``{"refused": SENTENCE}`` or
``{"crashed": TRACEBACK}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.formats import sink_class
from nnviz3d.apps.film.frame_range import FilmPlan, FilmScene, FilmStudio
from nnviz3d.errors import UserError
from nnviz3d.parent_process import end_with_parent


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    try:
        _draw(sys.stdin, answers)
    except UserError as error:
        _say(answers, {"refused": str(error)})
    except BrokenPipeError:  # the program that asked has ended
        pass
    except Exception:  # noqa: BLE001 - the other process reports it
        _say(answers, {"crashed": traceback.format_exc()})


def _draw(requests: Iterable[str], answers: IO[bytes]) -> None:
    studio: FilmStudio | None = None
    packed: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    before: NDArray[np.uint8] | None = None
    for line in requests:
        request = json.loads(line)
        if isinstance(request, dict):
            if studio is not None:
                studio.close()
            packed = sink_class(request["ending"]).packed
            studio, before = FilmStudio(FilmScene.of(FilmPlan.model_validate(request["plan"]))), None
            continue
        if studio is None:
            raise ValueError("a frame was asked for before the film was sent")
        samples = studio.samples(request)
        if samples is not before:
            before, frame = samples, packed(studio.averaged(samples))
        _say(answers, {"frame": request, "shape": frame.shape}, frame)


def _say(answers: IO[bytes], words: Mapping[str, Any], data: NDArray[np.uint8] | None = None) -> None:
    rest = memoryview(json.dumps(words).encode() + b"\n")
    for part in (rest, None if data is None else np.ascontiguousarray(data).data.cast("B")):
        while part:
            part = part[answers.write(part) :]


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # ending Python would only free memory
