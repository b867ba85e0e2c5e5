"""Captions of a sample's story, from the input to the decision, made from the numbers of the capture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import originals
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import UserError
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.derived.time_axis import runs_over_time, shown_axes
from nnviz3d.scene.derived.token_names import row_tokens, token_at
from nnviz3d.scene.layout.sequences import Sequences
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.story.decision import Evidence, ModelDecision, decision_of, evidence
from nnviz3d.scene.story.inputs import input_sentences
from nnviz3d.scene.story.kinds import FUNCTIONS, numbers_text, what_they_do
from nnviz3d.scene.story.responses import Response, strongest_channel
from nnviz3d.scene.story.stages import Stage, stages_of
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.views.outputs import answer_of

_SHOWN = 2
"""Number of products that the caption on a decision lists for it, and against it."""
_TOGETHER, _AROUND = 6, 2
"""Maximum number of layers of a stage that the camera shows together, and that of a longer one's on each side of the told
layer."""
_ANSWERS = 3
"""Maximum number of outputs whose answers a caption has."""
_NO_NUMBERS = ("Dropout", "Flatten", "Reshape", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
"""Kinds of layers whose channels a caption does not tell if the stage has others."""


def story_of(scene: Scene, selection: Selection) -> tuple[StoryStop, ...]:
    """Return the stops of the story of a sample: 6 to 12, whatever the depth of the network.

    They are the whole network, the input, the stages of the network, what the decision rests on, the answer, and the whole
    again. Every number in a caption is one of the capture, or computed from them.

    Parameters
    ----------
    scene
        The scene that shows the network.
    selection
        Says the sample, and the step of a training.

    Raises
    ------
    UserError
        If the scene shows no layers.
    """
    if not scene.blocks:
        raise UserError("This scene shows no layers, so there is no way through them to tell of; use --scene digits.")
    return _StoryMaker(scene.as_of(scene.duration, selection), selection).stops()


class _StoryMaker:
    def __init__(self, scene: Scene, selection: Selection) -> None:
        self._scene = scene
        self._context = scene.context
        self._capture: CaptureReader = scene.capture
        self._graph = self._capture.graph
        self._sample = selection.sample
        self._runs = self._sample < self._capture.committed
        self._decision = decision_of(self._context, self._sample) if self._runs else None
        self._shown_as = {original: name for name, original in originals(self._context.capture).items()}
        """For each captured node whose numbers a block shows the node of that block: itself, or a closed group."""
        self._sequences = Sequences.of(self._graph)
        self._explained: set[str] = set()
        self._over_time = runs_over_time(self._capture)

    def stops(self) -> tuple[StoryStop, ...]:
        stages = stages_of(self._graph, self._rank, self._groups)
        return (
            self._overview(),
            self._input(),
            *map(self._stage, stages),
            self._grounds(stages),
            self._answer(),
            self._end(),
        )

    def _rank(self, layer: str) -> int:
        """Return the position of a layer, or of the closed group around it, along the flow."""
        shown = self._scene.shown(layer)
        return 0 if shown is None else self._context.plan.placements[shown].rank

    def _groups(self, layer: str) -> tuple[str, ...]:
        """Return the groups around a layer, whether they are open or closed."""
        grouping = self._context.grouping
        return (self._graph.node(layer).group,) if grouping is None else tuple(grouping.around(layer))

    @property
    def _layers(self) -> str:
        """The number of layers in words; input layers count, as in Keras and in every other list of layers."""
        count = len(self._graph)
        return f"{count:,} layer{'s' * (count != 1)}"

    # The stops.

    def _overview(self) -> StoryStop:
        graph = self._graph
        takes, gives = (
            self._shapes(names, what) for names, what in ((graph.inputs, "inputs"), (graph.outputs, "outputs"))
        )
        weights = f"{graph.parameters:,} weights" if graph.parameters else "no weights"
        return StoryStop(
            graph.name,
            (
                f"A network of {self._layers} with {weights}.",
                f"It takes {takes} and gives {gives}.",
            ),
            ranks=1,  # the sample is seen from the beginning
        )

    def _shapes(self, names: Sequence[str], what: str) -> str:
        """Write the shapes of inputs or outputs: ``28 × 28 × 1 numbers``."""
        told = ["a text" if self._is_text(name) else numbers_text(self._graph.node(name)) for name in names[:2]]
        more = len(names) - len(told)
        return " and ".join(told) + (f", and has {more:,} more {what}" if more > 0 else "")

    def _is_text(self, name: str) -> bool:
        """Whether an input takes a text, of which no numbers can be stored."""
        if not self._runs or name not in self._graph.inputs or self._capture.has_activations(name):
            return False
        return self._capture.tokens(self._sample) is not None

    def _input(self) -> StoryStop:
        inputs = self._graph.inputs
        ranks = 1 + max((self._rank(name) for name in inputs), default=0)
        sentences = input_sentences(self._capture, self._sample) if self._runs else ("No sample was run.",)
        return StoryStop(
            "The input", sentences, tuple(inputs), layer=inputs[0] if len(inputs) == 1 else None, ranks=ranks
        )

    def _stage(self, stage: Stage) -> StoryStop:
        nodes = stage.nodes
        first, *rest = what_they_do(self._graph, nodes)
        sentences: tuple[str, ...] = (first, *self._functions(nodes), *rest)
        ranks = 1 + max(self._rank(node.id) for node in nodes)
        layers = tuple(node.id for node in nodes)
        head = None if self._decision is None else self._decision.output
        if head in layers:
            return StoryStop(stage.name, sentences, layers, layer=head, ranks=ranks)
        told = self._told(nodes)
        if told is None:
            return StoryStop(stage.name, sentences, layers, ranks=ranks)
        node, found = told
        sentences += self._response(node, found, named=node is not nodes[0])
        pick = CellPick(self._shown_as.get(node.id, node.id), found.index)
        return StoryStop(stage.name, sentences, layers, near=_near(nodes, node), layer=node.id, ranks=ranks, pick=pick)

    def _functions(self, nodes: Sequence[LayerNode]) -> list[str]:
        """Explain the activation functions of some layers that no earlier stop has explained."""
        names = [node.activation or node.kind.lower() for node in nodes]
        new = [name for name in dict.fromkeys(names) if name in FUNCTIONS and name not in self._explained]
        self._explained.update(new)
        return [FUNCTIONS[name] for name in new]

    def _told(self, nodes: Sequence[LayerNode]) -> tuple[LayerNode, Response] | None:
        """Return the last layer of a stage with numbers and channels, and its strongest channel.

        A layer whose numbers are in the picture comes before one in a closed group.
        """
        if not self._runs:
            return None
        telling = [node for node in reversed(nodes) if node.kind not in _NO_NUMBERS]
        seen = [node for node in telling if node.id in self._shown_as]
        for node in dict.fromkeys(one.id for one in (*seen, *telling, *reversed(nodes))):
            if self._capture.has_activations(node):
                found = self._strongest(self._graph.node(node))
                if found is not None:
                    return self._graph.node(node), found
        return None

    def _strongest(self, node: LayerNode) -> Response | None:
        values = np.asarray(self._capture.activation(node.id, self._sample), dtype=np.float32)
        return strongest_channel(values, node.axes)

    def _response(self, node: LayerNode, found: Response, *, named: bool) -> tuple[str, ...]:
        """Tell which channel of a layer answers strongest, where, and how many are silent."""
        unit = "channel" if node.location_shape else "unit"
        shown = self._shown_as.get(node.id, node.id)
        where = f"In {shown} ({node.id}), " if shown != node.id else f"In {node.id}, " if named else ""
        sentences: list[str] = []
        which = (
            f"{unit} {found.channel} of {found.channels:,} answers strongest"
            if found.channels > 1
            else f"the one {unit} has"
        )
        colon = ":" if found.channels > 1 else ""
        if found.mean == 0:
            sentences.append(f"{where}all numbers are 0 for this sample.")
        elif not node.location_shape:
            sentences.append(f"{where}{which}{colon} {number(found.peak)}.")
        else:
            mean = f"{'mean size' if found.signed else 'mean'} {number(found.mean)}"
            sentences.append(
                f"{where}{which}{colon} {mean}, peak {number(found.peak)} {self._place(node, found.index)}."
            )
        if found.silent and found.mean and found.channels > 1:
            everywhere = " everywhere" if node.location_shape else ""
            sentences.append(f"{found.silent:,} {unit}{'s are' if found.silent > 1 else ' is'} 0{everywhere}.")
        if found.odd:
            sentences.append(f"{found.odd:,} number{'s are' if found.odd > 1 else ' is'} NaN or infinite.")
        return tuple(f"{sentence[0].upper()}{sentence[1:]}" for sentence in sentences)

    def _place(self, node: LayerNode, index: tuple[int, ...]) -> str:
        """Say where a number is, by the names of its axes: ``at row 7, column 12``, ``at token 3 “film”``."""
        axes = shown_axes(node.axes, self._over_time)
        if node.id in self._sequences.tokens:
            words = row_tokens(self._capture, self._sequences, node.id, self._sample)
            return f"at {token_at(words, index[0], backwards=node.id in self._sequences.backwards)}"
        places = [f"{axis} {i}" for axis, i in zip(axes, index, strict=True) if axis != "channel"]
        return f"at {', '.join(places)}"

    def _grounds(self, stages: Sequence[Stage]) -> StoryStop:
        """Tell what the decision rests on: the products of the sum behind the score."""
        found = self._decision
        ranks = self._context.ranks
        if found is None:
            last = stages[-1].nodes if stages else ()
            layers = tuple(node.id for node in last) or self._graph.outputs
            return StoryStop("What the answer rests on", (self._no_decision(),), layers, ranks=ranks)
        layers = tuple(dict.fromkeys((*found.sources, found.layer, found.output)))
        return StoryStop(
            f"What {found.name} rests on" if found.classifies else "What the answer rests on",
            self._sums(found),
            layers,
            layer=found.layer,
            ranks=ranks,
            pick=CellPick(found.layer, found.index),
        )

    def _no_decision(self) -> str:
        if not self._runs:
            return "No sample was run, so there is no answer to explain."
        outputs = self._graph.outputs
        if all(len(self._graph.node(name).shape) > 1 for name in outputs):
            return "The answer is a map: each of its numbers rests on a part of the layer before; click one to see its sum."
        return "The main output was not kept, or some of its numbers are NaN or infinite, so no sum explains it."

    def _sums(self, found: ModelDecision) -> tuple[str, ...]:
        capture, total = self._capture, found.sum
        if total is None:
            return (found.reason or f"The sum behind {found.name} is not known.",)
        if total.largest:
            return (f"{found.layer} takes the largest of {len(total.products):,} numbers: {number(total.total)}.",)
        bias = f" and the bias {number(total.bias)}" if total.bias else ""
        count = f"{len(total.products):,} products" if len(total.products) > 1 else "1 product"
        begins = f"{found.layer} adds up {count}{bias}: {number(total.total)}"
        positive, negative = evidence(capture, found.sources, total, total.products, _SHOWN)
        if found.against:
            positive, negative = negative, positive
        words = [f"{begins}."]
        favour, counter = ("for it", "against it") if found.classifies else ("up", "down")
        if positive:
            words.append(f"Most {favour}: {_listed(positive)}.")
        if negative:
            words.append(f"Most {counter}: {_listed(negative)}.")
        words += self._lead(found, total)
        return tuple(words)

    def _lead(self, found: ModelDecision, total: CellSum) -> list[str]:
        """Tell what the lead of the chosen class over the runner-up owes most to."""
        margin, other = found.margin, found.other_sum
        if margin is None or other is None or found.runner_up is None:
            return []
        best, _ = evidence(self._capture, found.sources, total, margin, 1)
        bias = total.bias - other.bias
        words, value = "the bias", bias
        if best and best[0].product >= bias:
            words, value = best[0].text, best[0].product
        lead = total.total - other.total
        return [f"Its lead of {number(lead)} over {found.runner_up[0]} owes most to {words} ({_signed(value)})."]

    def _answer(self) -> StoryStop:
        context, outputs = self._context, self._context.graph.outputs
        ranks = self._context.ranks
        if not self._runs:
            return StoryStop(
                "The answer", ("No sample was run, so there is no answer.",), self._graph.outputs, ranks=ranks
            )
        found, sentences = self._decision, []
        if found is not None and found.classifies:
            sentences.append(f"The model says {found.name} ({score(found.value)}).")
            if found.runner_up is not None:
                sentences.append(f"The runner-up is {found.runner_up[0]} ({score(found.runner_up[1])}).")
            sentences += self._truth(found)
        others = [
            name for name in outputs if found is None or not found.classifies or name != self._scene.shown(found.output)
        ]
        told = [name for name in others if context.capture.has_activations(name)]
        answers = [answer_of(context, name, self._sample) for name in told[:_ANSWERS]]
        sentences += [f"{answer[0].upper()}{answer[1:]}." if not sentences else f"Also {answer}." for answer in answers]
        more = len(told) - _ANSWERS
        if more > 0:
            sentences.append(f"{more:,} more outputs are not listed.")
        if not sentences:
            sentences.append("The numbers of the outputs were not kept.")
        layer = found.output if found is not None else None
        layers = (found.output,) if found is not None and len(outputs) == 1 else self._graph.outputs
        return StoryStop("The answer", tuple(sentences), layers, layer=layer, ranks=ranks)

    def _truth(self, found: ModelDecision) -> list[str]:
        """Compare the chosen class with the sample's label, if it has one."""
        label = self._capture.label(self._sample)
        if label is None or found.chosen is None:
            return []
        right = label == found.chosen
        return [
            f"Its label is {class_name(self._capture.classes, label)}: the model is {'right' if right else 'wrong'}."
        ]

    def _end(self) -> StoryStop:
        layers, ranks = self._layers, self._context.ranks
        name = self._capture.sample_name(self._sample) if self._runs else ""
        found = self._decision
        if found is not None:
            answer = (
                f"{found.name} ({score(found.value)})" if found.classifies else f"{found.name} = {score(found.value)}"
            )
            sentence = f"{name} has passed {layers}; the answer is {answer}."
        elif self._runs:
            sentence = f"{name} has passed {layers}."
        else:
            sentence = f"The whole network: {layers}."
        return StoryStop("From input to decision", (sentence,), ranks=ranks)


def _near(nodes: Sequence[LayerNode], node: LayerNode) -> tuple[str, ...]:
    """Return the layers around one of a long stage's layers; none if the stage is short enough to be seen at once."""
    if len(nodes) <= _TOGETHER:
        return ()
    at = nodes.index(node)
    return tuple(one.id for one in nodes[max(at - _AROUND, 0) : at + _AROUND + 1])


def _listed(found: Sequence[Evidence]) -> str:
    """List products; the name of a layer that all come from stands at the end."""
    layers = {one.layer for one in found}
    if len(layers) > 1:
        return " and ".join(f"{one.text} ({_signed(one.product)})" for one in found)
    listed = " and ".join(f"{one.words} ({_signed(one.product)})" for one in found)
    return listed + "".join(f" of {layer}" for layer in layers if layer)


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
