"""Embeddings: samples as points in two or three dimensions, close to each other if a layer's outputs are alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import quote, unquote

from nnviz3d.data.capabilities.capability import (
    Capability,
    CaptureContents,
    CaptureOptions,
    are_numbers,
    split_names,
    there_are,
)
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.printable import all_printable
from nnviz3d.errors import CaptureError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import GroupWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

NO_CLASS = -1
"""The predicted class of a sample for which the model's output holds NaN."""
Method = Literal["tsne", "pca", "umap", "pacmap"]
Engine = Literal["auto", "opentsne", "grid", "sklearn"]
METHOD_NAMES: Mapping[Method, str] = {"tsne": "t-SNE", "umap": "UMAP", "pacmap": "PaCMAP", "pca": "PCA"}
"""The methods as people write them."""
FEWEST_LANDMARKS = 100
_FEWEST_BY_NEIGHBOURS = 5
"""Least number of samples for a method that places them by their neighbours."""
_FEWEST_BY_PCA = 2
"""Least number of samples for PCA: their difference is its first component."""
_ATTRIBUTES: Mapping[str, type] = {"names": list, "quality": dict, "settings": dict, "key": str}
_ARRAYS: Mapping[str, tuple[int | None, ...]] = {
    "points": (None, None),
    "first": (None, None),
    "snapshots": (None, None, None),
    "labels": (None,),
    "predictions": (None,),
    "probabilities": (None,),
    "thumbnails": (None, None, None, 3),
    "vectors": (None, None),
    "mean": (None,),
    "basis": (None, None),
}
"""The arrays of an embedding, and their axes."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """Settings of an embedding.

    Attributes
    ----------
    method
        ``tsne``; ``umap`` or ``pacmap``; or ``pca``, which is fast, and from which the others start.
    engine
        Of t-SNE: ``opentsne``, Barnes-Hut; ``grid``, repulsion on a grid, for many points; ``sklearn``, the reference; or
        ``auto``: ``grid`` for more than 4,000 points if the extra ``embedding`` is installed, else ``opentsne``.
    dimensions
        2 or 3.
    perplexity
        The number of neighbours that count, roughly, at least 1; `None`: 30, less for few points.
    pooled
        Whether feature maps are averaged over their locations first: one number for each channel.
    seed
        Of the random numbers.
    landmarks
        At most so many samples, drawn at random, are embedded, and all others are placed among them; `None`: all are
        embedded.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "revalidate_instances": "always"}

    method: Method = "tsne"
    engine: Engine = "auto"
    dimensions: Literal[2, 3] = 3
    perplexity: float | None = None
    pooled: bool = False
    seed: int = 0
    landmarks: int | None = None

    def __post_init__(self) -> None:
        if self.perplexity is not None and not self.perplexity >= 1:  # NaN too
            raise ValueError(f"perplexity is at least 1, not {self.perplexity:g}")
        if self.landmarks is not None and self.landmarks < FEWEST_LANDMARKS:
            raise ValueError(f"landmarks are at least {FEWEST_LANDMARKS}, not {self.landmarks}")

    def to_json(self) -> str:
        """Return the settings as compact JSON, which hashes of embeddings are made from.

        What earlier versions did not have is left out at its default, so that their embeddings keep their hashes.
        """
        perplexity = None if self.perplexity is None else float(self.perplexity)
        settings = {**asdict(self), "perplexity": perplexity}
        if self.engine == "auto":
            settings["engine"] = "opentsne"
        if self.landmarks is None:
            del settings["landmarks"]
        return json.dumps(settings, separators=(",", ":"))


def fewest_embedded(method: Method) -> int:
    """Return the least number of samples that a method embeds."""
    return _FEWEST_BY_PCA if method == "pca" else _FEWEST_BY_NEIGHBOURS


@dataclass(frozen=True, kw_only=True)
class EmbeddingFields:
    """Fields of the request.

    Attributes
    ----------
    embeddings
        Layers whose outputs are embedded, by globs over node ids; an input stands for the samples themselves.
    dataset
        The samples that are embedded, named as inputs are; empty: the samples of the capture.
    embedding_options
        The settings of the embeddings.
    """

    embeddings: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()
    embedding_options: EmbeddingOptions = EmbeddingOptions()


