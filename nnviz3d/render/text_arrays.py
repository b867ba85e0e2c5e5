"""VTK arrays of text, for names beside meshes."""

from __future__ import annotations

from collections.abc import Sequence

from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkFieldData


def add_texts(data: vtkFieldData, name: str, texts: Sequence[str]) -> None:
    """Add texts as an array to the data of points, cells or a field; any characters are allowed."""
    array = vtkStringArray()
    array.SetName(name)
    array.SetNumberOfValues(len(texts))
    for i, text in enumerate(texts):
        array.SetValue(i, text)
    data.AddArray(array)
