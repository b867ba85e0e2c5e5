"""The samples of a session among the points of an embedding."""

from __future__ import annotations

from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.perspectives import State
from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.embeddings import embedding_names, read_embedding
from nnviz3d.errors import UserError
from nnviz3d.scene.views.points.embedding import EmbeddingView
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


def embeddable_layers(session: Session) -> tuple[str, ...]:
    """Return the layers whose outputs the model can be asked to embed: those with at least two numbers for a sample."""
    if not session.queries.possible:
        return ()
    capture = session.scene.capture
    held = {*embedding_names(capture.stored)}
    cloud = session.scene.find(EmbeddingView)
    held |= set(() if cloud is None else cloud.names)
    return tuple(node.id for node in capture.graph if node.id not in held and node.size > 1)


def embed_layer(session: Session, layer: str) -> None:
    """Show the samples as points by the outputs of a layer: at once, or when the model has computed them.

    The samples are those of the points that are shown, if the model can be run on them, else all of the session's list.

    Raises
    ------
    UserError
        If the layer cannot be embedded.
    """
    capture = session.scene.capture
    if layer in embedding_names(capture.stored):
        session.look_at("embedding")
        session.select(embedding=layer)
        return
    if not session.perspectives.embed(layer, _sources(session)):
        raise UserError(f"There is no model to embed the layer with; {NAME_IT}.")


def _sources(session: Session) -> tuple[str, ...]:
    """Return the sources of the samples that are embedded."""
    known = {sample.name: sample.source for sample in session.samples if sample.source is not None}
    names = next((_names(session, name) for name in embedding_names(session.scene.capture.stored)), ())
    if names and all(name in known for name in names):
        return tuple(known[name] for name in names)
    return session.samples.dataset


def _names(session: Session, embedding: str) -> tuple[str, ...]:
    return read_embedding(session.scene.capture.stored, embedding).names


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
