"""Examples of channels: for each channel of a layer, the samples of a data set that activate it most."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, split_names, there_are
from nnviz3d.data.printable import all_printable
from nnviz3d.data.storage.schema import split_id
from nnviz3d.errors import CaptureError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import GroupWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

FEWEST_SAMPLES = 2
"""Fewest samples among which those that activate a channel most are looked for."""
_ARRAYS: Mapping[str, tuple[int | None, ...]] = {
    "samples": (None, None),
    "means": (None, None),
    "shown": (None,),
    "thumbnails": (None, None, None, 3),
}
"""The arrays of the examples of a layer, and their axes."""


@dataclass(frozen=True, kw_only=True)
class ExampleFields:
    """Fields of the request.

    Attributes
    ----------
    examples
        Layers for whose channels the samples that activate them most are kept, by globs over node ids.
    """

    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleOptions(CaptureOptions):
    """Options for examples of channels."""

    examples: Annotated[
        tuple[str, ...],
        "Layers for whose channels the samples of --dataset, or of the input, that activate them most are kept.",
    ] = ()

    def request_fields(self) -> Mapping[str, Any]:
        """Return the layers."""
        return {"examples": split_names(self.examples)}


@dataclass(frozen=True)
class ChannelExamples:
    """The samples of a data set that activate each channel of a layer most.

    Attributes
    ----------
    node
        Node id.
    samples
        ``(C, k)`` int64: for each channel the positions of samples in the data set, the one with the largest mean first.
    means
        ``(C, k)`` float32: the mean of the channel over all locations for each of these samples; for a vector the number.
    shown
        ``(U,)`` int64: the positions of all samples that occur in `samples`, rising.
    names
        Name of each of them.
    thumbnails
        ``(U, h, w, 3)`` uint8; U is 0 if samples are no pictures.
    count
        Number of samples in the data set.
    """

    node: str
    samples: NDArray[np.int64]
    means: NDArray[np.float32]
    shown: NDArray[np.int64]
    names: tuple[str, ...]
    thumbnails: NDArray[np.uint8]
    count: int

    def __post_init__(self) -> None:
        known = len(self.names) == len(self.shown) and len(self.thumbnails) in (0, len(self.shown))
        if self.samples.shape != self.means.shape or not known:
            raise CaptureError(f"Examples of {self.node!r}: their samples, means and names do not go together.")

    @property
    def active(self) -> NDArray[np.bool_]:
        """``(C, k)``: whether a sample activates the channel. A sample with the mean 0 only fills its place."""
        found: NDArray[np.bool_] = self.means != 0
        return found

    @property
    def dead(self) -> NDArray[np.bool_]:
        """``(C,)``: whether no sample of the data set activates the channel."""
        found: NDArray[np.bool_] = (self.means == 0).all(axis=1)
        return found


def examples_path(node_id: str) -> str:
    """Return the group of the examples of a layer."""
    path, call = split_id(node_id)
    return f"examples/{path}/@{call}"


def has_examples(stored: StoredArrays, node_id: str) -> bool:
    """Whether the examples of a layer's channels were captured."""
    return stored.find(f"{examples_path(node_id)}/samples") is not None


def has_example_pictures(stored: StoredArrays, node_id: str) -> bool:
    """Whether the examples of a layer's channels were captured, and are pictures."""
    found = stored.find(f"{examples_path(node_id)}/thumbnails")
    return found is not None and found.shape[0] > 0


def read_examples(stored: StoredArrays, node_id: str) -> ChannelExamples | None:
    """Read the examples of a layer's channels; `None` if they were not captured."""
    if not has_examples(stored, node_id):
        return None
    path = examples_path(node_id)
    attributes = stored.attributes(path)
    names, count = attributes.get("names"), attributes.get("count")
    if not isinstance(names, list) or not isinstance(count, int):
        raise stored.damaged(f"{path} has no valid description of its samples")
    arrays: dict[str, Any] = {
        name: stored.read(stored.require(f"{path}/{name}", axes), ...) for name, axes in _ARRAYS.items()
    }
    return ChannelExamples(node=node_id, names=all_printable(names), count=count, **arrays)


def write_examples(writer: GroupWriter, found: ChannelExamples) -> None:
    """Write the examples of a layer's channels."""
    path = examples_path(found.node)
    writer.group(path, {"names": list(found.names), "count": found.count})
    for name in _ARRAYS:
        writer.whole(f"{path}/{name}", getattr(found, name))


def too_few(count: int) -> str:
    """Return one sentence on why there are no examples among so many samples; empty if there are enough."""
    if count >= FEWEST_SAMPLES:
        return ""
    few = there_are(count)
    return (
        f"Examples of channels need {FEWEST_SAMPLES} samples or more, and {few}; give more with --input or --dataset."
    )


def _missing(capture: CaptureContents, wanted: ExampleFields) -> str:
    if not wanted.examples or any(has_examples(capture.stored, node.id) for node in capture.graph):
        return ""
    layer = quote(wanted.examples[0])
    return f"{capture.path.name} holds no examples of channels; capture the model with --examples {layer}."


class _ExamplesOfData(Protocol):
    """The part of a request that says which layers have examples, and in which data set they are looked for."""

    @property
    def examples(self) -> tuple[str, ...]: ...

    @property
    def dataset(self) -> Sized: ...


def _impossible(capture: CaptureContents, wanted: _ExamplesOfData) -> str:
    from nnviz3d.data.selectors import lacks, matching

    if not wanted.examples:
        return ""
    if not any(matching(selector, capture.graph) for selector in wanted.examples):
        return f"{lacks(wanted.examples[0], capture.graph)}, whose channels samples could activate."
    return too_few(len(wanted.dataset)) if wanted.dataset else ""  # without a data set, the input's samples count


EXAMPLES = Capability(
    name="examples",
    fields=ExampleFields,
    options=ExampleOptions,
    wanted=lambda insights: bool(insights.examples),
    capture="nnviz3d.capture.examples:compute_examples",
    stages={"examples": "Finding the samples that activate channels most"},
    missing=_missing,
    impossible=_impossible,
    views=("nnviz3d.scene.views.channels:ChannelsView",),
    dataset_option="--examples",
    panel="nnviz3d.apps.web.panels.pick:PickPanel",
    of_sample=False,
)
"""The description of this capability."""
