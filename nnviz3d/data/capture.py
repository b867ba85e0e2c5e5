"""Reader of one capture. Opening it is quick; arrays are read on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attention import has_attention
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.capabilities.embeddings import Embedding, embedding_names, read_embedding
from nnviz3d.data.capabilities.features import FeatureVisualization, has_features, read_features
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.files.paths import PathKind, kind_of, quoted, refuse_special
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.labels import label_in
from nnviz3d.data.printable import printable
from nnviz3d.data.records import Connections, LayerActivations, Provenance, Ranking
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.address import address_of
from nnviz3d.data.storage.axis_names import read_tokens, read_unit_names
from nnviz3d.data.storage.chained_arrays import ChainedArrays
from nnviz3d.data.storage.direct_reads import StoredArray, described
from nnviz3d.data.storage.file_listing import Listing, listing_of
from nnviz3d.data.storage.gates import read_gates
from nnviz3d.data.storage.kept_files import kept_files
from nnviz3d.data.storage.packed_connections import PackedConnections
from nnviz3d.data.storage.zarr_reader import StoredArrays, damaged, fits
from nnviz3d.data.training import StepRecords, Training
from nnviz3d.errors import CaptureError, DamagedCapture


class Capture:
    """Reader of one capture: one run of one model, stored on disk. Make one with `open_capture`.

    Numbers are returned exactly as they were stored, neither scaled nor rounded; those that were stored as float16, as
    float32.

    Attributes
    ----------
    path
        The folder or zip file.
    graph
        The architecture.
    provenance
        Where the numbers come from.
    classes
        Names of the classes, or `None`.
    complete
        Whether the writer finished.
    committed
        How many samples are complete; readers stop there.
    stored
        The arrays and attributes on disk, from which the modules of the capabilities read.
    step_records
        `None`: the records of a training are chosen by `nnviz3d.data.capture_at_step.at_step`.
    added_samples
        None: all samples belong to this capture.
    kept
        What sessions let the model compute and kept in the folder of the capture; `stored` has their groups, too.
    """

    def __init__(self, path: Path, listing: Listing, attributes: Mapping[str, Any], kept: Sequence[Path] = ()) -> None:
        self.path = path
        if attributes.get("format") != schema.FORMAT:
            raise CaptureError(f"{path} is a Zarr store but not a capture: its format is {attributes.get('format')!r}.")
        version = attributes.get("version")
        if not isinstance(version, int) or version > schema.VERSION:
            raise CaptureError(
                f"{path} is a capture of version {version!r}; this nnviz3d reads up to version {schema.VERSION}. "
                "Update nnviz3d."
            )
        graph = ModelGraph.from_json(attributes.get("graph"))
        self.provenance = Provenance.from_json(attributes.get("provenance"))
        self.graph = graph if self.provenance.sha256 is None else graph.of_file(self.provenance.model)
        self.classes = _classes(path, attributes.get("classes"))
        self.complete = attributes.get("complete") is True
        self.committed = _count(path, attributes.get("committed"))
        self.step_records: StepRecords | None = None
        self.added_samples: tuple[int, ...] = ()
        own = StoredArrays(path, listing, graph=self.graph, complete=self.complete, committed=self.committed)
        self._own = own
        self._check_committed()
        self.kept = tuple(_open_kept(file, self) for file in kept)
        self.stored: StoredArrays = ChainedArrays([own, *(one.stored for one in self.kept)]) if kept else own

    def stored_sample(self, sample: int) -> tuple[StoredArrays, int]:
        """Return the arrays that hold a sample, and the index of the sample in them."""
        return self._own, self._own.checked(sample)

    @cached_property
    def training(self) -> Training | None:
        """The recording of the model's training, up to the last step when it is first read; `None` if there is none.

        The samples of such a capture are the training's probe samples, and its activations the last recorded ones.
        """
        return Training(self._own) if self._own.has_group(schema.TRAINING) else None

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        if self._own.find(schema.activation_path(node_id, output)) is not None:
            return True
        return self.training is not None and self.training.has_activation(node_id, output)

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output, without reading it."""
        if (held := self._probed(node_id, output)) is not None:
            return held.shape[1:]
        return tuple(self._activation_array(node_id, output).shape[1:])

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all committed samples, ``(N, *shape)``."""
        values = self._probed(node_id, output)
        if values is None:
            values = self._own.numbers(self._activation_array(node_id, output))
        return LayerActivations(node_id, values, self.graph.node(node_id).named_axes_of(output))

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample, ``shape``.

        Raises
        ------
        CaptureError
            If it was not captured, its shape is not the graph's, or the store is damaged.
        """
        if (held := self._probed(node_id, output)) is not None:
            one: NDArray[np.float32] = held[self._own.checked(sample)]
            return one
        return self._own.numbers(self._activation_array(node_id, output), sample)

    def _activation_array(self, node_id: str, output: int) -> StoredArray:
        array = self._own.require(schema.activation_path(node_id, output))
        self._check_shape(node_id, output, tuple(array.shape[1:]))
        return array

    def _check_committed(self) -> None:
        """Check that the count of samples does not exceed the stored numbers or names."""
        inputs = self.graph.inputs
        paths = [schema.input_path(name) for name in inputs] + [schema.activation_path(name) for name in inputs]
        array = next(filter(None, map(self._own.find, paths)), None)
        held = len(self.provenance.samples) if array is None else array.shape[0] if array.shape else 0
        if self.committed > held:
            raise self._own.damaged(f"it should hold {self.committed:,} complete samples, but it holds {held:,}")

    def _check_shape(self, node_id: str, output: int, found: tuple[int, ...]) -> None:
        """Check that one sample's numbers have the shape in the graph."""
        shapes = self.graph.node(node_id).shapes
        expected = shapes[output] if output < len(shapes) else ()
        if not fits(found, expected):
            raise DamagedCapture(
                f"{self.path}: {node_id!r} should have the shape {expected}, but its numbers have the shape {found}; "
                "the capture is damaged: capture again."
            )

    def _probed(self, node_id: str, output: int) -> NDArray[np.float32] | None:
        """Read the last recorded output for a training's probe samples; `None` if none was recorded."""
        training = self.training
        if training is None or not training.has_activation(node_id, output):
            return None
        values = training.activation(node_id, -1, output)
        self._check_shape(node_id, output, values.shape[1:])
        return values

    def input(self, name: str, sample: int = 0) -> NDArray[Any]:
        """Read the array that the model's input of this name was given."""
        return self._own.sample(self._own.require(schema.input_path(name)), sample)

    def picture(self, name: str, sample: int = 0) -> NDArray[np.uint8] | None:
        """Read a sample as a picture for people, ``(H, W, 3)``; `None` if it is not a picture."""
        array = self._own.find(schema.picture_path(name), (None, None, None, 3), "u")
        return None if array is None else self._own.sample(array, sample)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The true class of each committed sample, ``(N,)``, `NO_LABEL` where it is not known; `None` if none is known."""
        array = self._own.find("labels", (None,), "iu")
        return None if array is None else self._own.read(array, slice(self.committed))

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        labels = self.labels
        return None if labels is None else label_in(labels, sample)

    def tokens(self, sample: int = 0, node_id: str | None = None) -> tuple[str, ...] | None:
        """Read the tokens along a node's time axis for one sample, by default the first node's that has some."""
        return read_tokens(self._own, node_id, sample)

    def unit_names(self, node_id: str) -> tuple[str, ...] | None:
        """Read the name of each unit of a node, such as the columns of a table; `None` if they are not known."""
        return read_unit_names(self._own, node_id)

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured.

        The time runs in the order of processing: that of a layer that goes backwards begins at the end of its input.
        """
        return read_gates(self._own, node_id, sample)

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample: ``china.jpg``, ``digits:7``."""
        return self.provenance.sample_name(sample)

    def preprocessing(self, sample: int) -> tuple[str, str]:
        """Return how a sample was preprocessed, as a mode of `Provenance`, and the reason for this mode."""
        return self.provenance.preprocessing, self.provenance.preprocessing_reason

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured."""
        if self._packed is not None:
            return self._packed.read(source, target, ranking, sample)
        path = schema.connection_path(source, target)
        if self._own.find(f"{path}/index") is None:
            return None
        attributes = self._own.attributes(path)
        rule, rankings, totals = (attributes.get(key) for key in ("rule", "rankings", "totals"))
        if rule not in ("dense", "fan") or not isinstance(rankings, list) or not _are_counts(totals, self.committed):
            raise self._own.damaged(f"{path} has no valid description of its connections")
        if ranking not in rankings:
            return None
        which, packed = rankings.index(ranking), (None, len(rankings), None)
        pairs = self._own.sample(self._own.require(f"{path}/index", (*packed, 2), "iu"), sample)[which]
        real = pairs[:, 0] >= 0  # shorter records are filled up with the index -1
        weight, contribution = (
            self._own.sample(self._own.require(f"{path}/{name}", (*packed[:2], len(pairs))), sample)[which]
            for name in ("weight", "contribution")
        )
        sizes = [self.graph.node(end).size or np.iinfo(np.int64).max for end in (source, target)]
        if not ((pairs[real] >= 0) & (pairs[real] < sizes)).all():
            raise self._own.damaged(f"{path} leads to cells that the layers do not have")
        return Connections(
            source,
            target,
            "dense" if rule == "dense" else "fan",
            ranking,
            totals[sample],
            pairs[real],
            weight[real],
            contribution[real],
        )

    @cached_property
    def _packed(self) -> PackedConnections | None:
        return PackedConnections(self._own) if self._own.has_group(schema.PACKED) else None

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name, of a training the last recorded ones; empty if they were not captured."""
        return self._own.group(f"weights/{layer}/@0") or (self.training.weights(layer) if self.training else {})

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample: targets, gradients, attributions, attention scores."""
        return SampleExplanations(self._own, sample)

    def insights(self, sample: int = 0) -> SampleExplanations:
        """Return `explanations`, by its earlier name."""
        return self.explanations(sample)

    @property
    def methods(self) -> tuple[str, ...]:
        """The attribution methods whose maps were captured."""
        return attribution_methods(self._own)

    def has_gradients(self) -> bool:
        """Whether gradients by the layers were captured: of a target's score, or of the loss of a training."""
        return bool(self._own.members("gradients")) or (self.training is not None and self.training.has_gradients)

    def has_attention(self, node_id: str) -> bool:
        """Whether the scores of an attention layer were captured."""
        return has_attention(self._own, node_id)

    def has_features(self, node_id: str) -> bool:
        """Whether inputs that maximize a layer's channels were captured."""
        return has_features(self.stored, node_id)

    def features(self, node_id: str) -> FeatureVisualization | None:
        """Read the inputs that maximize a layer's channels; `None` if they were not captured."""
        return read_features(self.stored, node_id)

    @property
    def embeddings(self) -> tuple[str, ...]:
        """The names of the captured embeddings: node ids."""
        return embedding_names(self.stored)

    def embedding(self, name: str) -> Embedding:
        """Read an embedding.

        Raises
        ------
        CaptureError
            If there is none of this name, or it is damaged.
        """
        return read_embedding(self.stored, name)


