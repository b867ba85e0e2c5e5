"""Load a model by the loader of its kind, as the table `SOURCES` names it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.preflight import check_model_source
from nnviz3d.capture.programs.runnable import RunnableModel
from nnviz3d.data.model_sources import NO_OPTIONS, LoadOptions, ModelSource


def load_model(source: str, options: LoadOptions = NO_OPTIONS, **changes: Any) -> LoadedModel | RunnableModel:
    """Load a model.

    Parameters
    ----------
    source
        A file, a folder or a name of one of the kinds in `SOURCES`.
    changes
        Fields of `LoadOptions` that replace those of `options`.

    Raises
    ------
    ModelError
        If there is no model, it is damaged, it does not take the options, or it contains code and is not trusted.
    """
    found = check_model_source(source, replace(options, **changes))
    return _loader(found)(found)


def _loader(source: ModelSource) -> Callable[[ModelSource], LoadedModel | RunnableModel]:
    module, _, function = source.kind.load.partition(":")
    loader: Callable[[ModelSource], LoadedModel | RunnableModel] = getattr(importlib.import_module(module), function)
    return loader
