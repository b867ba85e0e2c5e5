"""Requests to the model for what the explanation of a picked cell lacks: its gradient, and examples of its channel."""

from __future__ import annotations

from glob import escape

from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.session import Session
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.examples import too_few
from nnviz3d.data.grouped_capture import originals
from nnviz3d.data.request import Insights
from nnviz3d.errors import UserError
from nnviz3d.scene.derived.dead_channels import examples_of_layer
from nnviz3d.scene.selection import CellPick


def lacks_gradient(session: Session, pick: CellPick) -> bool:
    """Whether the model can be asked for the gradient at a cell, which was not captured."""
    whole = len(pick.index) == len(session.context.placement(pick.layer).grid.shape)
    known = session.context.has_gradients(session.selection)
    return whole and not known and session.queries.possible and "gradient" in session.choices.quantities


def lacks_examples(session: Session, pick: CellPick) -> bool:
    """Whether the model can be asked for the samples of the session that activate a cell's channel most."""
    grid = session.context.placement(pick.layer).grid
    if channel_axis(grid.axes) is None or len(pick.index) != len(grid.shape):
        return False
    return can_find_examples(session, pick.layer)


def can_find_examples(session: Session, layer: str) -> bool:
    """Whether the model can be asked for examples of a layer's channels, which were not captured."""
    possible = session.queries.possible and not too_few(len(session.samples.dataset))
    return possible and examples_of_layer(session.context, layer) is None


def find_gradient(session: Session) -> None:
    """Ask the model for the gradients of the sample that is shown.

    Raises
    ------
    UserError
        If there is no model to ask.
    """
    if not session.choices.find_gradients({}):
        raise UserError(f"There is no model to ask for the gradient; {NAME_IT}.")


def find_examples(session: Session, layer: str) -> None:
    """Ask the model for the samples of the session that activate the channels of a layer most.

    Raises
    ------
    UserError
        If there is no model to ask.
    """
    wanted = Insights(examples=(escape(_original(session, layer)),), dataset=session.samples.dataset)
    if not session.queries.run_for_model(wanted, ""):
        raise UserError(f"There is no model to run on the samples; {NAME_IT}.")


def _original(session: Session, layer: str) -> str:
    """Return the layer whose numbers a shown layer has, which may be a closed group."""
    return originals(session.context.capture).get(layer, layer)