def _classes(path: Path, data: Any) -> tuple[str, ...] | None:
    if data is not None and not (isinstance(data, list) and all(isinstance(name, str) for name in data)):
        raise damaged(path, "its class names are invalid")
    return None if data is None else tuple(map(printable, data))


def _count(path: Path, data: Any) -> int:
    if not _are_counts([data]):
        raise damaged(path, "its count of complete samples is missing or invalid")
    return int(data)


def _are_counts(data: Any, least: int = 0) -> TypeGuard[list[int]]:
    """Whether a value is a list of at least `least` counts."""
    return isinstance(data, list) and len(data) >= least and all(type(n) is int and 0 <= n < 2**63 for n in data)


def is_capture(path: Path | str) -> bool:
    """Whether a path holds a capture, of any version, complete or not."""
    try:
        _, attributes = _open_root(Path(path))
    except CaptureError:
        return False
    return attributes.get("format") == schema.FORMAT


def open_capture(path: Path | str) -> Capture:
    """Open a capture for reading, with what sessions have kept in its folder.

    Parameters
    ----------
    path
        A ``*.zarr`` folder or a ``*.zarr.zip`` file.

    Raises
    ------
    CaptureError
        If nothing is there, or it is no capture, damaged, or of a newer version.
    """
    place = Path(path)
    capture = Capture(place, *_open_root(place), () if address_of(place) else kept_files(place))
    if capture.committed < 1 and capture.training is None:
        raise CaptureError(f"{path} holds no complete sample yet.")
    return capture


