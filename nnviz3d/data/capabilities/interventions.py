"""Interventions: a second run of each sample in which some numbers are muted, scaled, frozen or painted over."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, split_names
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.minus_sign import with_minus
from nnviz3d.data.storage.schema import split_id
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

Action = Literal["mute", "scale", "freeze", "paint"]
_GROUP = "interventions"
_ARROW = "->"
_BY = " by "
_PLACE = re.compile(r"(?P<layer>[^\[\]]+?)\s*(?:\[(?P<index>[\d\s,]*)\])?")


@dataclass(frozen=True)
class Intervention:
    """A change of numbers during a run of the model, whose weights stay as they are.

    Parameters
    ----------
    layer
        Node id of the layer whose output changes.
    unit
        The only unit that changes: a neuron, or a channel at all of its locations.
    index
        The only number that changes, by its position in the output of one sample. Without `unit` and `index`, the whole
        output changes.
    action
        ``mute`` makes the numbers 0, ``scale`` multiplies them by `factor`, ``freeze`` keeps them as they are without
        any intervention, whatever changes before them, and ``paint`` puts the opaque pixels of `picture` over an input.
    factor
        The factor of ``scale``.
    reader
        Node id of a layer that reads the output: only what goes along this edge changes, and all other readers get the
        unchanged numbers. Empty: all readers.
    reader_unit, reader_index
        The only unit, or the only number, of the reader's output for which its input changes, as `unit` and `index` for
        the layer's own: with both ends a single weight, or the kernel from one channel to another.
    picture
        Path of the picture of ``paint``, of the input's height and width; where it is transparent nothing changes.
    digest
        SHA-256 of that file, as a capture tells it: a run with another content of the file is refused. Two interventions
        are equal whatever their digests.
    """

    layer: str
    unit: int | None = None
    index: tuple[int, ...] = ()
    action: Action = "mute"
    factor: float = 0.0
    reader: str = ""
    reader_unit: int | None = None
    reader_index: tuple[int, ...] = ()
    picture: str = ""
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if (self.unit is not None and self.index) or (self.reader_unit is not None and self.reader_index):
            raise ValueError("an intervention changes one unit or one number; give unit or index, not both")
        if any(n < 0 for n in (*self.index, self.unit or 0, *self.reader_index, self.reader_unit or 0)):
            raise ValueError("units and indices of an intervention count from 0")
        if self.of_reader and not self.reader:
            raise ValueError("a unit or an index of the reader needs the reader")
        if (self.action == "paint") != bool(self.picture) or (self.picture and (self.place != self.layer)):
            raise ValueError("paint takes a picture, and changes a whole input for all readers")
        if not math.isfinite(self.factor):
            raise ValueError("the factor of an intervention is a finite number")

    @property
    def of_reader(self) -> tuple[int, ...]:
        """The unit or the index of the reader's output that alone gets the change; empty: all of it."""
        return self.reader_index or (() if self.reader_unit is None else (self.reader_unit,))

    @property
    def place(self) -> str:
        """The changed numbers as the options take them: ``conv2d[3]``, ``conv2d[0,5,3]``, ``conv2d[3]->dense[4]``."""
        index = self.index or (() if self.unit is None else (self.unit,))
        read = f"{_ARROW}{self.reader}{_brackets(self.of_reader)}" if self.reader else ""
        return f"{self.layer}{_brackets(index)}{read}"

    @property
    def text(self) -> str:
        """The intervention in words, as a scene file has it: ``mute conv2d[3]``, ``scale conv2d[3] by -2``."""
        return f"{self.action} {self.place}" + (f"{_BY}{_exact(self.factor)}" if self.action == "scale" else "")

    @property
    def shown_text(self) -> str:
        """The intervention in words, as people see it, with a minus sign: ``scale conv2d[3] by −2``."""
        words, by, factor = self.text.rpartition(_BY) if self.action == "scale" else (self.text, "", "")
        return f"{words}{by}{with_minus(factor)}"

    @property
    def option(self) -> str:
        """The value of the option named after the action: ``conv2d[3]``, ``conv2d[3]=0.5``, ``image=patch.png``."""
        value = {"scale": _exact(float(self.factor)), "paint": self.picture}.get(self.action)
        return self.place if value is None else f"{self.place}={value}"

    @property
    def in_words(self) -> bool:
        """Whether `text` says everything about it, so that `of_text` reads it again: it is no paint, for example."""
        try:
            return Intervention.of_text(self.text) == self
        except UserError:
            return False

    @staticmethod
    def of_text(text: str) -> Intervention:
        """Read an intervention from its `text`.

        Raises
        ------
        UserError
            If it is no such text, or that of paint.
        """
        match text.split(" ", 1):
            case ["mute", place]:
                return Intervention.at(place)
            case ["freeze", place]:
                return Intervention.at(place, "freeze")
            case ["scale", rest]:
                place, _, factor = rest.rpartition(_BY)
                with suppress(ValueError):
                    return Intervention.at(place, "scale", float(factor))
        raise UserError(
            f"{quoted(text)!r} is no intervention; expected mute conv2d[3], scale conv2d[3] by 0.5 or freeze conv2d."
        )

    @staticmethod
    def at(place: str, action: Action = "mute", factor: float = 0.0) -> Intervention:
        """Read the place of an intervention as the options take it; a single number in brackets is a unit.

        Raises
        ------
        UserError
            If it is no place.
        """
        changed, arrow, read = place.partition(_ARROW)
        layer, reader = _end(changed), _end(read) if arrow else ("", None, ())
        if layer is None or reader is None:
            raise UserError(
                f"{quoted(place)!r} is no place in a network; expected a layer, one of its units as in conv2d[3], one "
                f"number as in conv2d[0,5,3], or an edge as in conv2d[3]{_ARROW}dense or conv2d[3]{_ARROW}conv2d_1[7]."
            )
        return Intervention(*layer, action, factor, *reader)


