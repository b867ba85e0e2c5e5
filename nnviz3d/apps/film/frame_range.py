"""Frames of a film. A plan, one line of JSON, describes them, so that every process draws a range with equal pixels."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from nnviz3d.apps.comparison import joined, names_of
from nnviz3d.apps.snapshot import require_graphics
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.storage.address import absolute
from nnviz3d.data.targets import Target
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.look_check import scene_of
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.tours.make_tour import TourKind, make_tour, usual_tour
from nnviz3d.scene.view_spec import Strict

if TYPE_CHECKING:
    from nnviz3d.render.steady_labels import SteadyLabels


class PlannedTrajectory(Strict):
    """An `EmbeddingTrajectory` in a film's description.

    Attributes
    ----------
    points
        Its numbers as base64 of little-endian float32.
    shape, quality, settings, keys
        As in `EmbeddingTrajectory`; a quality that is not a number is text.
    """

    points: str
    shape: tuple[int, ...]
    quality: tuple[dict[str, str], ...]
    settings: dict[str, Any]
    keys: tuple[str, ...]

    @staticmethod
    def of(trajectory: EmbeddingTrajectory) -> PlannedTrajectory:
        """Describe a trajectory."""
        return PlannedTrajectory(
            points=base64.b64encode(trajectory.points.astype("<f4").tobytes()).decode(),
            shape=trajectory.points.shape,
            # Texts keep each number exactly, also those that JSON does not have.
            quality=tuple({name: repr(float(value)) for name, value in one.items()} for one in trajectory.quality),
            settings=dict(trajectory.settings),
            keys=trajectory.keys,
        )

    def trajectory(self) -> EmbeddingTrajectory:
        """Return the trajectory."""
        numbers = np.frombuffer(base64.b64decode(self.points), dtype="<f4").astype(np.float32)
        quality = tuple({name: float(value) for name, value in one.items()} for one in self.quality)
        return EmbeddingTrajectory(numbers.reshape(self.shape), quality, self.settings, self.keys)


class FilmPlan(Strict):
    """Everything that determines the frames of a film.

    Attributes
    ----------
    captures
        Paths of the shown capture, and of those whose samples follow its own.
    others, names
        Paths of the compared model's captures, one for each of `captures`, and the names of both models.
    spec
        The scene.
    look, sample, target
        The selection: `LookSpec.of` of it, its sample, and the text of its target.
    tour
        The kind of the tour.
    size
        Width and height in pixels.
    fps
        Frames a second.
    seconds
        Length; by default it depends on the network.
    trajectory
        The points of a recorded training at each step; by default those that the capture holds.
    """

    captures: tuple[str, ...]
    others: tuple[str | None, ...] = ()
    names: tuple[str, str, str] | None = None
    spec: SceneSpec
    look: LookSpec = LookSpec()
    sample: int = 0
    target: str | None = None
    tour: TourKind
    size: tuple[int, int]
    fps: int
    seconds: float | None = None
    trajectory: PlannedTrajectory | None = None

    def to_json(self) -> str:
        """Return the plan as one line of ASCII."""
        return json.dumps(self.model_dump(mode="json"))

    @staticmethod
    def from_json(text: str) -> FilmPlan:
        """Read a plan that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is something else.
        """
        return FilmPlan.model_validate(json.loads(text))

    @property
    def selection(self) -> Selection:
        """The selection."""
        target = None if self.target is None else Target.of_text(self.target)
        return self.look.plain(Selection(self.sample, target=target))

    def open(self) -> CaptureReader:
        """Open the captures.

        Raises
        ------
        CaptureError
            If one of them is not there, or damaged.
        """
        others = [None if path is None else open_capture(path) for path in self.others]
        return joined([open_capture(path) for path in self.captures], others, self.names)


class FilmScene:
    """The frames of a film as draw lists and camera poses. It needs no graphics.

    Parameters
    ----------
    spec, capture, selection, trajectory
        As in `scene_of`.
    tour
        The kind of the tour; by default the scene's own, or along the layers if it has none.
    size
        Width and height in pixels.
    fps
        Frames a second.
    seconds
        Length; by default it depends on the network.

    Attributes
    ----------
    scene
        The scene.
    tour
        The kind of the tour.
    path
        Camera and scene time by film time.
    moments
        Film seconds of all frames, ``(n,)``.

    Raises
    ------
    UserError
        If the scene cannot show the capture or the selection, or has no such tour.
    """

    def __init__(
        self,
        spec: SceneSpec,
        capture: CaptureReader,
        selection: Selection,
        *,
        tour: TourKind | None,
        size: tuple[int, int],
        fps: int,
        seconds: float | None,
        trajectory: EmbeddingTrajectory | None,
    ) -> None:
        aspect = size[0] / size[1]
        self.scene = scene_of(spec, capture, selection, aspect=aspect, trajectory=trajectory)
        self.selection = selection
        self.tour = tour or usual_tour(self.scene)
        self.path = make_tour(self.scene, aspect, self.tour, seconds, selection)
        self.size = size
        self.moments = self.path.frames(fps)
        self._spec, self._capture, self._trajectory = spec, capture, trajectory
        self._fps, self._seconds = fps, seconds

    @staticmethod
    def of(plan: FilmPlan) -> FilmScene:
        """Lay out the film of a plan.

        Raises
        ------
        UserError
            If a capture cannot be read, or the film cannot be made of it.
        """
        return FilmScene(
            plan.spec,
            plan.open(),
            plan.selection,
            tour=plan.tour,
            size=plan.size,
            fps=plan.fps,
            seconds=plan.seconds,
            trajectory=None if plan.trajectory is None else plan.trajectory.trajectory(),
        )

    def at(self, tau: float) -> tuple[DrawList, CameraPose]:
        """Return the draw list and the camera pose, `tau` seconds into the film."""
        t, pose = self.path.at(tau)
        caption, selection = self.path.told(tau, self.selection)
        what = self.scene.at(t, selection)
        return what if caption is None else replace(what, primitives=(*what.primitives, caption)), pose

    def plan(self) -> FilmPlan | None:
        """Return the plan of this film; `None` if another process could not draw the same frames.

        A training that still writes its capture is one such case: another process would read more of its steps.
        """
        series, selection = CaptureSeries.of(self._capture), self.selection
        captures = _paths(part.capture for part in series.parts)
        others = _paths(None if part.counterpart is None else part.counterpart.capture for part in series.parts)
        if captures is None or others is None or None in captures:
            return None
        try:
            plan = FilmPlan(
                captures=tuple(path for path in captures if path is not None),
                others=others if series.counterpart is not None else (),
                names=names_of(series),
                spec=self._spec,
                look=LookSpec.of(replace(selection, target=None)),
                sample=selection.sample,
                target=None if selection.target is None else selection.target.text,
                tour=self.tour,
                size=self.size,
                fps=self._fps,
                seconds=self._seconds,
                trajectory=None if self._trajectory is None else PlannedTrajectory.of(self._trajectory),
            )
        except ValidationError:  # a program made a selection that no `LookSpec` can hold
            return None
        return plan if plan.selection == selection else None


class FilmStudio:
    """Draws frames of a film, in any order. Two studios of one film draw equal pixels.

    Raises
    ------
    UserError
        If the system has no OpenGL.
    """

    def __init__(self, film: FilmScene) -> None:
        require_graphics()
        from nnviz3d.render.offscreen import Offscreen

        self._film = film
        self._studio = Offscreen(film.size)
        self._labels: SteadyLabels | None = None
        self._last: tuple[DrawList, CameraPose] | None = None
        self._last_samples: NDArray[np.uint8] = np.empty((0, 0, 3), dtype=np.uint8)

    def place_labels(self, check: Callable[[], object] = lambda: None) -> None:
        """Choose the labels of the whole film; otherwise the first frame does.

        Parameters
        ----------
        check
            Called often while labels are placed; may raise an error, which ends that.
        """
        from nnviz3d.render.steady_labels import SteadyLabels

        def at(tau: float) -> tuple[DrawList, CameraPose]:
            check()
            return self._film.at(tau)

        renderer, path = self._studio.renderer, self._film.path
        self._labels = SteadyLabels(path.seconds, at, renderer.size, renderer.scale, loops=path.loops)

    def samples(self, number: int) -> NDArray[np.uint8]:
        """Draw a frame, counted from 0, and return its samples, which `averaged` converts to the frame.

        While camera and scene rest, the result is the same array as for the frame before.
        """
        if self._labels is None:
            self.place_labels()
            return self.samples(number)
        tau = float(self._film.moments[number])
        what, pose = self._film.at(tau)
        drawn = self._labels.of(what, tau), pose
        if self._last is None or not _alike(self._last, drawn):
            self._last_samples = self._studio.samples(*drawn)
        self._last = drawn
        return self._last_samples

    def averaged(self, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame ``(H, W, 3)``, the top row first; any thread may call it."""
        return self._studio.averaged(samples)

    def frame(self, number: int) -> NDArray[np.uint8]:
        """Draw a frame, counted from 0: ``(H, W, 3)``, the top row first."""
        return self.averaged(self.samples(number))

    def close(self) -> None:
        """Free the memory of the graphics card."""
        self._studio.close()


