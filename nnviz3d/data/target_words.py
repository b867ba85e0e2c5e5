"""Find the target that a user names: a class by number or name, any number of an output, or the model's own answer.

The capture process, ready captures and ``--class`` all use `find_target`, so a word means the same everywhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace

from nnviz3d.data.axes import CHANNEL
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.graph import ModelGraph, head_of
from nnviz3d.data.printable import folded, read_integer
from nnviz3d.data.targets import PREDICTED, Target, region_of
from nnviz3d.errors import ModelError

_SHOWN = 10
"""Most class names that a sentence lists."""
_NOT = "not "
"""Prefix that negates a target."""


def find_target(word: str, graph: ModelGraph, classes: Sequence[str] | None) -> Target | None:
    """Return the target that a word names; `None` for ``predicted``, the model's own answer.

    A word is one of:

    - ``5``: the number of a class of the model's head,
    - ``Golden Retriever``: the name of a class; upper and lower case are equal, and so are spaces and underscores,
    - ``dense_1[5]``: any number of an output; the name of a nested model or a wrapper stands for the one output inside,
    - ``mask[2:10,5:20,3]``: the mean over a part of an output, as an index of NumPy; ``mask[...,3]`` is channel 3 over the
      whole map,
    - ``not`` and one of these: the negated number,
    - ``class 5``, if the classes have no names, or the name of an output of one number: the words of labels.

    If no output is a vector, a class is a channel of the last output, over the whole map.

    If the head is a single number that tells two classes apart, the second class is that number, and the first class is
    its negation.

    Parameters
    ----------
    classes
        Names of the classes, if known.

    Raises
    ------
    ModelError
        If the model has no such target; the sentence says what it has.
    """
    asked = word.strip()
    if asked == PREDICTED:
        return None
    rest = asked[len(_NOT) :]
    if asked.casefold().startswith(_NOT) and not _is_class(asked, classes):
        target = _find(rest.strip(), graph, classes)
        return replace(target, against=not target.against)
    return _find(asked, graph, classes)


def _find(asked: str, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    """Find a target that is named without ``not``."""
    told = Target.of_text(asked)
    if told is not None:
        told = replace(told, output=_output(told.output, graph))
    if told is not None and told.output in graph.outputs:
        return _region(told, graph) if told.region else _within(told, graph, None)
    if _is_class(asked, classes) or told is None or told.against:
        single = asked in graph.outputs and graph.node(asked).size == 1 and not asked.isdecimal()
        return Target(asked, 0) if single and not _is_class(asked, classes) else _class(asked, graph, classes)
    outputs = ", ".join(graph.outputs)
    raise ModelError(
        f"{quoted(told.output)!r} is no output of {graph.name}; expected one of {outputs}, as in {example(graph)}."
    )


def _output(name: str, graph: ModelGraph) -> str:
    """Return the output inside the nested model or wrapper of this name, if there is one; else the name itself."""
    inside = [output for output in graph.outputs if output.startswith(f"{name}/")]
    return name if name in graph.outputs or len(inside) != 1 else inside[0]


def _is_class(asked: str, classes: Sequence[str] | None) -> bool:
    return folded(asked) in map(folded, classes or ())


def search_text(name: str) -> str:
    """Return the text that a list searches for a class name, which users type with spaces or with underscores."""
    return " ".join(dict.fromkeys((name, name.replace(" ", "_"), name.replace("_", " "))))


def head(graph: ModelGraph) -> str:
    """Return the output whose numbers are the model's answer.

    Raises
    ------
    ModelError
        If no output is a vector or a single number.
    """
    found = head_of(graph)
    if found is None:
        over = "" if map_of(graph) is None else ", or a class over the whole map, as in 0"
        raise ModelError(
            f"No output of {graph.name} is a vector, so it has no answer to explain; name one of an output's numbers "
            f"with --class, as in {example(graph)}{over}."
        )
    return found


def example(graph: ModelGraph) -> str:
    """Return a word for a number of an output, to show users how to name one."""
    return f"{graph.outputs[-1]}[0]"


def map_of(graph: ModelGraph) -> str | None:
    """Return the output whose channels are classes at each location, if no output is a vector; `None` for other models."""
    last = graph.node(graph.outputs[-1])
    channels = last.channels
    return last.id if head_of(graph) is None and CHANNEL in last.axes and len(last.shape) > 1 and channels else None


def map_targets(graph: ModelGraph) -> list[Target]:
    """Return the channels of a model's map, each over the whole map; none if an output is a vector."""
    over = map_of(graph)
    node = None if over is None else graph.node(over)
    if over is None or node is None or None in node.shape:
        return []
    return [_channel(over, index, graph, None) for index in range(node.channels or 0)]


