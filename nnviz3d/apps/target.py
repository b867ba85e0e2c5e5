"""Find out what a command's target is: a scene, a model or a capture. No large file is opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnviz3d.data.bundled import gallery
from nnviz3d.data.capture import is_capture
from nnviz3d.data.files.paths import exists, is_folder, user_path
from nnviz3d.data.foreign_models import foreign_model
from nnviz3d.data.model_sources import has_prefix, known_sources, names_model
from nnviz3d.data.printable import printable, read_integer
from nnviz3d.data.request import NOTHING_MORE, CaptureRequest, Insights, Preprocessing
from nnviz3d.data.source_names import in_folder
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.headline import among
from nnviz3d.scene.spec import SceneSource, SceneSpec, default_scene, read_scene

DEFAULT = "digits"
WEIGHTS = ("imagenet", "none", "all")
"""Values of the option ``--weights`` that are no file."""
_CAPTURE_ENDINGS = (".zarr", ".zarr.zip")


@dataclass(frozen=True)
class ModelOptions:
    """Options of the command line for a model and its input. They override a scene file.

    Attributes
    ----------
    model
        The model that a target was captured from, which is a ready capture.
    """

    inputs: tuple[str, ...] = ()
    preprocess: Preprocessing | None = None
    weights: str | None = None
    classes: Path | None = None
    trust: bool = False
    custom: tuple[str, ...] = ()
    architecture: str | None = None
    model: str | None = None

    def request(self, model: str, out: Path, insights: Insights = NOTHING_MORE) -> CaptureRequest:
        """Return the request for a capture of a model with these options.

        Parameters
        ----------
        insights
            Everything that is wanted beyond the forward pass.
        """
        return CaptureRequest(
            model=model,
            inputs=self.inputs,
            out=out,
            preprocess=self.preprocess,
            weights=None if self.weights == "all" else self.weights,
            all_weights=self.weights == "all",
            classes=self.classes,
            trust=self.trust,
            custom=self.custom,
            architecture=self.architecture,
            insights=insights,
        )


@dataclass(frozen=True)
class ResolvedTarget:
    """A resolved target: a scene, and the capture or the model that it shows.

    If there are both, the capture is shown, and the model can be run on other input.

    Attributes
    ----------
    options
        Options for the model, from the command line and the scene file.
    sample
        Index of the sample that the scene shows.
    choices
        Further input that the scene offers.
    beside
        Input that the model is run on first, to be shown beside the samples of the capture.
    against
        Another model or capture, with which the scene compares this one.
    attached
        Whether the user has named the model beside the capture. The capture is then shown in any case, and is checked
        against the model.
    """

    spec: SceneSpec
    capture: Path | None = None
    model: str | None = None
    options: ModelOptions = field(default_factory=ModelOptions)
    sample: int = 0
    choices: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    against: str | None = None
    attached: bool = False


def bundled_scenes() -> dict[str, Path]:
    """Return the bundled scenes by name."""
    return {path.stem: path for path in sorted(gallery().glob("*.toml"))}


def resolve(target: str | None, scene: str | None, options: ModelOptions) -> ResolvedTarget:
    """Find out what a target is, without opening a large file.

    Parameters
    ----------
    target
        A scene, a model, a capture, or `None` for the bundled digits.
    scene
        The scene that shows a model or a capture; by default the default scene.
    options
        Options of the command line.

    Raises
    ------
    UserError
        If there is no such target, or the options do not apply to it.
    """
    target = DEFAULT if target is None else target
    path = Path(target)
    if target.endswith(_CAPTURE_ENDINGS) or (exists(path) and is_capture(path)):
        if options.model is not None:
            return ResolvedTarget(_of_another(scene), path, options.model, replace(options, model=None), attached=True)
        _refuse_model_options(target, options)
        return ResolvedTarget(_of_another(scene), capture=path)
    if options.model is not None:
        raise UserError(f"--model names the model of a ready capture (.zarr), and {target} is none; leave it out.")
    if names_model(target) or _is_foreign(target):
        return ResolvedTarget(_of_another(scene), model=target, options=options)
    spec = scene_named(target)
    if scene is not None:
        raise UserError(f"--scene goes with a model or a capture; {target!r} is itself a scene.")
    if spec.source is None:
        raise UserError(f"The scene {target!r} names no source; give a model or a capture and --scene {target}.")
    folder = path.parent if target.endswith(".toml") else gallery()
    return _from_source(spec, spec.source, folder, options)


def _is_foreign(target: str) -> bool:
    """Whether a target is a model in a format that nnviz3d cannot open; the check of the request then names the format."""
    path = user_path(target)
    other = target.endswith((".toml", *_CAPTURE_ENDINGS)) or target in bundled_scenes()
    return bool(target) and not other and exists(path) and foreign_model(path) is not None


def _of_another(scene: str | None) -> SceneSpec:
    """Return a scene for a model or a capture that the scene file does not name."""
    return default_scene() if scene is None else scene_named(scene).elsewhere()


def _from_source(spec: SceneSpec, source: SceneSource, folder: Path, options: ModelOptions) -> ResolvedTarget:
    found = _of_source(spec, source, folder, options)
    if source.against is None or has_prefix(source.against):
        return replace(found, against=source.against)
    return replace(found, against=str(_found(folder, source.against, source)))


def _of_source(spec: SceneSpec, source: SceneSource, folder: Path, options: ModelOptions) -> ResolvedTarget:
    if source.model is None:
        _refuse_model_options("The scene's source", options)
    # The ready capture is shown unless the user gives other input; in a scene of points, input is added to the points.
    beside = options.inputs if spec.embeds and source.model is not None else ()
    if source.beside and not (spec.embeds and source.capture is not None and source.model is not None):
        raise SceneError("source.beside: it goes with a scene of points that has a capture and its model.")
    if not options.inputs:
        beside = _beside(folder, source.beside)
    ready = source.capture is not None and (source.model is None or options == ModelOptions() or bool(beside))
    capture = folder / source.capture if ready and source.capture is not None else None
    model = classes = architecture = None
    try:
        if source.model is not None:
            model = source.model if has_prefix(source.model) else str(_found(folder, source.model, source))
        classes = options.classes or (_found(folder, source.classes, source) if source.classes else None)
        architecture = None if source.architecture is None else str(_found(folder, source.architecture, source))
    except UserError:
        if capture is None or beside:
            raise
        model = None  # the capture can be shown without its model
    merged = ModelOptions(
        inputs=options.inputs or _beside(folder, source.input),
        preprocess=options.preprocess or source.preprocess,
        weights=options.weights or _weights(folder, source.weights),
        classes=classes,
        trust=options.trust,
        custom=options.custom,
        architecture=options.architecture or architecture,
    )
    # The scene's sample and choices refer to the scene's own inputs, so they do not apply to other inputs.
    if options.inputs:
        # The points stay and the given sample is added to them, so the title, which describes the points, stays true.
        beside = beside if capture is not None else ()
        if not beside and not all(among(name, source.inputs) for name in options.inputs):
            spec = spec.untitled()
        return ResolvedTarget(spec, capture, model, merged, beside=beside)
    choices = _beside(folder, source.choices)
    return ResolvedTarget(spec, capture, model, merged, source.sample, choices, beside=beside)


def _found(folder: Path, name: str, source: SceneSource) -> Path:
    """Find a file that a scene names: in the scene's folder, or else in the working folder, for large files."""
    for parent in (folder, Path()):
        path = parent / user_path(name)
        if exists(path):
            return path
    hint = f"; {source.hint}" if source.hint else ""
    raise UserError(f"There is no {name} beside the scene, nor in the working folder{hint}.")


