"""Panel of the dead channels of all layers: looks for them when it is asked to, lists them, and shows one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from trame.widgets import html

from nnviz3d.apps.layer_search import FoundPlace, show_place
from nnviz3d.apps.web.option_names import build_sentences
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_index
from nnviz3d.errors import UserError

_FEW = 7
"""Channels of a layer that are shown at first."""
_MOST = 400
"""Most channels of a layer that are listed."""


@dataclass(frozen=True)
class DeadChannelsState:
    """Values that the widgets show.

    Attributes
    ----------
    dead_title, dead_extent
        The heading, and what the channels are, such as ``0 for all 10 samples``.
    dead_layers
        The layers with such channels: ``layer``, ``short`` and ``words`` on their number, the first
        ``channels``, the number ``rest`` of those that are not shown at first, and ``more`` of those that are not listed.
    dead_remarks
        Sentences on what was not found.
    dead_offer, dead_offer_told
        The words of the button that begins to look, and what it does; empty if there is nothing to look for.
    dead_busy
        What is being done; empty if nothing is.
    """

    dead_title: str = "Dead channels"
    dead_extent: str = ""
    dead_layers: list[dict[str, Any]] = field(default_factory=list)
    dead_remarks: str = ""
    dead_offer: str = ""
    dead_offer_told: str = ""
    dead_busy: str = ""


class DeadChannelsPanel(PagePanel[DeadChannelsState]):
    """The dead channels of all layers; a click selects one and flies to it."""

    def __init__(self, page: PageContext) -> None:
        self._working = False
        super().__init__(page, DeadChannelsState())
        page.client_only(dead_all="", dead_folded=False)
        page.on_trigger("find_dead", self._find)
        page.on_trigger("stop_dead", self._stop)
        page.on_trigger("show_dead", self._show_channel)

    def synchronize(self) -> None:
        """Show what is known, and what can be looked for."""
        finder = self.page.session.dead
        finder.take()
        samples, busy = finder.offer, finder.busy
        dead = finder.dead
        one_sample = max((one.count for one in finder.layers), default=0) == 1
        offer = ""
        if samples and not busy:
            offer = f"Look at {_samples(samples)}" if finder.extent else "Find in all layers"
        reads = f"Runs the model on {_samples(samples)}" if finder.runs_model else f"Reads {_samples(samples)}"
        self.show(
            DeadChannelsState(
                "Channels that are 0" if one_sample else "Dead channels",
                finder.extent,
                [
                    {
                        "layer": one.layer,
                        "short": f"{len(one.channels):,} of {one.total:,}",
                        "words": f"{len(one.channels):,} of {one.total:,} channels are {one.words}",
                        "channels": list(one.channels[:_MOST]),
                        "rest": f"{len(one.channels) - _FEW:,}",
                        "more": f"{len(one.channels) - _MOST:,}" if len(one.channels) > _MOST else "",
                    }
                    for one in dead
                ],
                finder.remarks,
                offer,
                f"{reads}, and lists the channels of all layers that are 0 for each of them" if offer else "",
                busy,
            )
        )

    def _find(self) -> None:
        self.page.session.dead.look()
        self._work()
        self.page.synchronize()

    def _stop(self) -> None:
        self.page.session.dead.cancel()
        self.page.synchronize()

    def _work(self) -> None:
        """Read in another thread, piece by piece, until all is read."""
        finder = self.page.session.dead
        if self._working or not finder.searching:
            return

        def worked(future: asyncio.Future[None]) -> None:
            self._working = False
            if future.cancelled():
                return
            error = future.exception()
            if isinstance(error, Exception):
                finder.cancel()
                self.page.report(error)
                return
            self.page.synchronize()
            self._work()

        self._working = True
        asyncio.get_running_loop().run_in_executor(None, finder.work).add_done_callback(worked)

    def _show_channel(self, layer: Any, channel: Any = None) -> None:
        """Select a layer of the list, or one of its channels."""
        found = {one.layer: one for one in self.page.session.dead.dead}
        one = found[asked_choice("layer", layer, found)]
        if channel is not None and asked_index("channel", channel, one.total) not in one.channels:
            raise UserError(f"Channel {channel} of {one.layer} is not in the list.")
        self.page.group = None
        show_place(self.page.session, FoundPlace(one.layer, "", channel))
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section dead", id="dead", v_if="dead_offer || dead_busy || dead_extent || dead_remarks"):
            with html.Div(classes="dead-head"):
                html.Span("{{ dead_title }}", classes="section-title")
                html.Button(
                    "{{ dead_offer }}",
                    v_if="dead_offer",
                    click="trigger('find_dead'); dead_folded = false",
                    title=("dead_offer_told",),
                    classes="action",
                    id="find-dead",
                    type="button",
                )
                html.Button(
                    "{{ dead_folded ? 'Show' : 'Hide' }}",
                    v_if="dead_layers.length && !dead_offer",
                    click="dead_folded = !dead_folded",
                    title=("dead_folded ? 'Show the list' : 'Hide the list'",),
                    classes="dead-fold faint",
                    id="fold-dead",
                    type="button",
                )
            html.Div(
                "Channels that are {{ dead_extent }}", v_if="dead_layers.length", classes="faint", id="dead-extent"
            )
            with html.Div(v_if="dead_layers.length && !dead_folded", classes="dead-layers", id="dead-layers"):
                with html.Div(v_for="one in dead_layers", key="one.layer", classes="dead-layer"):
                    with html.Button(
                        classes="dead-name",
                        click="trigger('show_dead', [one.layer]).then(() => window.nnviz3dWay?.fly())",
                        title=("`${one.layer}: ${one.words}`",),
                        type="button",
                    ):
                        html.Span("{{ one.layer }}", classes="line")
                        html.Span("{{ one.short }}", classes="faint")
                    with html.Div(classes="dead-chips"):
                        html.Button(
                            "{{ channel }}",
                            v_for=f"channel in dead_all === one.layer ? one.channels : one.channels.slice(0, {_FEW})",
                            key="channel",
                            classes="dead-chip",
                            click="trigger('show_dead', [one.layer, channel]).then(() => window.nnviz3dWay?.fly())",
                            title=("`Fly to channel ${channel} of ${one.layer}`",),
                            type="button",
                        )
                        html.Button(
                            "{{ dead_all === one.layer ? 'fewer' : `+${one.rest}` }}",
                            v_if=f"one.channels.length > {_FEW}",
                            classes="dead-chip more",
                            click="dead_all = dead_all === one.layer ? '' : one.layer",
                            title=("dead_all === one.layer ? 'Show fewer channels' : 'Show all channels'",),
                            type="button",
                        )
                        html.Span("and {{ one.more }} more", v_if="one.more && dead_all === one.layer", classes="faint")
            with html.Div(v_if="dead_remarks", classes="faint dead-words", id="dead-remarks"):
                build_sentences("dead_remarks")
            with html.Div(v_if="dead_busy", classes="dead-busy", role="status", id="dead-busy"):
                html.Span("{{ dead_busy }}", classes="faint")
                html.Button("Stop", click="trigger('stop_dead')", classes="action", id="stop-dead", type="button")


def _samples(count: int) -> str:
    return f"{count:,} sample{'s' * (count != 1)}"
