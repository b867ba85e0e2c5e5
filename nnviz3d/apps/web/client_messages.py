"""Messages of pages that draw the scene themselves. Whatever a browser sends is checked before it is used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nnviz3d.scene.hits import BoxHit, CellHit, Hit, LineHit, PixelHit, PointHit, RidgeHit, SurfaceHit, TileHit
from nnviz3d.scene.primitives import Box, Image, Lines, Points, Ridges, Surface, Tiles, Voxels

_Index = Annotated[int, Field(ge=0, lt=2**31)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Size(_Message):
    """A page begins to draw, or its picture has another size.

    Attributes
    ----------
    width, height
        In pixels of the page.
    """

    type: Literal["start", "size"]
    width: Annotated[float, Field(ge=1, le=20000)]
    height: Annotated[float, Field(ge=1, le=20000)]


class Shown(_Message):
    """A page has displayed a frame."""

    type: Literal["shown"]
    frame: _Index


class Clicked(_Message):
    """The user has clicked.

    Attributes
    ----------
    frame
        The number of the displayed frame.
    kind
        The kind of the hit; `None` if the click met nothing.
    record
        The record of the primitive.
    part
        The numbers of the part that was met, in the order of the fields of the hit's class.
    """

    type: Literal["click"]
    frame: _Index
    kind: Literal["CellHit", "PixelHit", "TileHit", "BoxHit", "LineHit", "PointHit", "RidgeHit", "SurfaceHit"] | None
    record: _Index
    part: Annotated[list[_Index], Field(max_length=3)]


class Stop(_Message):
    """A page lets the server draw from now on."""

    type: Literal["stop"]


Message = Size | Shown | Clicked | Stop
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def message_of(sent: Any) -> Message:
    """Check a message.

    Raises
    ------
    ValueError
        If it is none of the known messages.
    """
    try:
        return _MESSAGES.validate_python(sent)
    except ValidationError as error:
        raise ValueError(f"The page sent an invalid message: {error.errors()[0]['msg']}.") from None


def hit_of(kind: str, primitive: object, part: list[int]) -> Hit:
    """Return a hit on a primitive.

    Raises
    ------
    ValueError
        If the primitive is of another kind, or has no such part.
    """
    limits = _limits(kind, primitive)
    if limits is None or len(part) != len(limits) or any(i >= most for i, most in zip(part, limits, strict=True)):
        raise ValueError(f"The page reported a {kind} on a {type(primitive).__name__} that has no such part.")
    match primitive:
        case Voxels():
            x, y, z = part
            if primitive.count is not None:
                columns, rows, _ = primitive.values.shape
                if (rows - 1 - y) * columns + x >= primitive.count:
                    raise ValueError(f"The page reported a cell without a number in {primitive.name!r}.")
            return CellHit(primitive, (x, y, z))
        case Image():
            return PixelHit(primitive, *part)
        case Tiles():
            return TileHit(primitive, *part)
        case Box():
            return BoxHit(primitive)
        case Lines():
            return LineHit(primitive, *part)
        case Points():
            return PointHit(primitive, *part)
        case Ridges():
            return RidgeHit(primitive, *part)
        case Surface():
            return SurfaceHit(primitive, *part)
    raise ValueError(f"A {type(primitive).__name__} cannot be hit.")


def _limits(kind: str, primitive: object) -> tuple[int, ...] | None:
    """Return the number of values of each number of a hit; `None` if the primitive takes no hits of that kind."""
    match kind, primitive:
        case "CellHit", Voxels():
            return primitive.values.shape
        case "PixelHit", Image():
            return primitive.pixels.shape[:2]
        case "TileHit", Tiles():
            return primitive.pixels.shape[:3]
        case "BoxHit", Box():
            return ()
        case "LineHit", Lines():
            return primitive.points.shape[:1]
        case "PointHit", Points():
            return primitive.points.shape[:1]
        case "RidgeHit", Ridges():
            return primitive.heights.shape[:2]
        case "SurfaceHit", Surface():
            return primitive.heights.shape
    return None
