"""See into a neural network: a 3D interactive visualizer for TensorFlow and Keras models.

>>> import nnviz3d
>>> run = nnviz3d.capture(model, x, out="run.zarr")  # needs TensorFlow, in this process
>>> run = nnviz3d.open_capture("run.zarr")  # does not
>>> run.activation("conv2d", sample=0).shape
(26, 26, 32)
>>> nnviz3d.serve(model, x)  # in the browser; `show` opens a window, `record` and `export` write files
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnviz3d.version import __version__ as __version__

if TYPE_CHECKING:
    from nnviz3d import capture as capture
    from nnviz3d.api.embedded import EmbeddedScene as EmbeddedScene
    from nnviz3d.api.functions import export as export
    from nnviz3d.api.functions import record as record
    from nnviz3d.api.functions import serve as serve
    from nnviz3d.api.functions import show as show
    from nnviz3d.api.functions import snapshot as snapshot
    from nnviz3d.api.pyvista_functions import plotter as plotter
    from nnviz3d.api.pyvista_functions import to_pyvista as to_pyvista
    from nnviz3d.api.scene_files import read_scene as read_scene
    from nnviz3d.api.training_recorder import TrainingRecorder as TrainingRecorder
    from nnviz3d.api.viewer import Viewer as Viewer
    from nnviz3d.data.capabilities.interventions import Intervention as Intervention
    from nnviz3d.data.capture import Capture as Capture
    from nnviz3d.data.capture import open_capture as open_capture
    from nnviz3d.data.labelled_arrays import to_xarray as to_xarray
    from nnviz3d.data.request import Insights as Insights
    from nnviz3d.errors import UserError as UserError
    from nnviz3d.scene.spec import SceneSpec as SceneSpec

__all__ = [
    "Capture",
    "EmbeddedScene",
    "Insights",
    "Intervention",
    "SceneSpec",
    "TrainingRecorder",
    "UserError",
    "Viewer",
    "capture",
    "export",
    "open_capture",
    "plotter",
    "read_scene",
    "record",
    "serve",
    "show",
    "snapshot",
    "to_pyvista",
    "to_xarray",
]

_MODULES = {
    "Capture": "nnviz3d.data.capture",
    "EmbeddedScene": "nnviz3d.api.embedded",
    "Insights": "nnviz3d.data.request",
    "Intervention": "nnviz3d.data.capabilities.interventions",
    "SceneSpec": "nnviz3d.scene.spec",
    "TrainingRecorder": "nnviz3d.api.training_recorder",
    "UserError": "nnviz3d.errors",
    "Viewer": "nnviz3d.api.viewer",
    "open_capture": "nnviz3d.data.capture",
    "read_scene": "nnviz3d.api.scene_files",
    **dict.fromkeys(("plotter", "to_pyvista"), "nnviz3d.api.pyvista_functions"),
    "to_xarray": "nnviz3d.data.labelled_arrays",
    **dict.fromkeys(("export", "record", "serve", "show", "snapshot"), "nnviz3d.api.functions"),
}
"""Module of each public name. It is imported on first use, so that `import nnviz3d` and ``nnviz3d --help`` are fast."""


def __getattr__(name: str) -> Any:
    if name == "capture":
        # Both a package and a function: see nnviz3d/capture/__init__.py.
        return import_module("nnviz3d.capture")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'nnviz3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