def _weights(folder: Path, weights: str | None) -> str | None:
    """Return a scene's weights; the path of a file is relative to the scene's folder."""
    return weights if weights in (None, *WEIGHTS) else str(folder / user_path(str(weights)))


def _beside(folder: Path, names: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a scene's inputs; file paths are relative to the scene's folder."""
    return tuple(in_folder(folder, name) for name in ((names,) if isinstance(names, str) else names))


def _refuse_model_options(what: str, options: ModelOptions) -> None:
    if options != ModelOptions():
        raise UserError(
            f"{what} is a ready capture, so --input and the other options for models do not apply without its model; serve "
            "and show take it by --model MODEL."
        )


def scene_named(name: str) -> SceneSpec:
    """Read a scene: a ``.toml`` file, or a bundled scene by its name.

    Raises
    ------
    UserError
        If there is no such scene.
    """
    if not name:
        raise UserError(
            "The name of what to show is empty; expected a scene, a model or a capture, or none for the demo."
        )
    if name.endswith(".toml"):
        return with_metadata_in(read_scene(Path(name)), Path(name).parent)
    scenes = bundled_scenes()
    if name in scenes:
        return read_scene(scenes[name])
    if exists(Path(name)):
        raise UserError(f"{name} is no scene (.toml), no capture (.zarr) and no model; a model is {known_sources()}.")
    raise UserError(f"There is no {name!r}: neither a file nor one of the bundled scenes {', '.join(scenes)}.")


def with_metadata_in(spec: SceneSpec, folder: Path) -> SceneSpec:
    """Return a scene with an absolute path of its table about the samples, which is relative to the scene's folder."""
    if spec.metadata is None:
        return spec
    return spec.model_copy(update={"metadata": str((folder / user_path(spec.metadata)).absolute())})


def parse_size(text: str) -> tuple[int, int]:
    """Parse a picture size such as ``1920x1080``.

    Raises
    ------
    UserError
        If the text is not a size, or the size is out of range.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UserError(f"--size is WIDTHxHEIGHT in pixels, such as 1920x1080; got {printable(text)!r}.")
    width, height = read_integer(parts[0]), read_integer(parts[1])
    if not (64 <= width <= 8192 and 64 <= height <= 8192):
        raise UserError(f"--size: width and height are 64 to 8192 pixels; got {width}x{height}.")
    return width, height


def check_output(path: Path, endings: Sequence[str]) -> None:
    """Refuse an output that cannot be written, before any work.

    Raises
    ------
    UserError
        If the ending is wrong, the folder is missing, or writing there is not allowed.
    """
    if path.suffix.lower() not in endings:
        raise UserError(f"-o {path}: the name has to end in {' or '.join(endings)}.")
    folder = path.absolute().parent
    if not is_folder(folder):
        raise UserError(f"Cannot write {path}: the folder {path.parent} does not exist.")
    if is_folder(path):
        raise UserError(f"Cannot write {path}: it is a folder.")
    if not os.access(path if exists(path) else folder, os.W_OK) or not os.access(folder, os.W_OK):
        raise UserError(f"Cannot write {path}: permission denied.")