def draw_range(plan: FilmPlan, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Draw a range of a film's frames; every process draws equal pixels.

    Parameters
    ----------
    start, stop
        The first frame, counted from 0, and the one after the last.

    Yields
    ------
    tuple
        Number of a frame, and the frame ``(H, W, 3)`` uint8, the top row first.

    Raises
    ------
    UserError
        If a capture cannot be read, the film cannot be made of it, or the system has no OpenGL.
    """
    film = FilmScene.of(plan)
    if not 0 <= start <= stop <= len(film.moments):
        raise ValueError(f"The film has {len(film.moments)} frames; {start} to {stop} is no range of them.")
    studio = FilmStudio(film)
    try:
        for number in range(start, stop):
            yield number, studio.frame(number)
    finally:
        studio.close()


def _alike(one: object, other: object) -> bool:
    """Whether two draw lists or parts of them are equal, with the same arrays."""
    if one is other:
        return True
    if type(one) is not type(other) or isinstance(one, np.ndarray):
        return False
    if is_dataclass(one):
        return all(_alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other


def _paths(readers: Iterable[CaptureReader | None]) -> tuple[str | None, ...] | None:
    """Return the paths of the files that readers read; `None` if they do not give the same readers again."""
    found: list[str | None] = []
    for one in readers:
        if one is not None and (not isinstance(one, Capture) or not one.complete or not _finished(one)):
            return None
        found.append(None if one is None else absolute(one.path))
    return tuple(found)


def _finished(capture: Capture) -> bool:
    training = capture.training
    return training is None or training.finished
