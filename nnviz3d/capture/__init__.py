"""Run a model and store its activations, weights, gradients and more in a capture.

The package is callable: ``nnviz3d.capture(model, x, out="run.zarr")`` captures a live model in this process.
Importing it loads neither TensorFlow nor Keras.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nnviz3d.errors import NO_TENSORFLOW, ModelError, lacks_tensorflow

if TYPE_CHECKING:
    from nnviz3d.data.capture import Capture


class _CallablePackage(ModuleType):
    """A package that can be called as the public function of the same name.

    `nnviz3d.capture` is both a package and a function. Python stores each imported submodule under its name in the
    parent package, so a function of that name would be overwritten by ``import nnviz3d.capture.process``. A module whose
    class has a `__call__` stays both.
    """

    def __call__(self, model: Any, x: Any = None, **options: Any) -> Capture:
        """Capture a live model; see `nnviz3d.capture.live_model.capture` for the options."""
        from nnviz3d.capture.other_backend import capture_copy, other_backend

        if other_backend(model) is not None:
            return capture_copy(model, x, **options)
        try:
            from nnviz3d.capture.live_model import capture
        except ModuleNotFoundError as error:
            if not lacks_tensorflow(error):
                raise
            raise ModelError(NO_TENSORFLOW) from None
        return capture(model, x, **options)


sys.modules[__name__].__class__ = _CallablePackage
