"""Choice of the layer whose channels are laid out side by side."""

from __future__ import annotations

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.scene.views.channels import unfolds


def unfoldable_layers(session: Session) -> tuple[str, ...]:
    """Return the layers whose channels can be laid out side by side; none in a scene without blocks."""
    scene = session.scene
    return tuple(node.id for node in scene.context.graph if unfolds(scene.context, node.id)) if scene.blocks else ()


def unfold_layer(page: PageContext, layer: str | None) -> None:
    """Unfold a layer and fold the others; `None` folds all.

    Raises
    ------
    UserError
        If that layer cannot be unfolded.
    """
    if layer is not None:
        asked_choice("layer to unfold", layer, unfoldable_layers(page.session))
    page.session.unfolding.start(layer)
    page.refresh()
