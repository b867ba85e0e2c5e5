"""See into a neural network: a 3D interactive visualizer for TensorFlow and Keras models.

>>> import nnviz3d
>>> run = nnviz3d.capture(model, x, out="run.zarr")  # needs TensorFlow, in this process
>>> run = nnviz3d.open_capture("run.zarr")  # does not
>>> run.activation("conv2d", sample=0).shape
(26, 26, 32)
>>> nnviz3d.serve(model, x)  # in the browser; show, record and snapshot look in a window, a film, a picture
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnviz3d.version import __version__ as __version__

if TYPE_CHECKING:
    from nnviz3d import capture as capture
    from nnviz3d.api.functions import record as record
    from nnviz3d.api.functions import serve as serve
    from nnviz3d.api.functions import show as show
    from nnviz3d.api.functions import snapshot as snapshot
    from nnviz3d.capture.training.recorder import TrainingRecorder as TrainingRecorder
    from nnviz3d.data.capture import Capture as Capture
    from nnviz3d.data.capture import open_capture as open_capture
    from nnviz3d.data.request import Insights as Insights

__all__ = ["Capture", "Insights", "TrainingRecorder", "capture", "open_capture", "record", "serve", "show", "snapshot"]

# Looked up on first use, so that importing the package, and `nnviz3d --help`, loads nothing.
_HOMES = {
    "Capture": "nnviz3d.data.capture",
    "Insights": "nnviz3d.data.request",
    "TrainingRecorder": "nnviz3d.capture.training.recorder",
    "open_capture": "nnviz3d.data.capture",
    **dict.fromkeys(("record", "serve", "show", "snapshot"), "nnviz3d.api.functions"),
}


def __getattr__(name: str) -> Any:
    if name == "capture":
        # Both the package and, called, the function: see nnviz3d/capture/__init__.py.
        return import_module("nnviz3d.capture")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nnviz3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
