"""The one family of errors that a person can mend.

Whatever derives from `UserError` is shown as one sentence on stderr with exit code 2. Everything else is a bug: it
keeps its traceback and ends with exit code 1.
"""

from __future__ import annotations


class Nnviz3dError(Exception):
    """Base class of every error that nnviz3d raises on purpose."""


class UserError(Nnviz3dError):
    """Something the caller can mend: the message says what was wrong, what was expected and what to do next."""


class CaptureError(UserError):
    """A capture on disk that cannot be read, or numbers that do not fit where they are to be stored."""


class DamagedCapture(CaptureError):  # noqa: N818 - named after the capture
    """A capture is damaged; the message names the part."""


class SceneError(UserError):
    """A scene that is not valid; the message carries the TOML path, such as ``views[1].layers``."""


class ModelError(UserError):
    """A model that cannot be loaded or traced."""


class SampleError(UserError):
    """An input sample that cannot be read or does not fit the model."""
