"""Files of VTK's own formats."""

from __future__ import annotations

from pathlib import Path

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
    if writer.Write() != 1 or writer.GetErrorCode():
        raise OSError("VTK could not write all data sets; is the disk full?")