@dataclass(frozen=True)
class EmbeddingCaptureOptions(CaptureOptions):
    """Options for embeddings."""

    embed: Annotated[tuple[str, ...], "Layers whose outputs are embedded as points."] = ()
    dataset: Annotated[tuple[str, ...], "The data set, named as inputs are; by default the input itself."] = ()
    embed_method: Annotated[
        Method, "How points are found: t-SNE; UMAP or PaCMAP, if installed by the extra embedding; or PCA."
    ] = "tsne"
    pca: Annotated[bool, "Embed by PCA alone, which is fast."] = False
    perplexity: Annotated[
        float | None, "Number of neighbours that count for t-SNE, roughly; by default 30, less for few points."
    ] = None
    dimensions: Annotated[Literal[2, 3], "Dimensions of the points."] = 3
    engine: Annotated[
        Engine,
        "Code for t-SNE: openTSNE; grid, fast for many points, by the extra embedding; or scikit-learn, the reference. "
        "By default grid for more than 4,000 points if it is installed, else openTSNE.",
    ] = "auto"
    landmarks: Annotated[
        int | None, "Embed at most so many samples, drawn at random, and place all others among them."
    ] = None
    pooled: Annotated[
        bool, "Average feature maps over their locations before they are embedded: one number a channel."
    ] = False

    def request_fields(self) -> Mapping[str, Any]:
        """Return the layers, the data set and the settings of the embeddings."""
        if self.perplexity is not None and not self.perplexity >= 1:  # NaN too
            raise UserError(f"--perplexity is at least 1; got {self.perplexity:g}.")
        if self.landmarks is not None and self.landmarks < FEWEST_LANDMARKS:
            raise UserError(f"--landmarks is at least {FEWEST_LANDMARKS}; got {self.landmarks}.")
        if self.pca and self.embed_method not in ("tsne", "pca"):
            raise UserError(f"--pca and --embed-method {self.embed_method} exclude each other; leave one of them out.")
        settings = EmbeddingOptions(
            method="pca" if self.pca else self.embed_method,
            engine=self.engine,
            dimensions=self.dimensions,
            perplexity=self.perplexity,
            pooled=self.pooled,
            landmarks=self.landmarks,
        )
        return {"embeddings": split_names(self.embed), "dataset": self.dataset, "embedding_options": settings}


def _empty(*shape: int) -> NDArray[np.float32]:
    import numpy as np

    return np.empty(shape, dtype=np.float32)


@dataclass(frozen=True)
class Embedding:
    """Points that are close to each other if a layer's outputs for their samples are alike.

    Attributes
    ----------
    name
        Node id of the layer or the input.
    method
        ``tsne`` (van der Maaten and Hinton 2008), ``umap`` (McInnes et al. 2018), ``pacmap`` (Wang et al. 2021) or ``pca``.
    points
        ``(M, 3)`` or ``(M, 2)``.
    first
        ``(M, 3)`` or ``(M, 2)``: the points by PCA alone, from which the other methods start.
    snapshots
        ``(F, M, 3)`` or ``(F, M, 2)``: the points during the optimization; the last are `points`.
    names
        The name of each sample.
    labels, predictions
        ``(M,)`` int64 classes; empty if they are not known. The label of a sample without one is `NO_LABEL`. A prediction
        is `NO_CLASS` if the model's output holds NaN.
    probabilities
        ``(M,)``: of the predicted class; empty if the model is no classifier.
    thumbnails
        ``(M, h, w, 3)`` uint8; M is 0 if samples are no pictures.
    vectors
        ``(M, D)``: the layer's outputs after PCA, which were embedded; further samples are projected by them.
    quality
        ``trustworthiness`` (of five neighbours, Venna and Kaski 2001), ``neighbours`` (the share of each point's ten
        nearest that are still among its ten nearest), ``kl``; and after a PCA ``variance``, the share of the outputs'
        variance that the PCA kept. Neighbours are those among the layer's own outputs.
    settings
        Perplexity, engine, seed, the number of dimensions before PCA, pooling, the number of landmarks, and whether
        neighbours are approximate.
    key
        A hash of everything that determines the embedding.
    mean, basis
        ``(D,)`` and ``(D, k)``: `vectors` are the layer's outputs minus `mean`, times `basis`; empty if they are these
        outputs themselves.
    """

    name: str
    method: Method
    points: NDArray[np.float32]
    first: NDArray[np.float32]
    snapshots: NDArray[np.float32]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    thumbnails: NDArray[np.uint8]
    vectors: NDArray[np.float32]
    quality: Mapping[str, float]
    settings: Mapping[str, object]
    key: str
    mean: NDArray[np.float32] = field(default_factory=lambda: _empty(0))
    basis: NDArray[np.float32] = field(default_factory=lambda: _empty(0, 0))

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """``(M,)``: whether a sample has a label; empty if none has one."""
        found: NDArray[np.bool_] = self.labels != NO_LABEL
        return found

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """``(M,)``: whether a sample's prediction differs from its label; nowhere if one of them is not known."""
        import numpy as np

        if not (len(self.labels) and len(self.predictions)):
            return np.zeros(len(self.points), dtype=bool)
        found: NDArray[np.bool_] = self.labelled & (self.labels != self.predictions)
        return found

    def __post_init__(self) -> None:
        count, shape = len(self.points), self.points.shape
        if self.first.shape != shape or self.snapshots.shape[1:] != shape or len(self.vectors) not in (0, count):
            raise CaptureError(f"Embedding {self.name!r}: its points of {shape} do not go with the way they came.")
        if self.points.ndim != 2 or self.points.shape[1] not in (2, 3) or len(self.names) != count:
            raise CaptureError(f"Embedding {self.name!r}: expected points (M, 2) or (M, 3), and a name for each.")
        for known in (self.labels, self.predictions, self.probabilities, self.thumbnails):
            if len(known) not in (0, count):
                raise CaptureError(f"Embedding {self.name!r}: {len(known)} entries for {count} points.")


