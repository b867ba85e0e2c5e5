"""From what a person names (a scene, a model, a capture, or nothing) to a scene file's content and an open capture."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nnviz3d.apps.live import Live
from nnviz3d.apps.samples import Sample, captured_samples
from nnviz3d.apps.worker import Worker
from nnviz3d.data.bundled import gallery
from nnviz3d.data.capture import Capture, is_capture, open_capture
from nnviz3d.data.graph import Shape
from nnviz3d.data.request import CaptureRequest, Invitation, Preprocessing
from nnviz3d.data.sources import expand
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.spec import SceneSpec, Source, default_scene, read_scene

DEFAULT = "digits"
_MODEL_ENDINGS = (".keras", ".h5", ".hdf5")
_CAPTURE_ENDINGS = (".zarr", ".zarr.zip")


@dataclass(frozen=True)
class ModelOptions:
    """What the command line says of a model and its input; each goes before what a scene file says."""

    inputs: tuple[str, ...] = ()
    preprocess: Preprocessing | None = None
    weights: str | None = None
    classes: Path | None = None
    trust: bool = False

    def request(self, model: str, out: Path) -> CaptureRequest:
        """Ask for a capture of this model with these options."""
        return CaptureRequest(
            model=model,
            inputs=self.inputs,
            out=out,
            preprocess=self.preprocess,
            weights=None if self.weights == "all" else self.weights,
            all_weights=self.weights == "all",
            classes=self.classes,
            trust=self.trust,
        )


@dataclass(frozen=True)
class Resolved:
    """What a target turned out to be: a scene, and the capture or the model that it is to show.

    Where both are there, the capture is shown, and the model can be run on other input, such as the `choices`.
    """

    spec: SceneSpec
    capture: Path | None = None
    model: str | None = None
    options: ModelOptions = ModelOptions()
    sample: int = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """A scene, an open capture, which of its samples is shown first, what else can be chosen, and who runs the model."""

    spec: SceneSpec
    capture: Capture
    sample: int
    samples: tuple[Sample, ...] = ()
    live: Live | None = None


def bundled_scenes() -> dict[str, Path]:
    """Return the gallery's scenes by name."""
    return {path.stem: path for path in sorted(gallery().glob("*.toml"))}


def resolve(target: str | None, scene: str | None, options: ModelOptions) -> Resolved:
    """Find out what a target is, without opening anything large.

    Parameters
    ----------
    target
        A scene, a model, a capture, or `None` for the bundled digits.
    scene
        A scene by which to look at a model or a capture.
    options
        From the command line.

    Raises
    ------
    UserError
        If it is none of them.
    """
    target = DEFAULT if target is None else target
    path = Path(target)
    if target.endswith(_CAPTURE_ENDINGS) or (path.exists() and is_capture(path)):
        _refuse_model_options(target, options)
        return Resolved(default_scene() if scene is None else _scene_named(scene), capture=path)
    if target.startswith("keras:") or target.endswith(_MODEL_ENDINGS) or (path / "saved_model.pb").is_file():
        return Resolved(default_scene() if scene is None else _scene_named(scene), model=target, options=options)
    spec = _scene_named(target)
    if scene is not None:
        raise UserError(f"--scene goes with a model or a capture; {target!r} is itself a scene.")
    if spec.source is None:
        raise UserError(f"The scene {target!r} names no source; give a model or a capture and --scene {target}.")
    folder = path.parent if target.endswith(".toml") else gallery()
    return _from_source(spec, spec.source, folder, options)


def _from_source(spec: SceneSpec, source: Source, folder: Path, options: ModelOptions) -> Resolved:
    if source.model is None:
        _refuse_model_options("The scene's source", options)
    # A ready capture serves as long as nobody asks for other input.
    ready = source.capture is not None and (source.model is None or options == ModelOptions())
    capture = folder / source.capture if ready and source.capture is not None else None
    model = classes = None
    try:
        if source.model is not None:
            keras_name = source.model.startswith("keras:")
            model = source.model if keras_name else str(_found(folder, source.model, source))
        classes = options.classes or (_found(folder, source.classes, source) if source.classes else None)
    except UserError:
        if capture is None:
            raise
        model = None  # the capture can be looked at without
    merged = ModelOptions(
        inputs=options.inputs or _beside(folder, source.input),
        preprocess=options.preprocess or source.preprocess,
        weights=options.weights,
        classes=classes,
        trust=options.trust,
    )
    # The scene's sample and choices are among the scene's own inputs; of other ones they would be any.
    if options.inputs:
        return Resolved(spec, capture, model, merged)
    return Resolved(spec, capture, model, merged, source.sample, _beside(folder, source.choices))


def _found(folder: Path, name: str, source: Source) -> Path:
    """Find a file that a scene names: beside the scene, or in the working folder, for what is too large to come with it."""
    for place in (folder, Path()):
        path = place / Path(name).expanduser()
        if path.exists():
            return path
    hint = f"; {source.hint}" if source.hint else ""
    raise UserError(f"There is no {name} beside the scene, nor in the working folder{hint}.")