def _region(target: Target, graph: ModelGraph) -> Target:
    """Return the target with its region in full.

    Raises
    ------
    ModelError
        If the output has no such part.
    """
    shape = graph.node(target.output).shape
    known = [n for n in shape if n is not None]
    if len(known) != len(shape):
        raise ModelError(f"The shape of {target.output!r} is not known before it runs, so none of it can be explained.")
    try:
        return replace(target, region=region_of(target.region, known))
    except ValueError as error:
        sizes = ", ".join(map(str, known))
        raise ModelError(
            f"{target.output!r} has no part [{quoted(target.region)}]: {error}; its shape is ({sizes})."
        ) from None


def _channel(output: str, index: int, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    """Return the target of a channel over a whole map."""
    node = graph.node(output)
    count = node.channels or 0
    if not 0 <= index < count:
        names = f" ({_listed(classes)})" if classes else ""
        raise ModelError(f"{graph.name} has no class {index}; expected a number from 0 to {count - 1}{names}.")
    region = ",".join(str(index) if axis == CHANNEL else ":" for axis in node.axes)
    return _region(Target(output, 0, region=region), graph)


def two_classes(graph: ModelGraph, classes: Sequence[str] | None, output: str) -> tuple[str, str] | None:
    """Return the names of the two classes that a single number tells apart: the class for 0, then the class for 1."""
    if classes is None or len(classes) != 2 or graph.node(output).size != 1:
        return None
    return classes[0], classes[1]


def _class(asked: str, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    """Find a class of the head by its number or name, or a channel of a map."""
    over = map_of(graph)
    if over is not None:
        known = classes if classes is not None and len(classes) == graph.node(over).channels else None
        number = re.fullmatch(r"(?:class )?-?\d+" if known is None else r"-?\d+", asked)
        index = _class_named(asked, known, graph) if number is None else read_integer(asked.removeprefix("class "))
        return _channel(over, index, graph, known)
    output = head(graph)
    two = two_classes(graph, classes, output)
    known = classes if two is not None or (classes is not None and len(classes) == graph.node(output).size) else None
    number = re.fullmatch(r"(?:class )?-?\d+" if known is None else r"-?\d+", asked)
    if number is None:
        index = _class_named(asked, known, graph)
    else:
        index = read_integer(asked.removeprefix("class "))
        if two is None:
            return _within(Target(output, index), graph, known)
        if index not in (0, 1):
            raise ModelError(f"{graph.name} has no class {quoted(asked)}; expected 0 or 1 ({_listed(two)}).")
    return Target(output, index) if two is None else Target(output, 0, against=index == 0)


def _within(target: Target, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    """Return the target if its output has such a number."""
    size = graph.node(target.output).size
    if size == 0:
        raise ModelError(f"The shape of {target.output!r} is not known before it runs, so none of it can be explained.")
    if 0 <= target.index < size:
        return target
    what = f"{graph.name} has no class {target.index}" if classes else f"{target.output!r} has no number {target.index}"
    names = f" ({_listed(classes)})" if classes else ""
    raise ModelError(f"{what}; expected a number from 0 to {size - 1}{names}.")


def _class_named(name: str, classes: Sequence[str] | None, graph: ModelGraph) -> int:
    if classes is None:
        raise ModelError(
            f"The classes of {graph.name} have no names, so there is no {quoted(name)!r}; "
            "give a number, as in 0, or their names with --classes."
        )
    known = [folded(one) for one in classes]
    found = [i for i, one in enumerate(known) if one == folded(name)]
    if len(found) > 1:
        raise ModelError(
            f"The classes {' and '.join(str(i) for i in found)} are both called {quoted(name)!r}; give the number."
        )
    if found:
        return found[0]
    close = difflib.get_close_matches(folded(name), known, n=3, cutoff=0.5)
    if close:
        meant = " or ".join(classes[known.index(one)] for one in close)
        raise ModelError(f"{graph.name} has no class {quoted(name)!r}; did you mean {meant}?")
    raise ModelError(f"{graph.name} has no class {quoted(name)!r}; its classes are {_listed(classes)}.")


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: _SHOWN - 1])}, ... {names[-1]}"
