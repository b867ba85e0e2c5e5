"""What is looked at more closely: the unfolded channels of a layer, and which points there are and in which colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.panels.fields import field, switched
from nnviz3d.scene.selection import ChannelOrder, ChannelPictures, ColoredBy
from nnviz3d.scene.views.channels import ChannelsView, unfolds
from nnviz3d.scene.views.points.embedding import EmbeddingView

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_ORDERS: dict[ChannelOrder, str] = {"index": "index", "mean": "mean", "contribution": "contribution"}
_PICTURES: dict[ChannelPictures, str] = {"maps": "maps", "features": "features"}
_COLORS: dict[ColoredBy, str] = {"label": "label", "prediction": "prediction"}
_NONE = ""
"""The choice of no layer."""


class Views:
    """Chooses what is unfolded, and how points are seen; what the capture does not hold has no control."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        scene = app.session.scene
        context = scene.context
        self._layers = () if not scene.blocks else tuple(node.id for node in context.graph if unfolds(context, node.id))
        self._features = any(context.capture.has_features(layer) for layer in self._layers)
        cloud = self._cloud
        self._embeddings = () if cloud is None else cloud.names
        self._colors = () if cloud is None else cloud.colors(app.session.selection)
        app.state.update({"unfold": _NONE, "channel_orders": [], "has_features": False})
        app.state.unfoldable = [
            {"title": "no layer", "value": _NONE},
            *({"title": n, "value": n} for n in self._layers),
        ]
        app.state.embeddings = list(self._embeddings)
        self.synchronize()
        for name, change in (
            ("unfold", self._set_unfold),
            ("channel_order", self._set_order),
            ("channel_pictures", self._set_pictures),
            ("embedding", self._set_embedding),
            ("colored_by", self._set_colors),
        ):
            app.state.change(name)(app.guarded(change))

    @property
    def _cloud(self) -> EmbeddingView | None:
        return self._app.session.scene.find(EmbeddingView)

    @property
    def _order(self) -> ChannelOrder:
        session = self._app.session
        return session.scene.get(ChannelsView).order(session.unfolding.layer or _NONE, session.selection)

    @property
    def _pictures(self) -> ChannelPictures:
        session = self._app.session
        return session.scene.get(ChannelsView).pictures(session.unfolding.layer or _NONE, session.selection)

    def synchronize(self) -> None:
        """Show what is selected, or else what the scene says."""
        session, state = self._app.session, self._app.state
        selection, scene = session.selection, session.scene
        if self._layers:
            state.unfold = session.unfolding.layer or _NONE
            state.channel_orders = [name for name in _ORDERS if name in scene.get(ChannelsView).orders(selection)]
            state.channel_order, state.channel_pictures = self._order, self._pictures
            layer = session.unfolding.layer
            state.has_features = layer is not None and scene.context.capture.has_features(layer)
        cloud = self._cloud
        if cloud is not None:
            state.embedding = cloud.shown(selection)
            state.colored_by = cloud.colored_by(selection)

    def toggle(self, layer: str) -> None:
        """Unfold a layer, or fold it up."""
        session = self._app.session
        self._unfold(None if session.unfolding.layer == layer else layer)

    # The pages and this program both change the state; only what differs from the session is a person's wish.

    def _set_unfold(self, unfold: str, **_: Any) -> None:
        if self._layers and unfold != (self._app.session.unfolding.layer or _NONE):
            self._unfold(unfold or None)

    def _unfold(self, layer: str | None) -> None:
        if layer is not None and layer not in self._layers:
            raise ValueError(f"The page asked to unfold {layer!r}.")
        self._app.session.unfolding.start(layer)
        self._app.refresh()

    def _set_order(self, channel_order: ChannelOrder, **_: Any) -> None:
        if self._layers and channel_order != self._order:
            self._choose("channel_order", channel_order, _ORDERS)

    def _set_pictures(self, channel_pictures: ChannelPictures, **_: Any) -> None:
        if self._layers and channel_pictures != self._pictures:
            self._choose("channel_pictures", channel_pictures, _PICTURES)

    def _set_embedding(self, embedding: str, **_: Any) -> None:
        cloud = self._cloud
        if cloud is not None and embedding != cloud.shown(self._app.session.selection):
            self._choose("embedding", embedding, self._embeddings, pick=None)

    def _set_colors(self, colored_by: ColoredBy, **_: Any) -> None:
        cloud = self._cloud
        if cloud is not None and colored_by != cloud.colored_by(self._app.session.selection):
            self._choose("colored_by", colored_by, _COLORS)

    def _choose(self, name: str, value: Any, known: Any, **more: Any) -> None:
        if value not in known:
            raise ValueError(f"The page asked for an unknown {name} {value!r}.")
        self._app.select(**{name: value}, **more)

    def build(self) -> None:
        """Make the widgets."""
        several = len(self._embeddings) > 1
        if not (self._layers or several or len(self._colors) > 1):
            return
        with html.Div(classes="section appearance", id="views"):
            if self._layers:
                with field("Unfold", "Lay the channels of a layer out side by side"):
                    v.VSelect(v_model=("unfold",), items=("unfoldable",), id="unfold", aria_label="Unfold")
                words = "In which order: by number, by mean activation, or by gradient times activation"
                switched("Order", "channel_order", "channel_orders", words, v_if="unfold")
                if self._features:
                    words = "What the channels answer here, or the pictures that drive them"
                    switched("Channels", "channel_pictures", tuple(_PICTURES), words, v_if="unfold && has_features")
            if several:
                with field("Points", "The layer by whose answers samples stand near each other"):
                    v.VSelect(v_model=("embedding",), items=("embeddings",), id="embedding", aria_label="Points")
            if len(self._colors) > 1:
                switched("Colour", "colored_by", self._colors, "Points are coloured by what they are, or are taken for")