def predicted_classes(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the class of the largest score for each sample, ``(M, classes)`` to ``(M,)``; `NO_CLASS` if one is NaN."""
    import numpy as np

    return np.where(np.isnan(scores).any(axis=1), NO_CLASS, scores.argmax(axis=1)).astype(np.int64)


def embedding_path(name: str) -> str:
    """Return the group of an embedding, named by its node."""
    return f"embeddings/{quote(name, safe='@')}"


def embedding_names(stored: StoredArrays) -> tuple[str, ...]:
    """Return the names of the captured embeddings: node ids."""
    return tuple(unquote(name) for name in stored.members("embeddings"))


def read_embedding(stored: StoredArrays, name: str) -> Embedding:
    """Read an embedding.

    Raises
    ------
    CaptureError
        If there is none of this name, or it is damaged.
    """
    path = embedding_path(name)
    attributes = stored.attributes(path)
    if "method" not in attributes:
        raise CaptureError(f"{stored.path} holds no embedding {name!r}; it was not captured.")
    arrays: dict[str, Any] = {
        kind: stored.read(stored.require(f"{path}/{kind}", axes), ...) for kind, axes in _ARRAYS.items()
    }
    lacking = [key for key in _ATTRIBUTES if key not in attributes]
    if lacking:
        raise stored.damaged(f"{path} lacks its {' and '.join(lacking)}")
    wrong = [key for key, kind in _ATTRIBUTES.items() if not isinstance(attributes[key], kind)]
    if wrong or attributes["method"] not in get_args(Method) or not are_numbers(list(attributes["quality"].values())):
        raise stored.damaged(f"{path} has no valid description of its points")
    return Embedding(
        name=name,
        method=attributes["method"],
        names=all_printable(attributes["names"]),
        quality=attributes["quality"],
        settings=attributes["settings"],
        key=attributes["key"],
        **arrays,
    )


def write_embedding(writer: GroupWriter, found: Embedding) -> None:
    """Write an embedding."""
    path = embedding_path(found.name)
    attributes = {key: getattr(found, key) for key in ("method", "key")}
    attributes |= {"names": list(found.names), "quality": dict(found.quality), "settings": dict(found.settings)}
    writer.group(path, attributes)
    for name in _ARRAYS:
        writer.whole(f"{path}/{name}", getattr(found, name))


def _missing(capture: CaptureContents, wanted: EmbeddingFields) -> str:
    name = capture.path.name
    if wanted.dataset:
        return f"{name} is a ready capture; capture the model anew with --dataset, or name the model itself."
    if wanted.embeddings and not embedding_names(capture.stored):
        return f"{name} holds no embedding; capture the model with --embed LAYER --dataset DATA."
    return ""


def _impossible(capture: CaptureContents, wanted: EmbeddingFields) -> str:
    from nnviz3d.data.selectors import lacks, matching

    if not wanted.embeddings:
        return ""
    if not any(matching(selector, capture.graph) for selector in wanted.embeddings):
        return f"{lacks(wanted.embeddings[0], capture.graph)}, whose outputs could be embedded."
    count, method = len(wanted.dataset), wanted.embedding_options.method
    fewest = fewest_embedded(method)
    if 0 < count < fewest:  # without a data set, the input's samples count
        by_pca = f", or capture the model with --pca, which needs {_FEWEST_BY_PCA}" if count >= _FEWEST_BY_PCA else ""
        return (
            f"An embedding by {METHOD_NAMES[method]} needs {fewest} samples or more, and {there_are(count)}; give a data "
            f"set with --input{by_pca}."
        )
    return ""


EMBEDDINGS = Capability(
    name="embeddings",
    fields=EmbeddingFields,
    options=EmbeddingCaptureOptions,
    wanted=lambda insights: bool(insights.embeddings),
    capture="nnviz3d.capture.embedding:write_embeddings",
    stages={"embed": "Placing points"},
    missing=_missing,
    impossible=_impossible,
    dataset_option="--embed",
    views=("nnviz3d.scene.views.points.embedding:EmbeddingView",),
    panel="nnviz3d.apps.web.panels.cloud:CloudPanel",
    of_sample=False,
)
"""The description of this capability."""
