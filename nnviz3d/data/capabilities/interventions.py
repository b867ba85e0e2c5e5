"""Interventions: a second run of each sample in which some numbers of some layers are muted, scaled or frozen."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, split_names
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.storage.schema import split_id
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

Action = Literal["mute", "scale", "freeze"]
_GROUP = "interventions"
_ARROW = "->"
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
        ``mute`` makes the numbers 0, ``scale`` multiplies them by `factor`, and ``freeze`` keeps them as they are without
        any intervention, whatever changes before them.
    factor
        The factor of ``scale``.
    reader
        Node id of a layer that reads the output: only what goes along this edge changes, and all other readers get the
        unchanged numbers. Empty: all readers.
    """

    layer: str
    unit: int | None = None
    index: tuple[int, ...] = ()
    action: Action = "mute"
    factor: float = 0.0
    reader: str = ""

    def __post_init__(self) -> None:
        if self.unit is not None and self.index:
            raise ValueError("an intervention changes one unit or one number; give unit or index, not both")
        if any(n < 0 for n in (*self.index, self.unit or 0)):
            raise ValueError("units and indices of an intervention count from 0")
        if not math.isfinite(self.factor):
            raise ValueError("the factor of an intervention is a finite number")

    @property
    def place(self) -> str:
        """The changed numbers, as the options take them: ``conv2d[3]``, ``conv2d[0,5,3]``, ``conv2d[3]->dense``."""
        index = self.index or (() if self.unit is None else (self.unit,))
        numbers = f"[{','.join(map(str, index))}]" if index else ""
        return f"{self.layer}{numbers}{f'{_ARROW}{self.reader}' if self.reader else ''}"

    @property
    def text(self) -> str:
        """The intervention in words: ``mute conv2d[3]``."""
        return f"{self.action} {self.place}" + (f" by {self.factor:g}" if self.action == "scale" else "")

    @staticmethod
    def at(place: str, action: Action = "mute", factor: float = 0.0) -> Intervention:
        """Read the place of an intervention as the options take it; one number in brackets is a unit.

        Raises
        ------
        UserError
            If it is no place.
        """
        changed, _, reader = place.partition(_ARROW)
        found = _PLACE.fullmatch(changed.strip())
        numbers = None if found is None or found["index"] is None else found["index"].split(",")
        if found is None or (numbers is not None and not all(n.strip() for n in numbers)):
            raise UserError(
                f"{quoted(place)!r} is no place in a network; expected a layer, one of its units as in conv2d[3], one "
                f"number as in conv2d[0,5,3], or an edge as in conv2d[3]{_ARROW}dense."
            )
        index = tuple(int(n) for n in numbers or ())
        alone = index[0] if len(index) == 1 else None
        return Intervention(found["layer"], alone, index if alone is None else (), action, factor, reader.strip())


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

    def request_fields(self) -> Mapping[str, Any]:
        """Return the interventions."""
        return {
            "interventions": (
                *map(Intervention.at, split_names(self.mute)),
                *map(_scaled, split_names(self.scale)),
                *(Intervention.at(place, "freeze") for place in split_names(self.freeze)),
            )
        }


def _scaled(text: str) -> Intervention:
    """Read a place and its factor, ``conv2d[3]=0.5``."""
    place, _, factor = text.rpartition("=")
    try:
        return Intervention.at(place, "scale", float(factor))
    except ValueError:
        raise UserError(
            f"--scale takes a place and a finite factor, as in conv2d[3]=0.5; got {quoted(text)!r}."
        ) from None


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
    unit, action = data["unit"], data["action"]
    if action not in ("mute", "scale", "freeze"):
        raise ValueError(f"there is no intervention {action!r}")
    return Intervention(
        layer=str(data["layer"]),
        unit=None if unit is None else int(unit),
        index=tuple(map(int, data["index"])),
        action=action,
        factor=float(data["factor"]),
        reader=str(data["reader"]),
    )


def read_changed(stored: StoredArrays, node_id: str, output: int, sample: int) -> NDArray[np.float32] | None:
    """Read one output of a node in the changed run of a sample, ``shape``; `None` if the interventions do not reach it."""
    shapes = stored.graph.node(node_id).shapes
    expected = (None, *shapes[output]) if output < len(shapes) else ()
    array = stored.find(changed_path(node_id, output), expected)
    return None if array is None else stored.numbers(array, sample)


def write_interventions(writer: ArrayWriter, interventions: Sequence[Intervention]) -> None:
    """Write the list of interventions, before the numbers of the changed run."""
    listed = [{**asdict(one), "index": list(one.index)} for one in interventions]
    writer.group(_GROUP, {"interventions": listed})


def write_changed(writer: ArrayWriter, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
    """Write one output of a node in the changed run, for samples ``start`` and on: ``(n, *shape)``."""
    writer.write_numbers(changed_path(node_id, output), node_id, output, start, values)


def _missing(capture: CaptureContents, wanted: InterventionFields) -> str:
    if not wanted.interventions or read_interventions(capture.stored) == wanted.interventions:
        return ""
    first = wanted.interventions[0]
    factor = f"={first.factor:g}" if first.action == "scale" else ""
    return (
        f"{capture.path.name} holds no run with {first.text}; capture the model with --{first.action} "
        f"'{first.place}{factor}'."
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