def _exact(number: float) -> str:
    """Write a number in the fewest digits by which it is read again."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _brackets(index: Sequence[int]) -> str:
    return f"[{','.join(map(str, index))}]" if index else ""


def _end(text: str) -> tuple[str, int | None, tuple[int, ...]] | None:
    """Read one end of a place as layer, unit and index; `None` if it is none."""
    found = _PLACE.fullmatch(text.strip())
    numbers = None if found is None or found["index"] is None else found["index"].split(",")
    if found is None or (numbers is not None and not all(n.strip() for n in numbers)):
        return None
    index = tuple(int(n) for n in numbers or ())
    return (found["layer"], index[0], ()) if len(index) == 1 else (found["layer"], None, index)


@dataclass(frozen=True, kw_only=True)
class InterventionFields:
    """Fields of the request.

    Attributes
    ----------
    interventions
        All changes of the second run. Of several that change the same number, the last one counts.
    """

    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True)
class InterventionOptions(CaptureOptions):
    """Options for interventions."""

    mute: Annotated[
        tuple[str, ...],
        "Run each sample again with numbers set to 0: a layer, conv2d[3], conv2d[0,5,3] or conv2d[3]->dense.",
    ] = ()
    scale: Annotated[tuple[str, ...], "Run each sample again with numbers multiplied, as in conv2d[3]=0.5."] = ()
    freeze: Annotated[
        tuple[str, ...], "Run each sample again with numbers that keep their values, whatever changes before them."
    ] = ()
    paint: Annotated[
        tuple[str, ...], "Run each sample again with a picture's opaque pixels over an input, as in image=patch.png."
    ] = ()

    def request_fields(self) -> Mapping[str, Any]:
        """Return the interventions."""
        return {"interventions": self.interventions()}

    def interventions(self) -> tuple[Intervention, ...]:
        """Return what the options change.

        Raises
        ------
        UserError
            If an option is no place in a network, or has no factor or picture.
        """
        return (
            *map(Intervention.at, split_names(self.mute)),
            *map(_scaled, split_names(self.scale)),
            *(Intervention.at(place, "freeze") for place in split_names(self.freeze)),
            *map(_painted, self.paint),
        )


def _scaled(text: str) -> Intervention:
    """Read a place and its factor, ``conv2d[3]=0.5``."""
    place, _, factor = text.rpartition("=")
    try:
        return Intervention.at(place, "scale", float(factor))
    except ValueError:
        raise UserError(
            f"--scale takes a place and a finite factor, as in conv2d[3]=0.5; got {quoted(text)!r}."
        ) from None


def _painted(text: str) -> Intervention:
    """Read an input and its picture, ``image=patch.png``."""
    layer, _, picture = text.partition("=")
    if not (layer.strip() and picture.strip()):
        raise UserError(f"--paint takes an input and a picture, as in image=patch.png; got {quoted(text)!r}.")
    return Intervention(layer.strip(), action="paint", picture=picture.strip())


def changed_path(node_id: str, output: int = 0) -> str:
    """Return the array of one output of a node in the changed run, ``(N, *shape)``."""
    path, call = split_id(node_id)
    return f"{_GROUP}/{path}/@{call}/{output}"


def read_interventions(stored: StoredArrays) -> tuple[Intervention, ...]:
    """Read the interventions of the changed run; none if there was no such run."""
    if not stored.has_group(_GROUP):
        return ()
    listed = stored.attributes(_GROUP).get("interventions")
    try:
        return tuple(_read(one) for one in listed)  # type: ignore[union-attr]  # a wrong type is an error below
    except (TypeError, ValueError, KeyError) as error:
        raise stored.damaged(f"{_GROUP} has no valid list of interventions") from error


def _read(data: Any) -> Intervention:
    """Read one intervention from JSON, which may be damaged."""
    unit, action, of_reader = data["unit"], data["action"], data.get("reader_unit")
    if action not in get_args(Action):
        raise ValueError(f"there is no intervention {action!r}")
    return Intervention(
        layer=str(data["layer"]),
        unit=None if unit is None else int(unit),
        index=tuple(map(int, data["index"])),
        action=action,
        factor=float(data["factor"]),
        reader=str(data["reader"]),
        reader_unit=None if of_reader is None else int(of_reader),
        reader_index=tuple(map(int, data.get("reader_index", ()))),
        picture=str(data.get("picture", "")),
        digest=str(data.get("digest", "")),
    )


def has_changed(stored: StoredArrays, node_id: str, output: int = 0) -> bool:
    """Whether the interventions reach one output of a node."""
    return stored.find(changed_path(node_id, output)) is not None


def read_changed(stored: StoredArrays, node_id: str, output: int, sample: int) -> NDArray[np.float32] | None:
    """Read one output of a node in the changed run of a sample, ``shape``; `None` if the interventions do not reach it."""
    shapes = stored.graph.node(node_id).shapes
    expected = (None, *shapes[output]) if output < len(shapes) else ()
    array = stored.find(changed_path(node_id, output), expected)
    return None if array is None else stored.numbers(array, sample)


def write_interventions(writer: ArrayWriter, interventions: Sequence[Intervention]) -> None:
    """Write the list of interventions, before the numbers of the changed run."""
    listed = [asdict(one) for one in interventions]
    writer.group(_GROUP, {"interventions": listed})


def write_changed(writer: ArrayWriter, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
    """Write one output of a node in the changed run, for samples ``start`` and on: ``(n, *shape)``."""
    writer.write_numbers(changed_path(node_id, output), node_id, output, start, values)


def _missing(capture: CaptureContents, wanted: InterventionFields) -> str:
    if not wanted.interventions or read_interventions(capture.stored) == wanted.interventions:
        return ""
    first = wanted.interventions[0]
    return (
        f"{capture.path.name} holds no run with {first.text}; capture the model with --{first.action} '{first.option}'."
    )


def _held(capture: CaptureContents) -> Mapping[str, Any]:
    return {"interventions": read_interventions(capture.stored)}


INTERVENTIONS = Capability(
    name="interventions",
    fields=InterventionFields,
    options=InterventionOptions,
    wanted=lambda insights: bool(insights.interventions),
    capture="nnviz3d.capture.interventions:compute_interventions",
    check="nnviz3d.capture.interventions:check_interventions",
    stages={"interventions": "Running the model with the interventions"},
    missing=_missing,
    held=_held,
    panel="nnviz3d.apps.web.panels.interventions:InterventionsPanel",
    replaces=True,
)
"""The description of this capability."""
