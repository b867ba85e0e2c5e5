"""The samples of a session among the points of an embedding."""

from __future__ import annotations

from nnviz3d.apps.perspectives import State
from nnviz3d.apps.session import Session
from nnviz3d.errors import UserError
from nnviz3d.scene.views.points.neighbours import PointSpace, is_sample_of_point

_NETWORK = ("activations", "neurons", "network")
"""The perspectives that show the network for a sample, the fullest first."""


def position_of(session: Session, space: PointSpace, index: int) -> int | None:
    """Return the position in the session's list of a point's sample.

    It is found by its name. If the model was already run on it, its outputs must be those of the point.

    Returns
    -------
    `None` if the list does not have it, or its name belongs to several samples.
    """
    name = space.embedding.names[index]
    positions = [k for k, sample in enumerate(session.samples) if sample.name == name]
    if len(positions) != 1 or space.embedding.names.count(name) != 1:
        return None
    captured = session.samples[positions[0]].index
    if captured is not None and not is_sample_of_point(session.context, space, captured, index):
        return None
    return positions[0]


def network_perspective(session: Session) -> str | None:
    """Return the perspective that shows the network for a sample; `None` if the capture holds none."""
    held = (name for name in _NETWORK if session.perspectives.availability(name).state is State.HELD)
    return next(held, None)


def show_in_network(session: Session, position: int) -> None:
    """Show the network for the sample at a position of the session's list.

    Raises
    ------
    UserError
        If the capture holds no numbers of the network.
    """
    perspective = network_perspective(session)
    if perspective is None:
        raise UserError("The capture holds no numbers of the network; name the model itself.")
    session.look_at(perspective)
    session.choose(position)
