"""Choice of an embedding's samples by an outline on the picture, and the words for what is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.session import Session
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.enclosure import enclosed
from nnviz3d.scene.primitives import Points
from nnviz3d.scene.selection import EVERY_POINT, PointFilter
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.neighbours import space_of
from nnviz3d.scene.views.points.search import SelectedCounts, matching

Way = Literal["new", "add", "remove"]
WAYS: tuple[Way, ...] = get_args(Way)
_COUNTED = 3
"""Most categories that a sentence counts."""


def with_enclosed(session: Session, camera: CameraPose, outline: NDArray[np.float64], way: Way) -> PointFilter:
    """Return the filter of the samples inside an outline: of only these, or of these too, or of all but these.

    Parameters
    ----------
    camera
        The camera of the picture.
    outline
        As for `enclosed`.

    Raises
    ------
    UserError
        If the scene shows no points.
    """
    selection, cloud = session.selection, session.scene.find(EmbeddingView)
    if cloud is None:
        raise UserError("The scene shows no points.")
    name = cloud.shown(selection)
    drawn = session.scene.at(session.clock.t, replace(selection, points=EVERY_POINT)).primitives
    points = next(one.points for one in drawn if isinstance(one, Points) and one.name == name)
    inside = enclosed(points, camera, outline)
    before = selection.points.chosen
    if way != "new":
        already = np.zeros(len(inside), dtype=bool)
        already[list(before or ())] = True
        already |= before is None and way == "remove"
        inside = already | inside if way == "add" else already & ~inside
    # Samples that another filter makes faint are not selected.
    space = space_of(session.context, name)
    others = replace(selection.points, chosen=None)
    inside &= matching(space.embedding, others, cloud.colored_by(selection), space.columns)
    return replace(selection.points, chosen=tuple(np.flatnonzero(inside).tolist()))


def selected_words(session: Session) -> str:
    """Return the number of selected samples, and of their categories: ``31 of 1,000 samples, by label: 3 (30), 8 (1)``.

    It is empty if the scene shows no points.
    """
    selection, cloud = session.selection, session.scene.find(EmbeddingView)
    if cloud is None:
        return ""
    space, by = space_of(session.context, cloud.shown(selection)), cloud.colored_by(selection)
    selected = SelectedCounts.of(space.embedding, selection.points, by, space.columns)
    first, others, count_of_others = selected.split(_COUNTED)
    listed = [f"{title} ({count:,})" for title, count in first]
    if others:
        listed.append(f"others ({count_of_others:,})")
    return f"{selected.words}, by {selected.by}: {', '.join(listed)}" if listed else selected.words
