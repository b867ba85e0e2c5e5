"""The scene file: its classes, its reader and its error messages. Unknown keys are refused."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from nnviz3d.data.files.memory_limit import read_text
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.printable import printable, reason, sentence
from nnviz3d.data.request import Insights, Preprocessing
from nnviz3d.errors import SceneError
from nnviz3d.scene.look import NO_LOOK, LookSpec, PoseSpec
from nnviz3d.scene.spec_mistakes import mistakes_of
from nnviz3d.scene.view_spec import Seconds, Strict, ViewSpec
from nnviz3d.scene.views import BY_KIND, VIEWS

LONGEST_SCENE = 100_000
"""Maximum number of characters of a scene file."""
LONGEST_LINE = 10_000
"""Maximum number of characters of a line of a scene file."""
MOST_KEYFRAMES = 500
"""Maximum number of the camera's keyframes in a scene file."""
LONGEST_TITLE = 200
"""Maximum number of characters of a scene's title."""
if TYPE_CHECKING:
    AnyView = ViewSpec
else:
    AnyView = Annotated[Union[tuple(view.spec_class for view in VIEWS)], Field(discriminator="kind")]  # noqa: UP007


def default_view(kind: str) -> ViewSpec:
    """Return the settings of a view that a scene file names without settings."""
    return BY_KIND[kind].spec_class.model_validate({"kind": kind})


_DEFAULT = tuple(default_view(kind) for kind, view in BY_KIND.items() if view.spec_class.in_default_scene)


def _title(text: str) -> str:
    if len(text) > LONGEST_TITLE:
        raise ValueError(f"a title has at most {LONGEST_TITLE} characters, got {len(text):,}")
    return sentence(text)


class SceneSource(Strict):
    """The source of a scene's numbers: a ready capture, or a model and its input. Files are relative to the scene.

    If both are given, the ready capture is shown until other input is requested. `sample` is the index of the sample
    that is shown first. The files of a model and of its class names may also be in the working folder; `hint` says
    how to get them if they are in neither folder.

    Attributes
    ----------
    beside
        In a scene of points with a capture and its model: input on which the model is run first, which is shown beside
        the samples of the capture.
    weights, architecture
        As the options of these names on the command line.
    against
        Another model or capture with the same layers, which is subtracted where the cells show a difference.
    """

    capture: str | None = None
    model: str | None = None
    input: str | tuple[str, ...] = ()
    choices: str | tuple[str, ...] = ()
    beside: str | tuple[str, ...] = ()
    preprocess: Preprocessing | None = None
    classes: str | None = None
    weights: str | None = None
    architecture: str | None = None
    against: str | None = None
    sample: Annotated[int, Field(ge=0)] = 0
    hint: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """All inputs in the scene file: the one that is shown first, and the further choices."""
        first, more = ((part,) if isinstance(part, str) else part for part in (self.input, self.choices))
        return (*first, *more)

    @model_validator(mode="after")
    def _something(self) -> SceneSource:
        if self.capture is None and self.model is None:
            raise ValueError("give a capture, or a model")
        return self


GroupsChoice = Literal["auto", "open", "closed"]


class Layout(Strict):
    """The layout of the blocks.

    Attributes
    ----------
    aspect
        Width over height of the picture that the layout should fill; by default that of the picture that is drawn.
    """

    kind: Literal["flow"] = "flow"
    aspect: Annotated[float, Field(ge=0.05, le=20)] | None = None


class Keyframe(Strict):
    """A pose of the camera at one time.

    Attributes
    ----------
    at
        Seconds.
    target
        ``all``, or ``layer:`` and a selector, such as ``layer:conv2d_1`` or ``layer:last convolution``.
    azimuth, elevation
        Degrees; (0, 0) looks straight at the maps.
    distance
        Multiples of the target's diagonal; by default the target fills the frame.
    pose
        A free pose, in place of all these.
    """

    at: Seconds = 0.0
    target: str = "all"
    azimuth: float = -24.0
    elevation: Annotated[float, Field(ge=-89, le=89)] = 16.0
    distance: Annotated[float, Field(gt=0)] | None = None
    pose: PoseSpec | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Keyframe:
        others = sorted(name for name in _OF_TARGETS if getattr(self, name) != Keyframe.model_fields[name].default)
        if self.pose is not None and others:
            raise ValueError(f"a keyframe has a pose or {', '.join(others)}, not both")
        return self

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = write(self)
        return {name: value for name, value in found.items() if self.pose is None or name not in _OF_TARGETS}


