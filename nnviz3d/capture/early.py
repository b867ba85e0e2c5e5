"""What can be told without TensorFlow, which takes seconds to start: a name mistyped, a file that is not there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nnviz3d.capture.classes import read_classes
from nnviz3d.capture.pictures import SUFFIXES
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.writer import check_destination
from nnviz3d.errors import ModelError, SampleError


def refuse_early(request: CaptureRequest) -> None:
    """Check what a request names.

    Raises
    ------
    UserError
        If the capture cannot be written where it should be, or the model or a sample is not there.
    """
    check_destination(request.out)
    check_model_source(request.model)
    for source in request.inputs:
        check_sample_source(source)
    if request.classes is not None:
        read_classes(request.classes)


def check_model_source(source: str) -> Path | None:
    """Return where a model stands; `None` for one of keras.applications.

    Raises
    ------
    ModelError
        If nothing is there, or its name is not that of a model.
    """
    if source.startswith("keras:"):
        return None
    if not source:  # as a path it would be the working folder
        raise ModelError("The model's name is empty; expected a .keras or .h5 file, a SavedModel folder or keras:NAME.")
    path = Path(source).expanduser()
    if not path.exists():
        raise ModelError(
            f"There is no model at {source}; expected a .keras or .h5 file, a SavedModel folder or keras:NAME."
        )
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ModelError(f"The folder {path.name} is no SavedModel: it holds no saved_model.pb.")
    elif path.suffix.lower() not in {".keras", ".h5", ".hdf5"}:
        raise ModelError(
            f"{path.name} is no model that nnviz3d knows by its name; expected one that ends in .keras or .h5, a "
            f"SavedModel "
            "folder or keras:NAME."
        )
    return path


def check_sample_source(source: str) -> Path | None:
    """Return where a sample stands; `None` for ``random`` and ``digits:N``, which are in no file of their own.

    Raises
    ------
    SampleError
        If nothing is there, or its name is not that of a sample.
    """
    if source == "random" or source.startswith("digits:"):
        return None
    if source.startswith("sklearn:"):
        return _photograph(source.removeprefix("sklearn:"))
    if not source:
        raise SampleError(
            "An input's name is empty; expected a picture, a folder of pictures, a .npy or .npz file, digits:N, "
            "sklearn:NAME or random."
        )
    path = Path(source).expanduser()
    if not path.exists():
        raise SampleError(
            f"There is no input {source}; expected a picture, a folder of pictures, a .npy or .npz file, digits:N, "
            "sklearn:NAME or random."
        )
    if not path.is_dir() and path.suffix.lower() not in {*SUFFIXES, ".npy", ".npz"}:
        raise SampleError(
            f"{path.name} is no input that nnviz3d knows; expected {', '.join(sorted(SUFFIXES))}, .npy or .npz."
        )
    return path


def _photograph(name: str) -> Path:
    """Find one of the photographs that come with scikit-learn, without importing it, which takes a second."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise SampleError(f"sklearn:{name} comes with scikit-learn, which is not installed: pip install scikit-learn.")
    folder = Path(package.origin).parent / "datasets" / "images"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    if name not in names:
        listed = ", ".join(f"sklearn:{other}" for other in names)
        raise SampleError(f"scikit-learn comes with no photograph {name!r}; there are {listed}.")
    return folder / name
