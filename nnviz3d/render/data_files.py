"""Files of VTK's own formats."""

from __future__ import annotations

from pathlib import Path

from vtkmodules.vtkCommonCore import vtkObject
from vtkmodules.vtkCommonDataModel import vtkMultiBlockDataSet
from vtkmodules.vtkIOXML import vtkXMLMultiBlockDataWriter


def write_tree(data: vtkMultiBlockDataSet, path: Path) -> None:
    """Write a tree of data sets as ``.vtm``, with the data sets in a folder of the same name beside it.

    Raises
    ------
    OSError
        If VTK cannot write all of it.
    """
    writer = vtkXMLMultiBlockDataWriter()
    writer.SetInputDataObject(data)
    writer.SetFileName(str(path))
    told = vtkObject.GetGlobalWarningDisplay()
    vtkObject.GlobalWarningDisplayOff()  # the error says it in one sentence
    try:
        done = writer.Write() == 1 and not writer.GetErrorCode()
    finally:
        vtkObject.SetGlobalWarningDisplay(told)
    # VTK reports no error of a data set whose file it cannot open.
    if not done or _count(data) != _files(path.with_suffix("")):
        raise OSError("VTK could not write all data sets; the disk may be full, or the name too long")


def _count(data: vtkMultiBlockDataSet) -> int:
    """Return the number of data sets in a tree."""
    iterator = data.NewIterator()
    iterator.InitTraversal()
    count = 0
    while not iterator.IsDoneWithTraversal():
        count += 1
        iterator.GoToNextItem()
    return count


def _files(folder: Path) -> int:
    """Return the number of files in a folder."""
    return len(list(folder.iterdir())) if folder.is_dir() else 0
