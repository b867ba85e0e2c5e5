"""Find pictures that maximize channels of a layer, by gradient ascent on the picture.

D. Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; C. Olah, A. Mordvintsev and L. Schubert,
"Feature Visualization", Distill, 2017, doi:10.23915/distill.00007.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Values
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.axes import Axes, as_arranged, channel_axis, channels_last
from nnviz3d.data.capabilities.features import FeatureOptions, FeatureVisualization, write_features
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.request import Progress
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

_WANTED = re.compile(r"(?P<glob>.+?)(?:\[(?P<first>\d+)(?P<range>:(?P<end>\d+))?\])?")
_RATE = {"fourier": 0.05, "pixel": 0.08}
_JITTER = 1 / 14
"""Largest shift of a picture in each iteration, as a share of its size."""
_SCALING = 0.08
"""Largest change of a picture's scale in each iteration."""
_TOTAL_VARIATION = 0.01
"""Weight of the total variation against the objective, which is measured in standard deviations over the starts."""
_CONTRAST = 4.0
_MEASURED = 8
"""Every so many iterations the untransformed picture is measured; the best one is kept."""
_STARTS = 4
"""Random pictures for which a channel has to be 0, besides the found one, to be called inactive."""
_MEMORY = 1 << 30
"""Bytes that activations and gradients of one batch may take, roughly; and those that all pictures of a layer may take."""
_BATCH = 64
"""Most pictures in one batch."""
_CONVENTIONS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Usual ranges of a model's input."""
_HUES = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=np.float32)
"""Correlation of the colours in natural pictures (Olah et al. 2017): scaled principal axes, in columns."""


@dataclass(frozen=True)
class Palette:
    """Preprocessing of a picture in [0, 1] for the model: ``offset + picture @ colors``.

    Attributes
    ----------
    offset
        ``(C,)``: the model's input for black.
    colors
        ``(C, C)``: the change of the input by each of the picture's channels from 0 to 1.
    """

    offset: NDArray[np.float32]
    colors: NDArray[np.float32]

    @staticmethod
    def of(work: Work, axes: Axes) -> Palette:
        """Derive the palette: from the preprocessing if samples are pictures, otherwise from the range of their numbers.

        Parameters
        ----------
        axes
            Names of the input's axes.
        """
        values = channels_last(np.asarray(work.arrays[0], dtype=np.float32), axes)
        if work.samples.is_picture[0]:
            channels = values.shape[-1]
            probe = np.zeros((channels + 1, 1, 1, channels), dtype=np.float32)
            probe[np.arange(1, channels + 1), 0, 0, np.arange(channels)] = 255
            names = tuple(f"colour {i}" for i in range(channels + 1))
            prepared = work.prepare(Samples((as_arranged(probe, axes),), names, (True,)))[0]
            given = channels_last(np.asarray(prepared, dtype=np.float32), axes)[:, 0, 0]
            return Palette(given[0], given[1:] - given[0])
        low, high = _range(values)
        return Palette(low, np.diag(high - low))

    def __call__(self, pictures: Any) -> Any:
        """Turn pictures ``(n, H, W, C)`` in [0, 1] into inputs of the model."""
        return tf.convert_to_tensor(self.offset) + tf.einsum("nhwc,cd->nhwd", pictures, self.colors)


