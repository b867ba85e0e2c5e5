"""What a capture holds beyond one forward pass: explanations of a score, attention, features, embeddings.

Each is a frozen value around NumPy arrays, ``float32`` unless said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.printable import capped
from nnviz3d.errors import CaptureError

Objective = Literal["channel", "neuron", "class"]
"""The quantities that an input of a `FeatureVisualization` can drive."""
NO_CLASS = -1
"""What stands for the class that a model answers where it answers with NaN."""
PREDICTED = "predicted"
"""The slot whose target is, for each sample, what the model itself answers most strongly."""
_KEY = re.compile(r"(.+)\[(\d+)\](-?)")
_NUMBER = re.compile(r"(not )?(.+)\[(\d+)\]")


@dataclass(frozen=True)
class Target:
    """The number that is explained: one of an output's, such as a class's score.

    Where the output ends in a softmax or a sigmoid, it is the number before that: probabilities saturate, and what
    raises one may only lower the others (Simonyan et al. 2013, arXiv:1312.6034).

    Attributes
    ----------
    output
        Node id of the output.
    index
        Flat index (C order, without the sample axis) into it.
    against
        Whether the negated number is explained: for a single sigmoid, the evidence for the first of its two classes.
    """

    output: str
    index: int
    against: bool = False

    @property
    def slot(self) -> str:
        """The target's name in the store: ``dense_1[5]``; ``dense_1[5]-`` if it is negated."""
        return f"{quote(self.output, safe='@')}[{self.index}]{'-' * self.against}"

    @property
    def text(self) -> str:
        """The target's name in a request: ``dense_1[5]``, or ``not dense_1[5]``."""
        return f"{'not ' * self.against}{self.output}[{self.index}]"

    @staticmethod
    def of_text(text: str) -> Target | None:
        """Read a target that `text` wrote; `None` if the text is something else."""
        match = _NUMBER.fullmatch(text)
        return None if match is None else Target(match[2], capped(match[3]), match[1] is not None)

    @staticmethod
    def of_slot(slot: str) -> Target:
        """Read what `slot` wrote."""
        match = _KEY.fullmatch(slot)
        if match is None:
            raise CaptureError(f"The capture is damaged: {slot!r} names no target. Capture again.")
        return Target(unquote(match[1]), int(match[2]), match[3] == "-")


LOSS = Target("loss", 0)
"""What a training's gradients are of: the loss of all its probe samples, which is no number of an output."""


@dataclass(frozen=True)
class Explained:
    """A target that was explained for one sample.

    Attributes
    ----------
    slot
        Where the store keeps it: `PREDICTED`, or the target's own.
    score
        The number that was explained.
    probability
        What the softmax or sigmoid behind it makes of it; `None` if there is none.
    """

    slot: str
    target: Target
    score: float
    probability: float | None


@dataclass(frozen=True)
class Attribution:
    """How much each place of a layer, or of the input, counts for a target's score, for one sample.

    Attributes
    ----------
    method
        ``grad_cam``, ``integrated_gradients``, ...
    layer
        Node id of the layer whose places these are: an input, or a convolution at its own resolution.
    values
        One number for each place, without channels: ``(H, W)``, ``(steps,)``, ``(D, H, W)``; or with them, as the
        layer's shape, where `channels` says so. Signed where the method is.
    explained
        The target, and its score.
    settings
        What else determines it: the baseline, the number of steps, the seed.
    shares
        ``(S,)``: the shares of places that were changed in the measure of faithfulness, from 0 to 1; empty if it was
        not taken.
    deletion, insertion
        ``(S,)``: the target's probability (its score, if it has none) when the places that count most are taken out
        first, and when they alone are put in (Petsiuk et al. 2018, arXiv:1806.07421).
    """

    method: str
    layer: str
    values: NDArray[np.float32]
    explained: Explained
    settings: Mapping[str, object]
    shares: NDArray[np.float32]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]

    @property
    def deletion_auc(self) -> float | None:
        """Area under the deletion curve: the less, the more faithful."""
        return float(np.trapezoid(self.deletion, self.shares)) if len(self.shares) else None

    @property
    def insertion_auc(self) -> float | None:
        """Area under the insertion curve: the more, the more faithful."""
        return float(np.trapezoid(self.insertion, self.shares)) if len(self.shares) else None