_OF_TARGETS = ("target", "azimuth", "elevation", "distance")
"""The fields of a keyframe without a free pose."""


class Camera(Strict):
    """The camera's angles in degrees, its first pose and its keyframes; by default everything fills the picture.

    Attributes
    ----------
    pose
        The pose of a picture, and the one with which a window or a page begins. A film flies the keyframes.
    """

    azimuth: float | None = None
    elevation: Annotated[float, Field(ge=-89, le=89)] | None = None
    pose: PoseSpec | None = None
    keyframes: Annotated[tuple[Keyframe, ...], Field(max_length=MOST_KEYFRAMES)] = ()

    @field_validator("keyframes")
    @classmethod
    def _in_order(cls, frames: tuple[Keyframe, ...]) -> tuple[Keyframe, ...]:
        for before, after in pairwise(frames):
            if after.at <= before.at:
                raise ValueError(f"keyframes have to stand in order of time; {after.at:g} s follows {before.at:g} s")
        return frames


class SceneSpec(Strict):
    """A whole scene file.

    Attributes
    ----------
    groups
        Which groups of layers are closed at first: ``auto`` closes those of a network of more than 40 nodes, as many as
        are needed to show at most 40; ``open`` none; ``closed`` all.
    metadata
        A table about the samples of a scene of points, .csv or .tsv, relative to the scene file: columns of numbers or
        words, with a line for each sample in the order of the data set, or with a column of their names.
    look
        What a user had chosen when the scene was saved: as if it were chosen again after the scene is opened.
    """

    format: Literal[1]
    title: Annotated[str, AfterValidator(_title)] = ""
    source: SceneSource | None = None
    layout: Layout = Layout()
    groups: GroupsChoice = "auto"
    metadata: Annotated[str, Field(min_length=1)] | None = None
    views: Annotated[tuple[AnyView, ...], Field(min_length=1)] = _DEFAULT
    camera: Camera = Camera()
    look: LookSpec = NO_LOOK

    @field_validator("views")
    @classmethod
    def _each_once(cls, views: tuple[ViewSpec, ...]) -> Any:
        kinds = [view.kind for view in views]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise ValueError(f"there are two views of kind {twice!r}; give each kind once")
        alone = next((view.kind for view in views if view.stands_alone), None)
        if alone is not None and sum(not view.joins_any for view in views) > 1:
            raise ValueError(f"a view of kind {alone!r} fills the picture by itself; give it a scene of its own")
        return views

    def with_view(self, kind: str) -> SceneSpec:
        """Return the scene with a further view with default settings; the scene itself if it has a view of this kind.

        Raises
        ------
        SceneError
            If another view of the scene fills the picture in place of the blocks that the view needs.
        """
        if any(view.kind == kind for view in self.views):
            return self
        added = default_view(kind)
        if added.error_without_blocks and any(view.stands_alone for view in self.views):
            raise SceneError(added.error_without_blocks)
        return self.model_copy(update={"views": (*self.views, added)})

    def with_automatic(self) -> SceneSpec:
        """Return the scene with the views that every scene of a recorded training has."""
        automatic = (kind for kind, view in BY_KIND.items() if view.spec_class.training == "automatic")
        return reduce(SceneSpec.with_view, automatic, self)

    def lacks_training(self, capture: str) -> str:
        """Return one sentence on why a capture that holds no training cannot be shown as the scene means it.

        Nothing if no view of the scene goes through a training.

        Parameters
        ----------
        capture
            Name of the capture.
        """
        if all(view.training in ("unused", "automatic") for view in self.views):
            return ""
        return (
            f"{capture} holds no training; record one with model.fit(..., "
            'callbacks=[nnviz3d.TrainingRecorder("run.zarr")]).'
        )

    def without_training(self, capture: str) -> SceneSpec:
        """Return the scene for a capture that holds no training: without the views that need one.

        Parameters
        ----------
        capture
            Name of the capture.

        Raises
        ------
        SceneError
            If nothing else would be shown, or if a view shows nothing without a training.
        """
        views = tuple(view for view in self.views if view.training == "unused")
        if not views or any(view.training == "required" for view in self.views):
            raise SceneError(f"kind: {self.lacks_training(capture)}")
        return self if len(views) == len(self.views) else self.model_copy(update={"views": views})

    def elsewhere(self) -> SceneSpec:
        """Return the scene for a model or capture other than its own: without the title, which describes its own.

        Selectors ``NAME or KIND`` become ``KIND``, because the names are layer names of its own model; groups are closed
        by the size of the other model. Of a saved look, what means the same for every model is kept. The table is about
        samples of its own data set. A scene without a source has no model of its own, and is returned unchanged.
        """
        if self.source is None:
            return self
        views = tuple(view.elsewhere() for view in self.views)
        # Free poses are in world coordinates, which belong to the layout of its own model.
        frames = tuple(frame for frame in self.camera.keyframes if frame.pose is None)
        camera = self.camera.model_copy(update={"pose": None, "keyframes": frames})
        look = self.look.elsewhere()
        changes = {"views": views, "groups": "auto", "camera": camera, "look": look, "metadata": None}
        return self.untitled().model_copy(update=changes)

    def looking(self, choices: Mapping[str, Any], groups: GroupsChoice | None = None) -> SceneSpec:
        """Return the scene with other choices in its look.

        Parameters
        ----------
        choices
            Fields of the look by name.
        groups
            Which groups of layers are closed, in place of the scene's choice.
        """
        if groups is not None:
            found = self.model_copy(update={"groups": groups})
            return found.model_copy(update={"look": self.look.model_copy(update={"opened": None}).changed(choices)})
        return self.model_copy(update={"look": self.look.changed(choices)}) if choices else self

    def filmed(self, keyframes: tuple[Keyframe, ...]) -> SceneSpec:
        """Return the scene with other keyframes of the camera."""
        camera = Camera(**{**dict(self.camera), "keyframes": keyframes})
        return self.model_copy(update={"camera": camera})

    def untitled(self) -> SceneSpec:
        """Return the scene without its title, so that the model's name is the heading."""
        return self.model_copy(update={"title": ""})

    def with_methods_of(self, methods: Sequence[str]) -> SceneSpec:
        """Return the scene for a capture: if it has no map by a view's method, the view shows its first method."""
        return self.model_copy(update={"views": tuple(view.with_methods_of(methods) for view in self.views)})

    def requires(self) -> frozenset[str]:
        """Return the families of arrays that a capture must hold: among ``activations`` and ``connections``."""
        return frozenset().union(*(view.arrays for view in self.views))

    @property
    def embeds(self) -> bool:
        """Whether it shows samples as points."""
        return any(view.shows_samples for view in self.views)

    def needs(self) -> Insights:
        """Return everything that the views need beyond one forward pass."""
        return reduce(Insights.plus, (view.needs for view in self.views))


