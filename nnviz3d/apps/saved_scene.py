"""A scene file of what a session shows: every command opens it as it was."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from nnviz3d.apps.session import Session
from nnviz3d.data.files.paths import exists, quoted
from nnviz3d.data.files.unfinished import partial_path
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import LookSpec, PoseSpec
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.scene_text import scene_text
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSource, SceneSpec
from nnviz3d.stopping import DelayedSignals
from nnviz3d.version import __version__

NAME = "my.toml"
"""Name of a saved scene file."""


@dataclass(frozen=True)
class SavedScene:
    """A scene file.

    Attributes
    ----------
    spec
        Its content.
    remarks
        Sentences on what is not opened again; the file has them too.
    """

    spec: SceneSpec
    remarks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The content of the file."""
        again = f"nnviz3d serve {NAME}" if self.spec.source is not None else f"nnviz3d serve run.zarr --scene {NAME}"
        lines = [f"Saved by nnviz3d {__version__}. Open it with: {again}", *self.remarks]
        return "".join(f"# {line}\n" for line in lines) + scene_text(self.spec)


def saved_scene(session: Session, pose: CameraPose, aspect: float, layout: Scene | None = None) -> SavedScene:
    """Return the scene file of what a session shows.

    Parameters
    ----------
    pose, aspect
        The camera of the picture, and its width over height.
    layout
        The scene for the picture's shape; by default the session's.
    """
    scene, selection = layout or session.scene, selection_at_rest(session)
    shown = session.samples.chosen
    compared = session.choices.against if session.choices.quantity == "difference" else None
    reopened = session.origin.showing(session.samples, shown, compared)
    saved, remarks = _changes(session, reopened.source)
    if remarks and not saved and selection.quantity == "change":
        selection = replace(selection, quantity=None)
    if reopened.source is None:
        selection = replace(selection, target=None)
    elif not reopened.same:
        selection = _of_any_sample(selection)
    elif compared is not None:
        selection = replace(selection, against=reopened.against)
    else:
        selection = replace(selection, against=None)
    spec = spec_as_shown(scene, session.clock.t, selection, PoseSpec.of(pose, aspect))
    if saved:
        spec = spec.looking({"interventions": saved})
    return SavedScene(spec.model_copy(update={"source": reopened.source}), (*reopened.remarks, *remarks))


def _changes(session: Session, source: SceneSource | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the interventions that a scene file with this source repeats, and a sentence on those that it cannot.

    Neither for those that the source's own capture holds.
    """
    listed = session.interventions.listed
    if not listed or (source is not None and source.capture is not None and not session.interventions.changed):
        return (), ()
    runs = source is not None and source.model is not None
    saved = tuple(one.text for one in listed if runs and one.in_words)
    lost = tuple(one.text for one in listed if not (runs and one.in_words))
    return saved, ((f"What was changed is not saved: {', '.join(lost)}.",) if lost else ())


def spec_as_shown(scene: Scene, t: float, selection: Selection, pose: PoseSpec | None) -> SceneSpec:
    """Return the description of a scene with what is chosen in it at a time.

    Parameters
    ----------
    pose
        The camera; with it goes the layout of the scene, in which it stands. `None` for the scene's own view.
    """
    changes: dict[str, object] = {"look": look_of(scene, t, selection)}
    if pose is not None:
        changes["camera"] = scene.spec.camera.model_copy(update={"pose": pose})
        changes["layout"] = scene.spec.layout.model_copy(update={"aspect": scene.context.aspect})
    return scene.spec.model_copy(update=changes)


def selection_at_rest(session: Session) -> Selection:
    """Return the selection of a session; a layer that is being unfolded is as it will be in a moment."""
    if session.unfolding.moving:
        return replace(session.selection, unfold=session.unfolding.layer, unfolded=1.0)
    return session.selection


def look_of(scene: Scene, t: float, selection: Selection) -> LookSpec:
    """Return what is chosen in a scene at a time."""
    grouping = scene.context.grouping
    groups = None if grouping is None or not grouping.everything else scene.context.opened
    return LookSpec.of(selection, time=t, opened=groups)


def _of_any_sample(selection: Selection) -> Selection:
    """Return a selection without what another sample may not have."""
    quantity = None if selection.quantity == "difference" else selection.quantity
    return replace(selection, target=None, pick=None, against=None, quantity=quantity)


def write_scene(text: str, folder: Path) -> Path:
    """Write a scene file under the next free name in a folder: ``my.toml``, ``my-2.toml``, ...; returns its path.

    Raises
    ------
    UserError
        If the system refuses to write it.
    """
    unfinished = partial_path(folder / NAME)
    try:
        with DelayedSignals():
            unfinished.write_text(text, encoding="utf-8")
            try:
                return _named(unfinished, folder)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"Cannot write {quoted(folder / NAME)}: {error.strerror or error}.") from None


def _named(unfinished: Path, folder: Path) -> Path:
    """Give a whole file the next free name; returns its path."""
    stem, ending = NAME.split(".")
    for number in count(1):
        out = folder / (NAME if number == 1 else f"{stem}-{number}.{ending}")
        try:
            os.link(unfinished, out)  # never takes the place of another file, as a renamed file would
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            if exists(out):
                continue
            unfinished.replace(out)
        return out
    raise AssertionError