def write_feature_visualizations(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Find and write the inputs that maximize the channels of each layer that is asked for.

    Raises
    ------
    ModelError
        If the model takes no picture, or there is no such layer or channel, or a layer's numbers cannot be
        differentiated by the picture.
    """
    for found in feature_visualizations(work, report):
        write_features(writer, found)


def feature_visualizations(work: Work, report: Report) -> Iterator[FeatureVisualization]:
    """Find the inputs that maximize the channels of each layer that is asked for, in the graph's order; errors as above."""
    graph = work.model.described.graph
    shape = _picture_shape(work, graph)
    wanted = _chosen(work.insights.features, graph)
    palette, options = Palette.of(work, graph.node(graph.inputs[0]).axes), work.insights.feature_options
    size = _batch_size(graph)
    for node, channels in wanted:
        _check_room(node, len(channels), shape)
    parts = [(node, channels[i : i + size]) for node, channels in wanted for i in range(0, len(channels), size)]
    found: list[FeatureVisualization] = []
    for k, (node, channels) in enumerate(parts):
        search = _Search(work.model, node, shape, palette, options)

        def advance(count: int, before: int = k * options.steps) -> None:
            report(Progress(stage="features", done=before + count, total=len(parts) * options.steps))

        advance(0)
        found.append(search.run(np.array(channels, dtype=np.int64), advance))
        if k + 1 == len(parts) or parts[k + 1][0] != node:
            yield _joined(found)
            found = []


def _picture_shape(work: Work, graph: ModelGraph) -> tuple[int, int, int]:
    """Return the numbers of rows, columns and colours of the model's one input picture."""
    shapes = [array.shape[1:] for array in work.arrays]
    picture = PictureShape.of(shapes[0], graph.node(graph.inputs[0]).axes) if len(shapes) == 1 else None
    if picture is None or picture.height is None or picture.width is None or picture.channels not in (1, 3):
        takes = " and ".join(str(shape) for shape in shapes)
        raise ModelError(
            f"Features need a model of one picture, (rows, columns) with 1 or 3 channels last or first; this model "
            f"takes {takes}."
        )
    return picture.height, picture.width, picture.channels


@dataclass(frozen=True)
class _Search:
    """Gradient ascent for channels of one node."""

    model: DifferentiableModel
    node: str
    shape: tuple[int, int, int]
    palette: Palette
    options: FeatureOptions

    def run(self, channels: NDArray[np.int64], advance: Callable[[int], None]) -> FeatureVisualization:
        """Find a picture for each of these channels ``(n,)``, all at once."""
        options, wanted = self.options, tf.constant(channels)
        variable = tf.Variable(self._start(channels, 0), name="ascent")
        ascent = keras.optimizers.Adam(_RATE[options.parametrization], name="ascent")
        ascent.build([variable])

        def measured(parameters: Any) -> tuple[Any, Any, Any]:
            pictures = self._pictures(parameters)
            values = self.model([self._taken(pictures)])
            return pictures, self._measured(values, wanted), self._answers(values, wanted)

        def climbed(seed: Any, spread: Any, reach: Any) -> None:
            parameters = variable.read_value()
            pictures = self._pictures(parameters)
            values = self.model([self._taken(_moved(pictures, wanted, seed, reach))])
            gain = self._measured(values, wanted) / spread
            if options.parametrization == "pixel":
                gain -= _TOTAL_VARIATION * tf.image.total_variation(pictures)
            gradient = tf.gradients(-tf.reduce_sum(gain), parameters)[0]
            if gradient is None:
                raise ModelError(
                    f"Channels of {self.node} cannot be maximized: they cannot be differentiated by the picture."
                )
            ascent.apply([gradient], [variable])

        moved = [variable, *(v.value for v in ascent.variables)]
        measure, climb = Compiled(measured), Compiled(climbed, own=moved)
        others = [measure(tf.constant(self._start(channels, k, contrast=1.0)))[1:] for k in range(1, _STARTS + 1)]
        spread = np.std([score for score, _ in others], axis=0) + 1e-6
        images, before, answers = (x.numpy() for x in measure(variable.read_value()))
        alive = np.any([answers, *(a.numpy() for _, a in others)], axis=0)
        after = before.copy()
        for k in range(1, options.steps + 1):
            # A neuron sees one location, so the shifts of its picture fade out; a channel and a class see every location.
            reach = max(0.0, 1 - 2 * k / options.steps) if self.objective == "neuron" else 1.0
            climb(tf.constant([options.seed, k]), tf.constant(spread, tf.float32), tf.constant(reach))
            if k % _MEASURED == 0 or k == options.steps:
                pictures, score, answers = (x.numpy() for x in measure(variable.read_value()))
                better = score > after
                after[better], images[better] = score[better], pictures[better]
                alive |= answers
                advance(k)
        settings = {name: getattr(options, name) for name in ("parametrization", "steps", "seed")}
        return FeatureVisualization(self.node, self.objective, channels, images, before, after, ~alive, settings)

    @property
    def objective(self) -> Literal["channel", "neuron", "class"]:
        return "class" if _is_head(self.model.described.graph, self.node) else self.options.objective

    def _measured(self, values: Values, wanted: Any) -> Any:
        """Return the objectives, ``(n,)``: of the n-th picture the n-th channel, before the activation function."""
        raw = self._last(values.scores(self.node) if self.objective == "class" else values.raw(self.node))
        if self.objective == "neuron":
            for length in raw.shape[1:-1]:
                raw = raw[:, length // 2]
        elif len(raw.shape) > 2:
            raw = tf.reduce_mean(raw, axis=list(range(1, len(raw.shape) - 1)))
        return tf.gather(tf.cast(raw, tf.float32), wanted, axis=1, batch_dims=1)

    def _answers(self, values: Values, wanted: Any) -> Any:
        """Return for each picture whether its channel is not 0 somewhere after the activation function, ``(n,)``."""
        shown = self._last(tf.not_equal(values[self.node], 0))
        if len(shown.shape) > 2:
            shown = tf.reduce_any(shown, axis=list(range(1, len(shown.shape) - 1)))
        return tf.gather(shown, wanted, axis=1, batch_dims=1)

    def _start(self, channels: NDArray[np.int64], number: int, contrast: float = 0.01) -> NDArray[np.float32]:
        """Draw parameters of nearly grey pictures, or of larger contrast; for one channel they are always the same."""
        rows, columns, colors = self.shape
        fourier = self.options.parametrization == "fourier"
        size = (2, colors, rows, columns // 2 + 1) if fourier else (rows, columns, colors)
        draws = [np.random.default_rng((self.options.seed, int(c), number)).normal(size=size) for c in channels]
        return np.asarray(draws, dtype=np.float32) * np.float32(contrast)

    def _taken(self, pictures: Any) -> Any:
        """Turn pictures in [0, 1] into inputs of the model, with its axes and its range."""
        graph = self.model.described.graph
        axes, given = graph.node(graph.inputs[0]).axes, self.palette(pictures)
        if channel_axis(axes) is None:
            return given[..., 0]
        return tf.transpose(given, (0, 3, 1, 2)) if channel_axis(axes) == 0 else given

    def _last(self, tensor: Any) -> Any:
        """Move the channels of the node's output last."""
        at, rank = channel_axis(self.model.described.graph.node(self.node).axes), len(tensor.shape)
        if at is None or at + 2 >= rank:
            return tensor if at is not None or rank < 2 else tensor[..., tf.newaxis]
        return tf.transpose(tensor, [i for i in range(rank) if i != at + 1] + [at + 1])

    def _pictures(self, parameters: Any) -> Any:
        """Turn parameters into pictures ``(n, H, W, C)`` in [0, 1]."""
        rows, columns, colors = self.shape
        pictures = parameters
        if self.options.parametrization == "fourier":
            frequency = np.hypot(np.fft.fftfreq(rows)[:, np.newaxis], np.fft.rfftfreq(columns))
            scale = math.sqrt(rows * columns) / np.maximum(frequency, 1 / max(rows, columns))
            spectrum = tf.complex(parameters[:, 0], parameters[:, 1]) * tf.constant(scale, tf.complex64)
            pictures = tf.transpose(tf.signal.irfft2d(spectrum, [rows, columns]), (0, 2, 3, 1)) / _CONTRAST
            if colors == 3:
                pictures = tf.einsum("nhwc,dc->nhwd", pictures, _HUES / np.linalg.norm(_HUES, axis=0).max())
        return tf.sigmoid(pictures)


def _moved(pictures: Any, wanted: Any, seed: Any, reach: Any) -> Any:
    """Shift and scale each picture at random, by a little times `reach`; its edges are continued by reflection."""
    _, rows, columns, _ = pictures.shape

    def one(channel: Any) -> Any:
        chance = reach * tf.random.stateless_uniform(
            (3,), tf.cast(seed, tf.int64) * [1, 1 << 20] + [0, channel], -1.0, 1.0
        )
        zoom = 1 + _SCALING * chance[0]
        across, down = (chance[i + 1] * _JITTER * n + (1 - zoom) * (n - 1) / 2 for i, n in enumerate((columns, rows)))
        return tf.stack([zoom, 0.0, across, 0.0, zoom, down, 0.0, 0.0])

    transforms = tf.map_fn(one, wanted, fn_output_signature=tf.float32)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=transforms,
        output_shape=[rows, columns],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _chosen(globs: Sequence[str], graph: ModelGraph) -> list[tuple[str, list[int]]]:
    """Return the nodes and channels that are asked for, in the graph's order."""
    found: dict[str, set[int]] = {}
    for text in globs:
        match = _WANTED.fullmatch(text)
        glob = match["glob"] if match is not None else text
        names = [n.id for n in graph if n.id not in graph.inputs]
        nodes = [graph.node(name) for name in matching(glob, graph) if name in names or name == glob]
        if not nodes and by_kind(glob):
            raise ModelError(
                f"{lacks(glob, graph)}, whose channels would be maximized; capture the model with --features LAYER, where "
                f"LAYER is one of {', '.join(names[:40])}, and show that capture."
            )
        if not nodes:
            close = difflib.get_close_matches(glob, names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ModelError(f"No layer matches {glob!r}; the model has {', '.join(names[:40])}.{hint}")
        for node in nodes:
            found.setdefault(node.id, set()).update(_channels(node, graph, text, match))
    return [(node.id, sorted(found[node.id])) for node in graph if node.id in found]


def _channels(node: LayerNode, graph: ModelGraph, text: str, match: re.Match[str] | None) -> range:
    count = node.channels if node.shape else None
    if node.id in graph.inputs or not count:
        raise ModelError(f"{node.id} has no channels to maximize; name a layer after the input.")
    if match is None or match["first"] is None:
        return range(count)
    first = int(match["first"])
    end = first + 1 if match["end"] is None else int(match["end"])
    if not first < end <= count:
        raise ModelError(f"{text!r}: {node.id} has the channels 0 to {count - 1}.")
    return range(first, end)


def _check_room(node: str, count: int, shape: tuple[int, ...]) -> None:
    """Refuse a search for more pictures than memory holds."""
    needed = 4 * count * math.prod(shape)
    if needed > _MEMORY:
        fits = _MEMORY // (4 * math.prod(shape))
        raise ModelError(
            f"{node}: {count:,} pictures of {' × '.join(map(str, shape))} take {needed / 2**30:.1f} GiB of memory, and "
            f"{_MEMORY / 2**30:.1f} are free for them; name fewer channels, as in {node}[0:{fits}]."
        )


def _is_head(graph: ModelGraph, node_id: str) -> bool:
    return node_id in graph.outputs and len(graph.node(node_id).shape) == 1


def _range(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the range of the samples' numbers for each channel: a usual range if they fill half of it."""
    flat = values.reshape(-1, values.shape[-1])
    flat = flat[np.isfinite(flat).all(axis=1)]
    if not len(flat):
        raise ModelError("Features need a sample of real numbers, to know the range of the model's input.")
    low, high = flat.min(axis=0), flat.max(axis=0)
    for a, b in _CONVENTIONS:
        if low.min() >= a and high.max() <= b and high.max() - low.min() >= (b - a) / 2:
            return np.full_like(low, a), np.full_like(high, b)
    return low, np.where(high > low, high, low + 1)


def _batch_size(graph: ModelGraph) -> int:
    # Each activation is kept for its gradient, which is as large.
    numbers = sum(math.prod(n or 1 for n in shape) for node in graph for shape in node.shapes)
    return max(1, min(_BATCH, _MEMORY // (8 * max(numbers, 1))))


def _joined(parts: Sequence[FeatureVisualization]) -> FeatureVisualization:
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("channels", "images", "before", "after", "dead")
    }
    return replace(parts[0], **rows)
