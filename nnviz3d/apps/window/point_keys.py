"""Commands of the window's keys for the points of an embedding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.key_commands import next_of
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import number
from nnviz3d.scene.selection import PointFilter
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.neighbours import ComparedSample, class_of, compared_sample, neighbours_of, space_of
from nnviz3d.scene.views.points.samples import PointPick
from nnviz3d.scene.views.points.search import can_be_wrong, classes_of, matching

_NEAREST = 10
"""Number of neighbours that the key goes through."""


class PointKeys:
    """Methods that choose the points that are meant, their colours, and the nearest one.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._of: ComparedSample | None = None
        self._shown: tuple[PointPick | None, int] = (None, 0)

    def next_neighbour(self) -> None:
        """Pick the nearest point of the picked one, or of the shown sample; each further press picks the next nearest."""
        cloud, session = self._cloud(), self._session
        if cloud is None:
            return
        selection, context = session.selection, session.context
        space = space_of(context, cloud.shown(selection))
        picked, rank = self._shown
        if self._of is None or picked is None or selection.pick != picked:
            self._of, rank = compared_sample(context, space, selection), 0
        if self._of is None:
            self._tell("Click a point first: its nearest ones are picked")
            return
        among = matching(space.embedding, selection.points, cloud.colored_by(selection), space.columns)
        found = neighbours_of(space, self._of, _NEAREST, among)
        if found is None or not len(found.indices):
            self._tell(self._of.problem or "No other sample is searched for")
            return
        at = rank % len(found.indices)
        index, away = int(found.indices[at]), float(found.distances[at])
        pick = PointPick(space.embedding.name, index)
        session.select(pick=pick)
        self._shown = (pick, at + 1)
        known = class_of(space.embedding, index)
        words = "" if known is None else f", {_class_words(class_name(context.capture.classes, known))}"
        self._tell(
            f"nearest {at + 1} of {self._of.name}: {space.embedding.names[index]}{words}, distance {number(away)}"
        )

    def next_embedding(self) -> None:
        """Place the points by the activations of another layer."""
        cloud, session = self._cloud(), self._session
        if cloud is None:
            return
        names = cloud.names
        if len(names) < 2:
            self._tell(f"Only {names[0]} has an embedding; capture the model with --embed for others")
            return
        name = next_of(names, cloud.shown(session.selection))
        session.select(embedding=name, pick=None)
        self._tell(f"points by {name}")

    def next_point_colors(self) -> None:
        """Colour the points by the next column, such as label, prediction or score."""
        cloud, session = self._cloud(), self._session
        if cloud is None:
            return
        if len(cloud.colors(session.selection)) < 2:
            self._tell("Only one column is known of the samples; --metadata adds those of a table")
            return
        name = next_of(cloud.colors(session.selection), cloud.colored_by(session.selection))
        session.select(colored_by=name)
        self._tell(f"coloured by {name}")

    def next_point_filter(self) -> None:
        """Mean all points, those with wrong predictions, or those of the picked sample's class."""
        cloud, session = self._cloud(), self._session
        if cloud is None:
            return
        space, by = space_of(session.context, cloud.shown(session.selection)), cloud.colored_by(session.selection)
        found, now = space.embedding, session.selection.points
        filters = {PointFilter(): "all"}
        if can_be_wrong(found):
            filters[PointFilter(wrong=True)] = "wrong predictions"
        pick = session.selection.pick
        if isinstance(pick, PointPick) and pick.embedding == found.name and not pick.placed:
            for code, title in classes_of(found, session.context.capture.classes, by):
                if matching(found, PointFilter(of_class=code), by, space.columns)[pick.index]:
                    filters[PointFilter(of_class=code)] = _class_words(title)
        wanted = next_of(tuple(filters), replace(now, isolated=False))
        session.select(points=replace(wanted, isolated=now.isolated))
        count = int(matching(found, wanted, by, space.columns).sum())
        self._tell(f"points: {filters[wanted]}, {count:,} of {len(found.names):,}")

    def isolate_points(self) -> None:
        """Hide the points that are not searched for, or show them again."""
        if self._cloud() is None:
            return
        wanted = self._session.selection.points
        if wanted.everything and not wanted.isolated:
            self._tell("All points are searched for; press y for those with wrong predictions, or L to choose some")
            return
        self._session.select(points=replace(wanted, isolated=not wanted.isolated))
        self._tell("the other points are small" if wanted.isolated else "the other points are hidden")

    def _cloud(self) -> EmbeddingView | None:
        cloud = self._session.scene.find(EmbeddingView)
        if cloud is None:
            self._tell("This scene shows no points; Tab leads to the embedding")
        return cloud


def _class_words(name: str) -> str:
    """Return the name of a class with the word before it, which classes without names begin with."""
    return f"class {name.removeprefix('class ')}"
