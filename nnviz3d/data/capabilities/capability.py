"""The description of one capability: its options, its stages, and the functions that compute, check and show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from nnviz3d.data.graph import ModelGraph
    from nnviz3d.data.records import Provenance
    from nnviz3d.data.storage.zarr_reader import StoredArrays
    from nnviz3d.data.targets import Explained

_COMMA = re.compile(r",(?![^\[]*\])")
"""A comma outside brackets."""


@dataclass(frozen=True)
class CaptureOptions:
    """Options of ``nnviz3d capture`` for one capability. Each capability has a subclass.

    A field is one option, annotated with its type and its help: ``attention: Annotated[bool, "Help."] = False`` is
    ``--attention``. An underscore at the end of a name is left out: ``class_`` is ``--class``. Types are ``bool``, ``int``,
    ``float``, ``str``, ``Path``, ``Literal``, each of these or `None`, and ``tuple[str, ...]`` for a repeatable option.
    """

    def request_fields(self) -> Mapping[str, Any]:
        """Return the fields of `Insights` that the options ask for; by default those of the same names.

        Raises
        ------
        UserError
            If an option has a wrong value, or no effect without another one.
        """
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def check(self, insights: Any) -> None:
        """Refuse an option that has no effect on the `Insights` which the options of all capabilities ask for.

        Raises
        ------
        UserError
            If there is such an option.
        """


class SampleContents(Protocol):
    """The explanations of one sample in a capture."""

    @property
    def targets(self) -> Sequence[Explained]:
        """The explained targets."""
        ...

    def attribution_layers(self, method: str) -> tuple[str, ...]:
        """Return the node ids of the layers that a method's maps are of."""
        ...


class CaptureContents(Protocol):
    """The members of a capture reader that tell what it holds."""

    @property
    def path(self) -> Path:
        """The folder or zip file."""
        ...

    @property
    def graph(self) -> ModelGraph:
        """The architecture."""
        ...

    @property
    def provenance(self) -> Provenance:
        """The model behind the numbers."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, if known."""
        ...

    @property
    def committed(self) -> int:
        """Number of samples that can be read."""
        ...

    @property
    def stored(self) -> StoredArrays:
        """The arrays and attributes on disk."""
        ...

    def has_gradients(self) -> bool:
        """Whether gradients were captured."""
        ...

    def explanations(self, sample: int = 0) -> SampleContents:
        """Return the explanations of one sample."""
        ...


def _nothing_missing(capture: CaptureContents, insights: Any) -> str:
    return ""


def _nothing_impossible(capture: CaptureContents, insights: Any) -> str:
    return ""


def _nothing_held(capture: CaptureContents) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Capability:
    """One thing that nnviz3d computes of a model beyond a forward pass, and shows.

    Functions and classes of other packages are named by strings, ``"module:name"``, and imported on first use: a
    capability is light to import.

    Attributes
    ----------
    name
        One word, for messages to developers.
    fields
        The dataclass of its fields of `Insights`.
    options
        The dataclass of its options.
    wanted
        Whether `Insights` ask for it.
    capture
        Function that computes it and writes its arrays: ``(writer, work, report)``, see `nnviz3d.capture.work.Work`.
    check
        Function that refuses a wrong request before anything is computed: ``(work)``.
    stages
        The stages of its `Progress`, each with the words that the user reads.
    missing
        Returns one sentence on what a capture lacks of the `Insights` that are asked for; nothing if it lacks nothing.
    impossible
        Returns one sentence on why the model of a capture can never give the `Insights` that are asked for, such as that it
        has no attention layer; nothing if the model has to be asked.
    held
        Returns the fields of `Insights` for what a capture holds of its first sample, so that further samples get it too.
    dataset_option
        The option that asks for it, if it is computed from the data set of the request rather than from the samples of the
        capture; otherwise empty.
    without_labels
        One sentence on why it cannot be computed from a data set without labels; empty if it can.
    of_sample
        Whether it belongs to each sample, rather than to the model: then it is computed for further samples too.
    replaces
        Whether a later request for it takes the place of an earlier one, rather than adding to it.
    views
        The views that show it.
    panel
        The panel of the page that controls it, if it has one.
    """

    name: str
    fields: type
    options: type[CaptureOptions]
    wanted: Callable[[Any], bool]
    capture: str
    check: str | None = None
    stages: Mapping[str, str] = field(default_factory=dict)
    missing: Callable[[CaptureContents, Any], str] = _nothing_missing
    impossible: Callable[[CaptureContents, Any], str] = _nothing_impossible
    held: Callable[[CaptureContents], Mapping[str, Any]] = _nothing_held
    dataset_option: str = ""
    without_labels: str = ""
    of_sample: bool = True
    replaces: bool = False
    views: tuple[str, ...] = ()
    panel: str | None = None


def imported(name: str) -> Any:
    """Import the function or class that a string names, ``"module:name"``."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def there_are(count: int) -> str:
    """Return the words for a number of samples: ``there are none``, ``there is 1``, ``there are 3``."""
    return "there is 1" if count == 1 else f"there are {count or 'none'}"


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """Split lists of names at their commas, but not inside brackets: ``a,mask[:,:,3]`` is two names."""
    return tuple(name for part in given for name in (n.strip() for n in _COMMA.split(part)) if name)


def are_numbers(data: object) -> bool:
    """Whether a value read from JSON is a list of numbers."""
    return isinstance(data, list) and all(isinstance(number, int | float) for number in data)
