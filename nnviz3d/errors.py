"""Errors of nnviz3d.

A `UserError` is printed as one sentence on stderr, with exit code 2. Any other error is a bug: its traceback is printed,
with exit code 1.
"""

from __future__ import annotations


class Nnviz3dError(Exception):
    """Base class of all errors that nnviz3d raises on purpose."""


class UserError(Nnviz3dError):
    """An error that the user can correct: the message says what was wrong, what was expected and what to do next."""


class CaptureError(UserError):
    """A capture on disk cannot be read, or numbers do not fit into a capture."""


class DamagedCapture(CaptureError):  # noqa: N818 - named after the capture
    """A capture is damaged; the message names the part."""


class SceneError(UserError):
    """A scene is not valid; the message names the path in the TOML file, such as ``views[1].layers``."""


class ModelError(UserError):
    """A model cannot be loaded or traced."""


class SampleError(UserError):
    """An input sample cannot be read or does not fit the model."""


NO_TENSORFLOW = (
    "Capturing a model needs TensorFlow, which is not installed; install it with: pip install tensorflow. "
    "Captures that are already made open without it."
)


def lacks_tensorflow(error: ModuleNotFoundError) -> bool:
    """Whether an import failed because a package that runs models is not installed."""
    return error.name is not None and error.name.split(".")[0] in {"tensorflow", "keras", "h5py"}
