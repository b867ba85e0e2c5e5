"""The dead channels of all layers of a session: from stored examples, from captured samples, or from a run of the model."""

from __future__ import annotations

from glob import escape

from nnviz3d.analysis.statistics import can_die
from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.samples import SampleList
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.request import Insights
from nnviz3d.data.training import StepRecords
from nnviz3d.scene.derived.channel_search import ChannelSearch
from nnviz3d.scene.derived.dead_channels import DeadChannels, dead_by_examples

MOST_RUN = 200
"""Most samples on which the model is run to look for dead channels."""
_PIECE = 0.03
"""Seconds of one piece of the work."""
_FEW = 10
"""Fewer samples than these hardly tell which channels are dead."""
_NAMED = 4
"""Most layers that a sentence names."""


class DeadChannelFinder:
    """Finds the channels of all layers that are 0 for all samples. Nothing is read or run before `look` is called.

    `look` reads the numbers of the captured samples in pieces: call `work` while `searching`. If the session has more
    samples than the capture, and a model to ask, the model is run on them instead.

    Parameters
    ----------
    frame
        The frame, whose capture is read.
    samples
        The samples of the session.
    queries
        Queries to the model.
    """

    def __init__(self, frame: FrameState, samples: SampleList, queries: ModelQueries) -> None:
        self._frame = frame
        self._samples = samples
        self._queries = queries
        self._search: tuple[StepRecords | None, ChannelSearch] | None = None
        self._kept: tuple[StepRecords | None, ChannelSearch] | None = None
        self._asked: Insights | None = None
        self._listed: tuple[tuple[object, ...], tuple[DeadChannels, ...]] = ((), ())
        self._shown = -1

    # What is known.

    @property
    def layers(self) -> tuple[DeadChannels, ...]:
        """The layers that were looked at, in the graph's order; of two results for one layer, that of more samples."""
        capture, search = self._frame.scene.capture, self._current()
        key = (capture, search)
        if len(self._listed[0]) != 2 or any(a is not b for a, b in zip(self._listed[0], key, strict=True)):
            found = {one.layer: one for one in self._stored}
            for one in () if search is None else search.found:
                if one.layer not in found or found[one.layer].count <= one.count:
                    found[one.layer] = one
            self._listed = (key, tuple(found[node.id] for node in capture.graph if node.id in found))
        return self._listed[1]

    @property
    def dead(self) -> tuple[DeadChannels, ...]:
        """The layers with dead channels, of those whose activation can be exactly 0."""
        graph = self._frame.scene.capture.graph
        return tuple(one for one in self.layers if one.channels and can_die(graph.node(one.layer)))

    @property
    def extent(self) -> str:
        """Words for the channels of `dead`, such as ``0 for all 10 samples``; empty if no layer was looked at."""
        return "; ".join(dict.fromkeys(one.words for one in self._of_interest))

    @property
    def remarks(self) -> str:
        """Sentences on a search without a result, on layers that were not looked at, and on few samples."""
        layers, search = self._of_interest, self._current()
        if not layers and search is None:
            return ""
        told = []
        if not layers:
            told.append("No layer was looked at: none has an activation, such as ReLU, that can be 0 for all samples.")
        elif not self.dead:
            told.append(f"None in {_layers(len(layers))} with an activation, such as ReLU, that can be 0.")
        left = [] if search is None else [name for name in search.left_out if name not in {x.layer for x in layers}]
        if left:
            whose = "its" if len(left) == 1 else "their"
            told.append(f"{_layers(len(left))} not looked at: {whose} numbers were not kept.")
        looked = max((one.count for one in layers), default=_FEW)
        if looked < _FEW:
            few = "One sample does not tell" if looked == 1 else f"{looked} samples hardly tell"
            told.append(f"{few} which channels are dead: open more with --input.")
        return " ".join(told)

    # The search.

    @property
    def offer(self) -> int:
        """The number of samples at which `look` would look; 0 if that would tell nothing new."""
        captured, runs = len(self._indices), self._to_run
        if runs is not None:
            return len(runs.dataset)
        known = {one.layer: one.count for one in self.layers}
        capture = self._frame.scene.capture
        more = (known.get(n.id, 0) < captured for n in capture.graph if can_die(n) and capture.has_activations(n.id))
        return captured if any(more) else 0

    @property
    def runs_model(self) -> bool:
        """Whether `look` would run the model."""
        return self._to_run is not None

    @property
    def searching(self) -> bool:
        """Whether `work` has something to read."""
        return self._search is not None

    @property
    def busy(self) -> str:
        """Words for the search that goes on, with its share; empty if there is none."""
        if self._search is not None:
            return f"Looking for dead channels · {self._search[1].share:.0%}"
        if self._asked is None or not self._queries.asks_for(self._asked):
            return ""
        share = self._queries.share
        words = f"Running the model on {len(self._asked.dataset):,} samples"
        return words if share is None else f"{words} · {share:.0%}"

    def look(self) -> None:
        """Begin to look for dead channels."""
        wanted = self._to_run
        if wanted is None:
            capture = without_groups(self._frame.context.capture)
            self._search = capture.step_records, ChannelSearch(capture, sorted(self._indices))
        elif self._queries.run_for_model(wanted, ""):
            self._asked = wanted

    def work(self) -> None:
        """Read for a moment; any thread may call it, one at a time."""
        if self._search is not None:
            self._search[1].work(_PIECE)

    def cancel(self) -> None:
        """Stop looking; what was found before stays."""
        self._search = None
        if self._asked is not None and self._queries.asks_for(self._asked):
            self._queries.stop()
        self._asked = None

    def take(self) -> bool:
        """Take the result of a search that has ended since the last call; returns whether there is one."""
        if self._search is not None and self._search[1].done:
            self._kept, self._search = self._search, None
            self._shown = -1
            return True
        if self._asked is not None and not self._queries.asks_for(self._asked):
            self._asked, self._shown = None, -1
            return bool(self._of_interest)
        return False

    def next(self) -> tuple[DeadChannels, int, str] | None:
        """Return the next dead channel, around the end: its layer, its number, and a sentence; `None` if there is none."""
        places = [(one, channel) for one in self.dead for channel in one.channels]
        if not places:
            return None
        self._shown = (self._shown + 1) % len(places)
        one, channel = places[self._shown]
        return one, channel, f"{one.layer} channel {channel}: {one.words} · {self._shown + 1:,} of {len(places):,}"

    @property
    def summary(self) -> str:
        """One sentence on all layers."""
        dead = self.dead
        if not dead:
            return self.remarks
        few = ", ".join(f"{one.layer} {len(one.channels):,}" for one in dead[:_NAMED])
        more = f" and {_layers(len(dead) - _NAMED)} more" if len(dead) > _NAMED else ""
        return f"Channels that are {self.extent}: {few}{more}"

    def _current(self) -> ChannelSearch | None:
        """Return the last search, unless another step of the training is shown now."""
        if self._kept is None or self._kept[0] != without_groups(self._frame.context.capture).step_records:
            return None
        return self._kept[1]

    @property
    def _stored(self) -> tuple[DeadChannels, ...]:
        """The dead channels of the layers of which the capture holds examples."""
        capture = self._frame.scene.capture
        return self._frame.scene.context.memo.get(capture, ("dead",), lambda: dead_by_examples(capture))

    @property
    def _of_interest(self) -> list[DeadChannels]:
        graph = self._frame.scene.capture.graph
        return [one for one in self.layers if can_die(graph.node(one.layer))]

    @property
    def _indices(self) -> set[int]:
        return {one.index for one in self._samples if one.index is not None}

    @property
    def _to_run(self) -> Insights | None:
        """The request to the model; `None` if it could not tell more than the captured samples."""
        sources = self._samples.dataset[:MOST_RUN]
        known = {one.layer for one in self._stored}
        layers = [n.id for n in self._frame.scene.capture.graph if can_die(n) and n.id not in known]
        if not layers or len(sources) <= len(self._indices) or not self._queries.possible:
            return None
        return Insights(examples=tuple(map(escape, layers)), dataset=sources)


def _layers(count: int) -> str:
    return f"{count:,} layer{'s' * (count != 1)}"
