"""Import the classes and functions of the user that ``--custom module:object`` names."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from nnviz3d.capture.loading.model_kind import keras_2_package
from nnviz3d.data.printable import listed_or, reason
from nnviz3d.errors import ModelError


def import_custom(names: Sequence[str], beside: Path) -> dict[str, Any]:
    """Import objects of the user, and return them by their names.

    Parameters
    ----------
    names
        ``module:object`` for a class, a function, or a dictionary of these by name.
    beside
        The model file; modules are found in the working folder, on Python's path and beside this file.

    Raises
    ------
    ModelError
        If a module or an object is missing, importing fails, or an object cannot be part of a model.
    """
    found: dict[str, Any] = {}
    with importable_from(Path(), beside.absolute().parent):
        for name in names:
            found |= _objects(name, beside)
    return found


def import_libraries(names: Sequence[str], file: str) -> None:
    """Import the libraries of Keras layers that a model file names, such as KerasHub, whose layers are then registered.

    Raises
    ------
    ModelError
        If one is not installed.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ModelError(
                f"{file} needs layers of {name}, which is not installed; install it with: pip install "
                f"{name.replace('_', '-')}."
            ) from error


@contextmanager
def importable_from(first: Path, last: Path) -> Iterator[None]:
    """Context in which Python also imports modules from a folder before its own path, and from one after it."""
    kept = list(sys.path)
    sys.path[:] = [str(first.absolute()), *kept, str(last)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = kept


def _objects(name: str, beside: Path) -> dict[str, Any]:
    path, _, attribute = name.partition(":")
    found: Any = _module(name, path, beside)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ModelError(f"--custom {name}: {path} has no {attribute}; {_candidates(found, part)}")
        found = getattr(found, part)
    objects = dict(found) if isinstance(found, Mapping) else {attribute.rpartition(".")[2]: found}
    for key, value in objects.items():
        package = keras_2_package(value) if isinstance(value, type) else None
        if package is not None:
            raise ModelError(
                f"--custom {name}: {key} is a class of Keras 2 ({package}); expected one of Keras 3. Let {path} import "
                "keras in place of tf_keras."
            )
        if not isinstance(key, str) or not callable(value):
            raise ModelError(
                f"--custom {name} is a {type(found).__name__}; expected a class, a function, or a dictionary of these by "
                "name."
            )
    return objects


def _module(name: str, path: str, beside: Path) -> ModuleType:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{path}.".startswith(f"{error.name}."):
            raise ModelError(
                f"--custom {name}: there is no module {error.name} in the working folder, beside {beside.name} or where "
                "Python finds packages; run the command in the folder that holds it."
            ) from error
        raise ModelError(
            f"--custom {name}: {path} cannot be imported: {reason(error)} Install what it needs."
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise any error
        what = "it ends the program" if isinstance(error, SystemExit) else f"{type(error).__name__}: {reason(error)}"
        raise ModelError(
            f"--custom {name}: {path} cannot be imported ({what.rstrip('.')}); keep what a program does out of the module, "
            'under if __name__ == "__main__".'
        ) from error


def _candidates(module: Any, name: str) -> str:
    """Return words on what a module has instead of a missing object."""
    own = [
        key
        for key, value in getattr(module, "__dict__", {}).items()
        if getattr(value, "__module__", None) == getattr(module, "__name__", None)
    ]
    close = difflib.get_close_matches(name, own, n=2, cutoff=0.5)
    if close:
        return f"did you mean {listed_or(close)}?"
    return f"it has {', '.join(own)[:200]}." if own else "it has no classes or functions."
