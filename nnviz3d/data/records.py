"""Records of a capture: activations, connections and provenance, as frozen values with NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from nnviz3d.data.axes import Axes
from nnviz3d.data.axes import axes_of as axes_of
from nnviz3d.data.printable import printable, sentence
from nnviz3d.errors import CaptureError

Ranking = Literal["weight", "contribution"]
"""Measure of a connection's strength: |weight|, or |weight times activation| for one sample."""

RANKINGS: tuple[Ranking, ...] = ("weight", "contribution")


@dataclass(frozen=True)
class LayerActivations:
    """The numbers of one output of a node.

    Parameters
    ----------
    node
        Node id.
    values
        ``(N, *layer_shape)`` float32, samples first, in the layer's own order of axes.
    named
        Names of the axes of ``layer_shape``, if they are not those of channels last.
    """

    node: str
    values: NDArray[np.float32]
    named: Axes = ()

    @property
    def axes(self) -> Axes:
        """Names of the axes of `values`, the sample first."""
        known = self.named if len(self.named) == self.values.ndim - 1 else axes_of(self.values.shape[1:])
        return ("sample", *known)


@dataclass(frozen=True)
class Connections:
    """The strongest connections from one node to the next, for one sample.

    Between vectors (``rule = "dense"``) they are the strongest `k` of all entries of the weight matrix. For a
    convolution (``rule = "fan"``) they are the strongest `k` of one filter's weights, at the location of the filter's
    largest activation: the receptive-field fan.

    Parameters
    ----------
    source, target
        Node ids.
    rule
        ``dense`` or ``fan``.
    ranking
        Measure of strength: |weight| or |contribution|.
    total
        Number of connections from which these were chosen.
    index
        ``(k, 2)`` int64: flat index (C order, without the sample axis) of the source's cell and of the target's.
    weight
        ``(k,)`` float32.
    contribution
        ``(k,)`` float32: weight times the source's activation.
    """

    source: str
    target: str
    rule: Literal["dense", "fan"]
    ranking: Ranking
    total: int
    index: NDArray[np.int64]
    weight: NDArray[np.float32]
    contribution: NDArray[np.float32]

    def __post_init__(self) -> None:
        k = len(self.index)
        if self.index.shape != (k, 2) or self.weight.shape != (k,) or self.contribution.shape != (k,):
            raise CaptureError(
                f"Connections {self.source!r} -> {self.target!r}: expected index (k, 2), weight (k,) and contribution "
                f"(k,), got {self.index.shape}, {self.weight.shape} and {self.contribution.shape}."
            )

    @property
    def shown(self) -> int:
        """Number of connections in this record, the k in "k of n"."""
        return len(self.index)


@dataclass(frozen=True)
class Provenance:
    """Origin of a capture, in words for display.

    Parameters
    ----------
    model
        The model file's name, ``keras:NAME``, or the class of a live model; never a full path.
    preprocessing
        ``tf``, ``torch``, ``caffe``, ``unit`` or ``none``: scaling of the samples before they enter the model.
    preprocessing_reason
        Reason for this preprocessing, as a sentence.
    samples
        Name of each sample: ``china.jpg``, ``digits:7``, ``random (seed 0)``.
    notes
        Sentences for users, such as "bfloat16 is stored as float32".
    versions
        Versions of nnviz3d, keras, tensorflow, numpy.
    sample_notes
        For each sample, the sentences that concern only this sample, such as that its picture was cropped; empty in
        captures of earlier versions.
    kept
        The patterns of the layers whose numbers were kept, as `nnviz3d.data.kept_layers` reads them; empty: all layers.
    """

    model: str
    sha256: str | None = None
    preprocessing: str = "none"
    preprocessing_reason: str = ""
    samples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] | None = None
    seed: int | None = None
    created: str = ""
    sample_notes: tuple[tuple[str, ...], ...] = ()
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("model", "preprocessing", "created"):
            object.__setattr__(self, name, printable(getattr(self, name)))
        object.__setattr__(self, "sha256", None if self.sha256 is None else printable(self.sha256))
        if self.versions is not None:
            cleaned = {printable(package): printable(version) for package, version in self.versions.items()}
            object.__setattr__(self, "versions", cleaned)
        object.__setattr__(self, "preprocessing_reason", sentence(self.preprocessing_reason))
        object.__setattr__(self, "samples", tuple(map(printable, self.samples)))
        object.__setattr__(self, "notes", tuple(map(sentence, self.notes)))
        object.__setattr__(self, "kept", tuple(map(printable, self.kept)))
        object.__setattr__(self, "sample_notes", tuple(tuple(map(sentence, notes)) for notes in self.sample_notes))

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample, or its number if it has none."""
        return self.samples[sample] if sample < len(self.samples) else f"sample {sample}"

    def notes_of(self, sample: int) -> tuple[str, ...]:
        """Return the notes for one sample: those of the capture, then those of the sample."""
        own = self.sample_notes[sample] if sample < len(self.sample_notes) else ()
        return (*self.notes, *own)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the capture's attribute ``provenance``."""
        data = dict(self.__dict__)
        data["samples"], data["notes"] = list(self.samples), list(self.notes)
        data["kept"] = list(self.kept)
        data["sample_notes"] = [list(notes) for notes in self.sample_notes]
        data["versions"] = dict(self.versions or {})
        return data

    @staticmethod
    def from_json(data: Any) -> Provenance:
        """Rebuild the provenance from the result of `to_json`; unknown keys of later versions are ignored."""
        if not isinstance(data, dict) or not isinstance(data.get("model"), str):
            raise CaptureError("The capture's provenance is damaged: it names no model.")
        each = data.get("sample_notes") or []
        if not isinstance(each, list) or not all(isinstance(notes, list) for notes in each):
            raise CaptureError("The capture's provenance is damaged: its sample_notes are no lists of sentences.")
        known = {key: value for key, value in data.items() if key in Provenance.__dataclass_fields__}
        try:
            return _PROVENANCE.validate_python({key: value for key, value in known.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CaptureError(f"The capture's provenance is damaged at {where}: {first['msg']}.") from None


_PROVENANCE: TypeAdapter[Provenance] = TypeAdapter(Provenance)


def filled(values: NDArray[Any], k: int, filler: int) -> NDArray[Any]:
    """Lengthen ``(n, ...)`` to ``(k, ...)`` with a filler, so that records of different lengths fit in one array."""
    missing = np.full((k - len(values), *values.shape[1:]), filler, dtype=values.dtype)
    return np.concatenate([values, missing])
