"""Names as small pictures in the world: those labels that have room in the picture, where the picture has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.fonts import SIZES
from nnviz3d.render.label_placement import PlacedLabel, corners_of, line_map, outlines, place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.text import label_size, label_sprite
from nnviz3d.scene.camera import CameraPose, height_seen
from nnviz3d.scene.primitives import Label, Vector, vector

_SIZE = (1280, 720)
"""Picture in which the labels are placed."""
_SHARP = 2.5
"""Pixels of a name's picture for each of its pixels there."""
_WIDEST = 2048
"""Width of the picture of all names in pixels."""
_NEAR, _BALL = 2.5, 0.3
"""World distance up to which balls may hide a name, and more than the radius of a ball."""
_BEFORE = 0.02
"""World distance of a name from the front of what it names."""


@dataclass(frozen=True, eq=False)
class LabelQuads:
    """Rectangles with text that face +z.

    Attributes
    ----------
    texts
        The text of each.
    corners
        ``(n, 4, 3)`` world coordinates, counterclockwise from the lower left.
    uv
        ``(n, 4, 2)``: the same corners in the picture of all names, whose y runs down.
    atlas
        ``(H, W, 4)``: the picture of all names.
    """

    texts: tuple[str, ...]
    corners: NDArray[np.float32]
    uv: NDArray[np.float32]
    atlas: NDArray[np.uint8]


def projection(pose: CameraPose, aspect: float) -> NDArray[np.float64]:
    """Return the matrix from world to clip coordinates, ``(4, 4)``; depth is linear, for comparing alone."""
    eye, target = np.array(pose.position), np.array(pose.target)
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, pose.up)
    right /= np.linalg.norm(right)
    up = np.cross(right, ahead)
    tangent = math.tan(math.radians(pose.field_of_view / 2))
    rows = np.stack([right / (tangent * aspect), up / tangent, ahead, ahead])
    return np.concatenate([rows, -(rows @ eye)[:, np.newaxis]], axis=1)


def label_quads(
    labels: Sequence[Label],
    pose: CameraPose,
    lines: Sequence[NDArray[np.float32]] = (),
    balls: NDArray[np.float32] | None = None,
) -> LabelQuads | None:
    """Place labels as in a picture from this pose, and return those that have room; `None` if there are none.

    Parameters
    ----------
    lines
        Lines that they keep clear of, ``(n, p, 3)`` each.
    balls
        ``(n, 3)``: points that names near them must not be hidden by.
    """
    placed = _placed(labels, pose, lines)
    if not placed:
        return None
    sprites = [label_sprite(one.lines, labels[one.index].emphasis, _SHARP, labels[one.index].small) for one in placed]
    atlas, spots = _packed(sprites)
    height, width = atlas.shape[:2]
    corners, uv = [], []
    for one, sprite, (x, y) in zip(placed, sprites, spots, strict=True):
        label = labels[one.index]
        front = np.array(label.anchor) + np.array(label.span) * (0.5, 0.5, 1.0) + (0, 0, _BEFORE)
        middle = (one.rect.left + one.rect.width / 2, one.rect.bottom + one.rect.height / 2)
        if balls is not None and len(balls):
            near = balls[np.linalg.norm(balls - front, axis=1) < _NEAR]
            front[2] = max(front[2], *(near[:, 2] + _BALL)) if len(near) else front[2]
        at = _on_plane(pose, middle, front[2])
        world = height_seen(pose, vector(at)) / _SIZE[1]
        right, up = np.array([one.rect.width * world / 2, 0, 0]), np.array([0, one.rect.height * world / 2, 0])
        corners.append([at - right - up, at + right - up, at + right + up, at - right + up])
        h, w = sprite.shape[:2]
        uv.append([[x, y + h], [x + w, y + h], [x + w, y], [x, y]])
    return LabelQuads(
        tuple("\n".join(one.lines) for one in placed),
        np.array(corners, dtype=np.float32),
        (np.array(uv) / (width, height)).astype(np.float32),
        atlas,
    )


@dataclass(frozen=True)
class TextLine:
    """A line of a label that has room in the picture.

    Attributes
    ----------
    style
        ``name``, ``score`` or ``detail``, as in `nnviz3d.render.fonts.SIZES`.
    middle
        World coordinates of its middle.
    """

    text: str
    style: str
    middle: Vector


def label_lines(
    labels: Sequence[Label], pose: CameraPose, lines: Sequence[NDArray[np.float32]] = ()
) -> tuple[TextLine, ...]:
    """Place labels as in a picture from this pose, and return the lines of those that have room.

    Parameters
    ----------
    lines
        Lines that they keep clear of, ``(n, p, 3)`` each.
    """
    found = []
    for one in _placed(labels, pose, lines):
        label = labels[one.index]
        front = label.anchor[2] + label.span[2] + _BEFORE
        styles = ["score" if label.small else "name", *["detail"] * (len(one.lines) - 1)]
        heights = [SIZES[style] * 1.3 for style in styles]
        top = one.rect.bottom + one.rect.height / 2 + sum(heights) / 2
        for text, style, height in zip(one.lines, styles, heights, strict=True):
            pixel = (one.rect.left + one.rect.width / 2, top - height / 2)
            found.append(TextLine(text, style, vector(_on_plane(pose, pixel, front))))
            top -= height
    return tuple(found)


def _placed(labels: Sequence[Label], pose: CameraPose, lines: Sequence[NDArray[np.float32]]) -> list[PlacedLabel]:
    """Place labels in a picture from a pose."""
    matrix = projection(pose, _SIZE[0] / _SIZE[1])
    return place_labels(
        LabelWays(labels, lambda label, shown: label_size(shown, 1.0, label.small)),
        outlines(corners_of(labels), matrix, _SIZE),
        _SIZE,
        1.0,
        lines=line_map(lines, matrix, _SIZE),
    )


def _on_plane(pose: CameraPose, pixel: tuple[float, float], z: float) -> NDArray[np.float64]:
    """Return the point of the plane at a depth of the world that is seen at a pixel, counted from the lower left."""
    eye, target = np.array(pose.position), np.array(pose.target)
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, pose.up)
    right /= np.linalg.norm(right)
    tangent = math.tan(math.radians(pose.field_of_view / 2))
    x, y = (2 * p / size - 1 for p, size in zip(pixel, _SIZE, strict=True))
    ray = ahead + x * tangent * _SIZE[0] / _SIZE[1] * right + y * tangent * np.cross(right, ahead)
    return np.asarray(eye + ray * ((z - eye[2]) / ray[2]))


def _packed(sprites: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Put pictures in rows of one picture; returns it, and the left upper corner of each."""
    x = y = tallest = 0
    spots = []
    for sprite in sprites:
        h, w = sprite.shape[:2]
        if x and x + w > _WIDEST:
            x, y, tallest = 0, y + tallest, 0
        spots.append((x, y))
        x, tallest = x + w, max(tallest, h)
    width = max(spot[0] + sprite.shape[1] for spot, sprite in zip(spots, sprites, strict=True))
    atlas = np.zeros((y + tallest, width, 4), dtype=np.uint8)
    for (left, top), sprite in zip(spots, sprites, strict=True):
        atlas[top : top + sprite.shape[0], left : left + sprite.shape[1]] = sprite
    return atlas, spots