def default_scene(title: str = "") -> SceneSpec:
    """Return the scene that a model or a capture without a scene file gets."""
    return SceneSpec(format=1, title=title)


def read_scene(path: Path) -> SceneSpec:
    """Read and check a scene file.

    Raises
    ------
    SceneError
        If it is no TOML or no valid scene; the message contains the path within the file.
    """
    name = printable(path.name)
    try:
        text = read_text(path, SceneError)
        _check_size(text, name)
        data = tomllib.loads(text)
    except RecursionError:
        raise SceneError(f"{name} is no scene: it is nested too deep.") from None
    except ValueError as error:  # from TOML, from UTF-8, or from Python about numbers with thousands of digits
        raise SceneError(f"{name} is not valid TOML: {reason(error)}") from None
    except OSError as error:
        raise SceneError(f"Cannot read the scene {quoted(path)}: {error.strerror or error}.") from None
    return parse_scene(data, name)


def _check_size(text: str, name: str) -> None:
    """Refuse a text that is far larger than any scene, because parsing it could take very long."""
    for what, length, most in (
        ("has", len(text), LONGEST_SCENE),
        ("has a line of", max(map(len, text.splitlines()), default=0), LONGEST_LINE),
    ):
        if length > most:
            raise SceneError(f"{name} {what} {length:,} characters; a scene file has at most {most:,}.")


def parse_scene(data: dict[str, Any], name: str = "scene") -> SceneSpec:
    """Check a scene that was read from TOML."""
    try:
        return SceneSpec.model_validate(data)
    except ValidationError as error:
        raise SceneError(f"{name}: {mistakes_of(error)}.") from None
