"""Panel for the unfolded channels of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from trame.widgets import html

from nnviz3d.apps.pick_requests import can_find_examples, find_examples
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_buttons, choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.panels.unfolding import unfold_layer, unfoldable_layers
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import ChannelOrder, ChannelPictures
from nnviz3d.scene.views.channels import ChannelsView

_ORDERS: dict[ChannelOrder, str] = {"index": "index", "mean": "mean", "contribution": "contribution"}
_PICTURES: tuple[ChannelPictures, ...] = get_args(ChannelPictures)
_NONE = ""
"""Value of the choice "no layer"."""


@dataclass(frozen=True)
class CloseUpState:
    """Values that the widgets show.

    Attributes
    ----------
    unfoldable
        The layers whose channels can be laid out side by side, after the choice of none: ``title`` and ``value``.
    unfold
        The unfolded layer; empty if there is none.
    shows_channels
        Whether the scene is about the channels of one layer.
    channel_orders, channel_order
        The orders of channels to choose from, and the chosen one.
    unfolds
        Whether the scene has channels to unfold.
    picture_kinds, channel_pictures
        What each channel can show: its map, its feature picture or its examples; and what it shows.
    pictures_elsewhere
        Sentences on pictures that only other layers have.
    examples_findable
        Whether the model can be asked for the examples of the unfolded layer.
    """

    unfoldable: list[dict[str, str]] = field(default_factory=list)
    unfolds: bool = False
    unfold: str = _NONE
    shows_channels: bool = False
    channel_orders: list[str] = field(default_factory=list)
    channel_order: str = ""
    picture_kinds: list[str] = field(default_factory=list)
    channel_pictures: str = ""
    pictures_elsewhere: list[str] = field(default_factory=list)
    examples_findable: bool = False


class CloseUpPanel(PagePanel[CloseUpState]):
    """Controls of unfolded channels; only for what the capture holds."""

    def __init__(self, page: PageContext) -> None:
        self._scene: Scene | None = None
        self._layers: tuple[str, ...] = ()
        super().__init__(page, CloseUpState())
        page.on_change("unfold", self._set_unfold)
        page.on_change("channel_order", self._set_order)
        page.on_change("channel_pictures", self._set_pictures)
        page.on_trigger("find_examples", self._find_examples)

    @property
    def _order(self) -> ChannelOrder:
        session = self.page.session
        return session.scene.get(ChannelsView).order(session.unfolding.layer or _NONE, session.selection)

    @property
    def _pictures(self) -> ChannelPictures:
        session = self.page.session
        return session.scene.get(ChannelsView).pictures(session.unfolding.layer or _NONE, session.selection)

    def synchronize(self) -> None:
        """Show the selection; fields that it leaves open as the scene sets them."""
        session, state = self.page.session, self.state
        selection, scene = session.selection, session.scene
        if scene is not self._scene:
            self._scene, self._layers = scene, unfoldable_layers(session)
            layers = ({"title": layer, "value": layer} for layer in self._layers)
            state = replace(state, unfoldable=[{"title": "no layer", "value": _NONE}, *layers])
        state = replace(state, unfolds=bool(self._layers), unfold=_NONE, shows_channels=False)
        if self._layers:
            layer = session.unfolding.layer
            state = replace(
                state,
                unfold=layer or _NONE,
                shows_channels=scene.get(ChannelsView).own_layer is not None,
                channel_orders=[name for name in _ORDERS if name in scene.get(ChannelsView).orders(selection)],
                channel_order=self._order,
                picture_kinds=[] if layer is None else list(scene.get(ChannelsView).kinds_of_pictures(layer)),
                channel_pictures=self._pictures,
                pictures_elsewhere=[] if layer is None else _sentences(scene.get(ChannelsView).elsewhere(layer)),
                examples_findable=layer is not None and can_find_examples(session, layer),
            )
        self.show(state)

    # The page and the session both change these values; a value that differs from the session's is the user's choice.

    def _set_unfold(self, unfold: str) -> None:
        if self._layers and unfold != (self.page.session.unfolding.layer or _NONE):
            unfold_layer(self.page, None if unfold in (None, _NONE) else unfold)

    def _set_order(self, channel_order: ChannelOrder) -> None:
        if self._layers and channel_order != self._order:
            self._choose("channel_order", channel_order, _ORDERS)

    def _set_pictures(self, channel_pictures: ChannelPictures) -> None:
        if self._layers and channel_pictures != self._pictures:
            self._choose("channel_pictures", channel_pictures, _PICTURES)

    def _find_examples(self) -> None:
        """Ask the model for the samples that activate the channels of the unfolded layer most."""
        if not self.state.examples_findable or not self.state.unfold:
            raise UserError("Choose a layer without examples first, in a scene with a model and several samples.")
        find_examples(self.page.session, self.state.unfold)
        self.page.session.select(channel_pictures="examples")
        self.page.refresh()

    def _choose(self, name: str, value: Any, known: Any) -> None:
        chosen: dict[str, Any] = {name: asked_choice(name.replace("_", " "), value, known)}
        self.page.select(**chosen)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="views", v_if="unfolds"):
            name = "shows_channels ? 'Layer' : 'Unfold'"
            with labelled(f"{{{{ {name} }}}}", "Layer whose channels are laid out side by side", v_if="unfolds"):
                choice_list("unfold", "unfoldable", (name,))
            words = "Order of the channels: by number, by mean activation, or by gradient times activation"
            choice_buttons("Order", "channel_order", "channel_orders", words, v_if="unfold")
            words = "Activation maps of the channels, pictures that maximize them, or samples that activate them most"
            several = "unfold && picture_kinds.length > 1"
            choice_buttons("Channels", "channel_pictures", "picture_kinds", words, v_if=several)
            with html.Template(v_if="unfold"):
                html.Div("{{ one }}", v_for="one in pictures_elsewhere", key="one", classes="faint pick-words")
                html.Button(
                    "Find the samples that activate its channels most",
                    v_if="examples_findable",
                    click="trigger('find_examples')",
                    classes="cloud-button wide",
                    id="find-examples",
                )


def _sentences(found: Mapping[ChannelPictures, str]) -> list[str]:
    return [f"{text[:1].upper()}{text[1:]}." for text in found.values()]
