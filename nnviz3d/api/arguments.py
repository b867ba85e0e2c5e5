"""From Python's words to the command line's: files for what a process of its own cannot be handed, and who answers it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from nnviz3d.apps.target import scene_named
from nnviz3d.data.capture import Capture
from nnviz3d.data.files.array_files import as_array
from nnviz3d.data.files.unfinished import make_temporary_folder
from nnviz3d.data.json_lines import to_line
from nnviz3d.data.quantities import Quantity, canonical
from nnviz3d.data.records import Ranking
from nnviz3d.data.request import CaptureRequest, Insights, Invitation, Preprocessing
from nnviz3d.data.sample_sources import expand, named_sources
from nnviz3d.errors import UserError
from nnviz3d.options import Look


class Options(TypedDict, total=False):
    """What every way of looking takes beside the target.

    Attributes
    ----------
    scene
        A scene file, or the name of a bundled scene, by which to look at a model or a capture.
    sample
        Which of the samples, from 0.
    layer
        A layer that stands out.
    threshold
        Hide cells below this share of their layer's range, 0 to 1.
    colormap, normalize, ranking
        As the options of the command line of these names.
    quantity
        What the cells show: ``activation``, ``gradient`` of the target's score, ``gradient_x_activation`` (alias
        ``attribution``), or ``difference``, the sample minus the one that `against` names.
    explain
        What is explained: a class by number or name, or any output's number, ``dense_1[5]``; by default the model's
        own answer.
    method
        Whose map of what counts for it is shown: ``grad_cam``, ``integrated_gradients``, ...
    against
        A sample, from 0; not for a model object.
    preprocess
        ``tf``, ``torch``, ``caffe``, ``unit`` or ``none``: how pictures are prepared.
    classes
        Names of the classes.
    labels
        ``(N,)`` integers: the true class of each sample; for a model object.
    weights, trust
        For a model file; as the options of the command line of these names.
    """

    scene: str | Path
    sample: int
    layer: str
    threshold: float
    colormap: str
    normalize: Literal["layer", "global", "symmetric"]
    ranking: Ranking
    quantity: Quantity
    explain: int | str
    method: str
    against: int
    preprocess: Preprocessing
    classes: Iterable[str]
    labels: Any
    weights: str
    trust: bool


class Workshop:
    """What a view needs for as long as it lasts: a folder, and perhaps someone who answers for a live model."""

    def __init__(self) -> None:
        self.folder = make_temporary_folder()
        self._ends = contextlib.ExitStack()
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder, and answer no more."""
        self._ends.close()

    def arguments(self, target: Any, x: Any, options: Options, *, live: bool) -> list[str]:
        """Return the command line's words for a target and what it is shown."""
        common = [
            *given("--scene", options.get("scene")),
            *given("--layer", options.get("layer")),
            *given("--threshold", options.get("threshold")),
            *given("--colormap", options.get("colormap")),
            *given("--normalize", options.get("normalize")),
            *given("--ranking", options.get("ranking")),
            *given("--quantity", options.get("quantity")),
            *given("--class", options.get("explain")),
            *given("--method", options.get("method")),
            *given("--against", options.get("against")),
        ]
        if target is not None and not isinstance(target, str | Path | Capture):
            return [*self._live(target, x, options, live=live), *common]
        common += given("--sample", options.get("sample"))
        if options.get("labels") is not None:
            raise UserError("labels go with a model object; a file of arrays (.npz) holds its own.")
        if isinstance(target, Capture):
            return [str(target.path), *common]
        named = [] if target is None else [str(target)]
        classes = options.get("classes")
        return [
            *named,
            *common,
            *[word for source in self._sources(x) for word in ("--input", source)],
            *given("--preprocess", options.get("preprocess")),
            *given("--weights", options.get("weights")),
            *given("--classes", None if classes is None else self._text("classes.txt", "\n".join(map(str, classes)))),
            *(["--trust"] if options.get("trust") else []),
        ]

    def _text(self, name: str, text: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _sources(self, x: Any) -> list[str]:
        """Return what a model file is shown in the command line's words; arrays go through a file."""
        named = named_sources(x)
        if named is not None:
            return list(named)
        path = self.folder / "x.npz"
        if isinstance(x, Mapping):
            arrays: dict[str, Any] = {str(name): as_array(values) for name, values in x.items()}
            np.savez(path, **arrays)
        else:
            path = path.with_suffix(".npy")
            np.save(path, as_array(x), allow_pickle=False)
        return [str(path)]

    def _live(self, model: Any, x: Any, options: Options, *, live: bool) -> list[str]:
        """Capture one sample of a live model, and let the viewer ask for the others."""
        from nnviz3d.capture.live_model import keep

        if options.get("weights") is not None or options.get("trust"):
            raise UserError("weights and trust go with a model file; a model object has its weights.")
        if options.get("against") is not None:
            raise UserError("against goes with a model file or a capture; capture the model object's samples first.")
        kept = keep(model, x, classes=options.get("classes"), labels=options.get("labels"))
        if kept.held is not None:
            samples = tuple((name, name) for name in kept.held.names)
        elif options.get("labels") is not None:
            raise UserError("labels go with arrays; pictures and other samples that are named have their own or none.")
        else:
            samples = tuple((one.name, one.source) for one in expand(kept.sources or ("random",)))
        position = options.get("sample", 0)
        if not 0 <= position < len(samples):
            raise UserError(f"There is no sample {position}; x holds {len(samples)}, from 0.")
        out = self.folder / "run.zarr"
        request = CaptureRequest(model="live", out=out, preprocess=options.get("preprocess"), insights=_wanted(options))
        kept.answer(request.model_copy(update={"inputs": (samples[position][1],)}), lambda _event: None)
        if not live:
            return [str(out)]
        from nnviz3d.capture.live_model_server import Listener

        listener = Listener(kept.answer)
        self._ends.callback(listener.close)
        invitation = Invitation(
            port=listener.port, token=listener.token, request=request, samples=samples, position=position
        )
        return [str(out), "--live", self._text("live.json", to_line(invitation))]


def _wanted(options: Options) -> Insights:
    """Return what a capture has to hold beyond one forward pass: what is asked for, and what the scene needs."""
    explain = options.get("explain")
    look = Look(
        quantity=canonical(options.get("quantity")),
        class_=None if explain is None else str(explain),
        method=options.get("method"),
    )
    wanted: Insights = look.opening()["wanted"]
    scene = options.get("scene")
    return wanted if scene is None else wanted.plus(scene_named(str(scene)).needs())


def given(option: str, value: Any) -> list[str]:
    """Return an option's words; none if it has no value."""
    return [] if value is None else [option, str(value)]