@dataclass(frozen=True)
class FeatureVisualization:
    """Inputs that drive channels of one layer as high as they go (Erhan et al. 2009; Olah et al. 2017).

    Attributes
    ----------
    node
        Node id.
    objective
        ``channel`` (its mean), ``neuron`` (its cell in the middle) or ``class`` (a number of an output); always of what
        stands before the layer's own activation function.
    channels
        ``(F,)`` int64.
    images
        ``(F, H, W, C)`` in [0, 1], C 1 or 3: what was found, as people would look at it.
    before, after
        ``(F,)``: the objective at the start and for the image.
    dead
        ``(F,)`` bool: channels that answer nothing after the activation function, neither to several random pictures nor
        to what was found.
    settings
        Parametrization, steps, seeds.
    """

    node: str
    objective: Objective
    channels: NDArray[np.int64]
    images: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    dead: NDArray[np.bool_]
    settings: Mapping[str, object]

    def __post_init__(self) -> None:
        count = len(self.channels)
        if self.images.ndim != 4 or any(len(a) != count for a in (self.images, self.before, self.after, self.dead)):
            raise CaptureError(f"Features of {self.node!r}: expected {count} images (F, H, W, C), and as many figures.")


@dataclass(frozen=True)
class Embedding:
    """Points that stand near each other where a layer answers alike.

    Attributes
    ----------
    name
        The layer's node id, or an input's.
    method
        ``tsne`` (van der Maaten and Hinton 2008) or ``pca``.
    points
        ``(M, 3)`` or ``(M, 2)``.
    first
        ``(M, 3)`` or ``(M, 2)``: the first look by PCA alone.
    snapshots
        ``(F, M, 3)`` or ``(F, M, 2)``: the way of the points while they were placed, the last being `points`.
    names
        What each sample is called.
    labels, predictions
        ``(M,)`` int64 classes; empty if they are not known. A prediction is `NO_CLASS` where the model gave NaN.
    probabilities
        ``(M,)``: of the predicted class; empty if the model tells no classes.
    thumbnails
        ``(M, h, w, 3)`` uint8; M is 0 if samples are no pictures.
    vectors
        ``(M, D)``: what was placed, after PCA where dimensions were many; new samples are placed by it.
    quality
        ``trustworthiness`` (of five neighbours, Venna and Kaski 2001), ``neighbours`` (the share of each point's ten
        nearest that are still among its ten nearest), ``kl``; and after a PCA ``variance``, the share of the outputs'
        variance that the PCA kept. Neighbours are those among the layer's own outputs.
    settings
        Perplexity, engine, seed, the number of dimensions before PCA, pooling.
    key
        What determines it, as a hash.
    mean, basis
        ``(D,)`` and ``(D, k)``: what was taken off the layer's answers and what they were multiplied by to become
        `vectors`; empty if they are those answers.
    """

    name: str
    method: Literal["tsne", "pca"]
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
    mean: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    basis: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        count, shape = len(self.points), self.points.shape
        if self.first.shape != shape or self.snapshots.shape[1:] != shape or len(self.vectors) not in (0, count):
            raise CaptureError(f"Embedding {self.name!r}: its points of {shape} do not go with the way they came.")
        if self.points.ndim != 2 or self.points.shape[1] not in (2, 3) or len(self.names) != count:
            raise CaptureError(f"Embedding {self.name!r}: expected points (M, 2) or (M, 3), and a name for each.")
        for known in (self.labels, self.predictions, self.probabilities, self.thumbnails):
            if len(known) not in (0, count):
                raise CaptureError(f"Embedding {self.name!r}: {len(known)} entries for {count} points.")


def answered(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the class of the largest score for each sample, ``(M, classes)`` to ``(M,)``; `NO_CLASS` if one is NaN."""
    return np.where(np.isnan(scores).any(axis=1), NO_CLASS, scores.argmax(axis=1)).astype(np.int64)