def _open_kept(file: Path, capture: Capture) -> Capture:
    """Open a file that is kept in the folder of a capture.

    Raises
    ------
    CaptureError
        If it is damaged, or of another model.
    """
    try:
        found = Capture(file, *_open_root(file))
    except CaptureError:
        raise DamagedCapture(
            f"{file}, which a session kept in {capture.path}, cannot be read; delete it: the capture is whole without it."
        ) from None
    of = [
        (one.provenance.model if one.provenance.sha256 is None else one.provenance.sha256) for one in (found, capture)
    ]
    if of[0] != of[1] or [node.id for node in found.graph] != [node.id for node in capture.graph]:
        raise CaptureError(
            f"{file}, which a session kept in {capture.path}, is of another version of {capture.provenance.model} than the "
            "capture; delete it."
        )
    return found


def _nothing_at(place: str) -> CaptureError:
    return CaptureError(f"There is no capture at {place}.")


def _open_root(path: Path) -> tuple[Listing, Mapping[str, Any]]:
    """Return the files and the root's attributes of a Zarr group."""
    address = address_of(path)
    kind = PathKind.FOLDER if address is not None else kind_of(path, CaptureError)
    if kind is None:
        raise _nothing_at(quoted(path))
    if address is None:
        refuse_special(path, CaptureError)
    elif address.endswith(".zip"):
        raise CaptureError(f"{address} is one packed file, which cannot be read in parts; copy it here first.")
    try:
        listing = listing_of(path)
        listing.describes("")
        root = described(listing.content("zarr.json"), "group")
        return listing, root.get("attributes", {})
    except CaptureError:
        raise
    except Exception as error:
        if address is not None and isinstance(error, FileNotFoundError):
            raise _nothing_at(address) from None
        raise CaptureError(
            f"{path} is not a capture, or it is damaged; make a capture with nnviz3d capture."
        ) from error
