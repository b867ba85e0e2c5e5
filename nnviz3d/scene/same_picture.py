"""Comparison of two draw lists: whether they are the same picture."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np

from nnviz3d.scene.primitives import DrawList


def same_picture(one: DrawList, other: DrawList) -> bool:
    """Whether two draw lists have equal primitives in the same order, before equal backgrounds."""
    return _same(one, other)


def _same(one: object, other: object) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if is_dataclass(one):
        return all(_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other
