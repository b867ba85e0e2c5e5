"""Choose the names of a model's classes, and match the labels of samples to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.data.graph import ModelGraph, head_of
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.printable import folded
from nnviz3d.errors import SampleError

_SHOWN = 5
"""Most names that a sentence lists."""


@dataclass(frozen=True)
class ClassNames:
    """The names of a model's classes.

    Attributes
    ----------
    names
        One for each number of an output, or two for a single number; `None` if they are not known.
    notes
        Sentences about the names for readers of the capture.
    foreign
        Whether the samples' own classes differ from the model's classes.
    """

    names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()
    foreign: bool = False

    def labelled(self, samples: Samples) -> Samples:
        """Return the samples with labels that are positions among these names.

        Samples that have class names of their own, such as those from class folders, are matched by name, otherwise by
        order. If neither is possible they lose their labels, which would name wrong classes.
        """
        own = samples.classes
        if own is None or samples.labels is None or (self.names is None and not self.foreign):
            return samples
        positions = None if self.names is None else _positions(own, self.names)
        if positions is None:
            return replace(samples, labels=None, classes=None)
        known = samples.labels != NO_LABEL
        found = np.array(positions, dtype=np.int64)[np.where(known, samples.labels, 0)]
        return replace(samples, labels=np.where(known, found, NO_LABEL), classes=self.names)


def settle_names(
    given: Sequence[str] | None, samples: Samples, graph: ModelGraph, dataset: Sequence[str] | None = None
) -> ClassNames:
    """Choose the names that the user gave, or the samples' own, if their number fits the model's outputs.

    Parameters
    ----------
    given
        Names from the user or from the model file; `None` if there are none.
    dataset
        Class names of the data set that is embedded as points, if it has any.

    Raises
    ------
    SampleError
        If the number of the given names fits no output. If the model has no classes, they may be names for the samples'
        labels.
    """
    own = samples.classes or (None if dataset is None else tuple(dataset))
    if given is None:
        if own is None or _fit(len(own), graph):
            return ClassNames(own)
        if not _tells_classes(graph):
            return ClassNames(None)
        return ClassNames(None, (f"{_many(own)} are not the model's classes: {_numbers_of(graph)}.",), foreign=True)
    names = tuple(given)
    if not _fit(len(names), graph):
        named = samples.labels is not None and own is None and not _tells_classes(graph)
        if not named or (samples.labels is not None and samples.labels.max(initial=0) >= len(names)):
            raise SampleError(
                f"There {'is 1 class name' if len(names) == 1 else f'are {len(names):,} class names'}, but "
                f"{_numbers_of(graph)}; expected one name for each of its numbers, in their order."
            )
    if own is None or own == names:
        return ClassNames(names)
    positions = _positions(own, names)
    if positions is None:
        return ClassNames(
            names, (f"{_many(own)} are not among the model's classes, so the samples have no labels.",), foreign=True
        )
    if _by_name(own, names) is None and own != tuple(str(i) for i in range(len(own))):
        return ClassNames(names, (f"{_many(own)} are matched to {', '.join(names[:_SHOWN])}, in this order.",))
    return ClassNames(names)


def _positions(own: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Return the position of each of the samples' classes among the names; `None` if it is unknown."""
    matched = _by_name(own, names)
    if matched is None and len(own) == len(names):
        return list(range(len(own)))
    return matched


def _by_name(own: Sequence[str], names: Sequence[str]) -> list[int] | None:
    known = {folded(name): i for i, name in reversed(list(enumerate(names)))}
    found = [known.get(folded(name)) for name in own]
    return None if None in found else [position for position in found if position is not None]


def _fit(count: int, graph: ModelGraph) -> bool:
    """Whether an output has `count` numbers or channels; two names also fit a single number."""
    for name in graph.outputs:
        shape = graph.node(name).shape
        ends = {shape[0], shape[-1]} if shape else {1}  # channels are last or first
        if None in ends or count in {graph.node(name).size, *ends} or (count == 2 and 1 in ends):
            return True
    return False


def _tells_classes(graph: ModelGraph) -> bool:
    """Whether the numbers of the model's head certainly belong to classes."""
    head = head_of(graph)
    return head is not None and (
        graph.node(head).activation in {"softmax", "sigmoid"} or graph.node(head).kind in {"Softmax", "Sigmoid"}
    )


def _numbers_of(graph: ModelGraph) -> str:
    head = head_of(graph) or graph.outputs[-1]
    shape = graph.node(head).shape
    count = graph.node(head).size if len(shape) < 2 else shape[-1]
    return f"the output {head!r} of {graph.name} has {count} number{'s' * (count != 1)}"


def _many(own: Sequence[str]) -> str:
    return f"The samples' classes {', '.join(own[:_SHOWN])}{', ...' * (len(own) > _SHOWN)}"