def _beside(folder: Path, names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Read inputs that a scene names: a file's path goes from the scene's folder."""
    return tuple(
        name if name == "random" or name.startswith(("digits:", "sklearn:")) else str(folder / Path(name).expanduser())
        for name in ((names,) if isinstance(names, str) else names)
    )


def _refuse_model_options(what: str, options: ModelOptions) -> None:
    if options != ModelOptions():
        raise UserError(f"{what} is a ready capture, so --input and the other options for models do not apply.")


def _scene_named(name: str) -> SceneSpec:
    if not name:
        raise UserError(
            "The name of what to show is empty; expected a scene, a model or a capture, or none for the demo."
        )
    if name.endswith(".toml"):
        return read_scene(Path(name))
    scenes = bundled_scenes()
    if name in scenes:
        return read_scene(scenes[name])
    if Path(name).exists():
        raise UserError(
            f"{name} is no scene (.toml), model (.keras, .h5, a SavedModel folder, keras:NAME) or capture (.zarr)."
        )
    raise UserError(f"There is no {name!r}: neither a file nor one of the bundled scenes {', '.join(scenes)}.")


@contextmanager
def opened(
    target: str | None,
    scene: str | None,
    options: ModelOptions,
    run: Callable[[CaptureRequest], object],
    *,
    sample: int | None = None,
    whole: bool = False,
    worker: Worker | None = None,
    invitation: Invitation | None = None,
) -> Iterator[Opened]:
    """Open what a target shows; a model is first captured into a temporary folder.

    Parameters
    ----------
    run
        Makes a capture, with whatever progress it shows.
    sample
        Which of the samples is wanted; by default the scene's.
    whole
        Whether all of a model's samples are captured, not only the wanted one.
    worker
        Who runs the model on further samples while people look; closed at the end.
    invitation
        What the program that made a capture says of its live model.

    Raises
    ------
    UserError
        If there is no such target or sample, or it cannot be captured.
    """
    found = resolve(target, scene, options)
    if invitation is not None:
        found = replace(found, model=invitation.request.model)
    with ExitStack() as stack:
        if found.capture is not None:
            capture = open_capture(found.capture)
            shown = _wanted(sample, found, capture.committed, "capture")
            if found.model is None or worker is None:
                yield Opened(found.spec, capture, shown, captured_samples(capture))
                return
        elif found.model is None:
            raise ValueError("`resolve` gave neither a capture nor a model.")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nnviz3d-", ignore_cleanup_errors=True)))
        request = found.options.request(found.model, folder / "run.zarr")
        if invitation is not None:
            request = invitation.request
            listed = tuple(Sample(name, None, source) for name, source in invitation.samples)
            samples = _placed(listed, {invitation.position: 0})
        elif found.capture is not None:
            ready = captured_samples(capture)
            names = {one.name for one in ready}
            samples = (*ready, *(one for one in _listed(found.choices) if one.name not in names))
        else:
            wanted = found.sample if sample is None else sample
            run(request if whole else request.model_copy(update={"only": wanted}))
            capture = open_capture(request.out)
            # Which of an array's axes counts samples is known only now.
            shapes = {name: capture.graph.node(name).shape for name in capture.graph.inputs}
            sources = _listed(found.options.inputs or ("random",), shapes)
            shown = _wanted(sample, found, capture.committed, "input") if whole else 0
            places = {i: i for i in range(len(sources))} if whole else {wanted: 0}
            samples = _placed((*sources, *_listed(found.choices)), places)
        live = None
        if worker is not None:
            live = Live(worker, _template(request, capture), folder)
            stack.callback(live.close)
        yield Opened(found.spec, capture, shown, samples, live)


def _listed(inputs: tuple[str, ...], shapes: Mapping[str, Shape] | None = None) -> tuple[Sample, ...]:
    """List the samples that inputs hold; none of them has been captured."""
    return tuple(Sample(one.name, None, one.source) for one in expand(inputs, shapes=shapes)) if inputs else ()


def _placed(samples: tuple[Sample, ...], places: Mapping[int, int]) -> tuple[Sample, ...]:
    """Say of some samples, by position, which of the capture's they are."""
    return tuple(replace(one, index=places.get(i)) for i, one in enumerate(samples))


def _template(request: CaptureRequest, capture: Capture) -> CaptureRequest:
    """Return the request of which others differ only in their sample, which is brought to the shapes of the first."""
    shapes = tuple(capture.activation_shape(name) for name in capture.graph.inputs if capture.has_activations(name))
    fits = len(shapes) == len(capture.graph.inputs)
    return request.model_copy(update={"inputs": (), "shapes": shapes if fits else (), "transient": True})


def _wanted(sample: int | None, found: Resolved, count: int, holder: str) -> int:
    """Return which sample is shown; a scene's mistake is told as the scene's, not the command line's."""
    holds = f"{holder} holds {count} sample{'s' * (count != 1)}"
    if sample is None and found.sample >= count:
        raise SceneError(f"The scene's source.sample is {found.sample}, but its {holds}, counted from 0.")
    if sample is not None and not 0 <= sample < count:
        raise UserError(f"--sample: there is no sample {sample}; the {holds}, from 0.")
    return found.sample if sample is None else sample


def parse_size(text: str) -> tuple[int, int]:
    """Read ``1920x1080``.

    Raises
    ------
    UserError
        If it is something else, or a size that no picture has.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UserError(f"--size is WIDTHxHEIGHT in pixels, such as 1920x1080; got {text!r}.")
    width, height = int(parts[0]), int(parts[1])
    if not (64 <= width <= 8192 and 64 <= height <= 8192):
        raise UserError(f"--size: width and height are 64 to 8192 pixels; got {width}x{height}.")
    return width, height


def check_output(path: Path, endings: Sequence[str]) -> None:
    """Refuse, before any work, an output that could not be written.

    Raises
    ------
    UserError
        If the ending is another, the folder is missing, or writing there is not allowed.
    """
    if path.suffix.lower() not in endings:
        raise UserError(f"-o {path}: the name has to end in {' or '.join(endings)}.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    if path.is_dir():
        raise UserError(f"Cannot write {path}: it is a folder.")
    if not os.access(path if path.exists() else folder, os.W_OK) or not os.access(folder, os.W_OK):
        raise UserError(f"Cannot write {path}: permission denied.")
