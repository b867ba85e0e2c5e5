"""Alarms for a training: rules that detect faults of layers at each recorded step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.training import STATISTICS, Training

AlarmKind = Literal["nonfinite", "exploding", "dead", "vanishing", "saturated", "update"]

TITLES: Mapping[AlarmKind, str] = {
    "nonfinite": "NaN or infinite",
    "exploding": "exploding gradient",
    "dead": "dead units",
    "vanishing": "vanishing gradient",
    "saturated": "saturated units",
    "update": "update ratio out of range",
}
"""Title of each kind of alarm, the most severe kind first."""

VANISHING = 1e-5
"""Share of the largest gradient norm of any layer, at the same step.

Hochreiter (1991) and Glorot and Bengio (2010) explain why gradients shrink from layer to layer. Under gradient descent,
such a layer needs 100,000 steps for the change that another layer makes in one; in a healthy network the norms of layers
differ by a factor of at most a hundred.
"""
EXPLODING = 100.0
"""Gradient norm, divided by the norm of all weights of the network at the first recorded step, or by 1 if that is larger.

At a learning rate of 0.01, such a gradient replaces the weights in one step (see Pascanu, Mikolov and Bengio, 2013).
"""
DEAD = 0.9
"""Share of a layer's units whose output is 0 for every probe sample.

With few samples, many units of a healthy network are inactive, about 40 % of 64 neurons for 8 digits, but not 90 %.
"""
SATURATED = 0.9
"""Share of a hidden layer's outputs where its activation function is flat. Model outputs may be saturated."""
LARGEST_UPDATE = 0.5
"""|after - before| / |before| of a layer's weights; Karpathy's rule of thumb (CS231n) is 1e-3.

The first step of Adam or RMSprop at their usual rates may be a hundred times larger in wide layers, whose initial weights
are small; a layer whose weights change by half loses what it has learnt.
"""
LEAST_UPDATE = 1e-7
"""The same ratio, about the resolution of float32. The alarm requires a smaller ratio from the first recorded step on,
because the updates of a trained network may become arbitrarily small."""

_AT = {name: i for i, name in enumerate(STATISTICS)}
_NONFINITE = {
    "nonfinite_before": "of its weights (already before the step; alarm above 0)",
    "nonfinite_activations": "of its activations (for the probe samples; alarm above 0)",
    "nonfinite_gradients": "of the gradients by its weights (alarm above 0)",
    "nonfinite_weights": "of its weights (after the step; alarm above 0)",
}


@dataclass(frozen=True)
class Alarm:
    """A fault of a layer at a recorded step.

    Attributes
    ----------
    layer
        Node id.
    step
        The recorded step.
    figure, threshold
        The measured statistic, and the limit of the alarm.
    words
        Both, in words.
    origin
        Whether the recording shows that NaN or infinite numbers began in this layer.
    """

    kind: AlarmKind
    layer: str
    step: int
    figure: float
    threshold: float
    words: str
    origin: bool = False

    @property
    def title(self) -> str:
        """The title of its kind."""
        return TITLES[self.kind]

    @property
    def grave(self) -> bool:
        """Whether the training or the layer cannot recover from it."""
        return self.kind in ("nonfinite", "exploding", "dead")

    @property
    def sentence(self) -> str:
        """The alarm as one sentence."""
        return f"{self.layer}: {self.title} at step {self.step:,}: {self.words}."


def alarms(training: Training, graph: ModelGraph, at: int = -1) -> tuple[Alarm, ...]:
    """Find the faults after a recorded step.

    Parameters
    ----------
    training
        The recorded training.
    graph
        The graph of its model.
    at
        Recorded index, 0 to S - 1; negative ones count from the end.

    Returns
    -------
    Alarms, at most one of each kind for a layer: the most severe kind first, and within a kind the worst layer first. For
    NaN or infinite numbers, the layer where they began is first, if the recording shows it.
    """
    if not len(training):
        return ()
    end = range(len(training))[at] + 1
    return examine(graph, _series(training)[:end], int(training.steps[end - 1]), float(training.learning_rate[end - 1]))


def first_alarms(training: Training, graph: ModelGraph) -> tuple[Alarm, ...]:
    """Find all faults of a training; each kind and layer once, at the first recorded step that shows it."""
    found: dict[tuple[AlarmKind, str], Alarm] = {}
    series = _series(training)
    broken = _is_broken(series)
    began = broken.argmax(axis=0)[broken.any(axis=0)] if len(series) else np.empty(0, np.int64)
    for at, (step, rate) in enumerate(zip(training.steps.tolist(), training.learning_rate.tolist(), strict=True)):
        # The rules need only the steps at which layers broke; to examine all earlier steps each time would take minutes.
        telling = np.unique([0, *began[began < at], at])
        for alarm in examine(graph, series[telling], step, rate):
            found.setdefault((alarm.kind, alarm.layer), alarm)
    return tuple(found.values())


def examine(graph: ModelGraph, series: NDArray[np.float32], step: int, rate: float = np.nan) -> tuple[Alarm, ...]:
    """Find the faults at a step from the statistics of a training.

    Parameters
    ----------
    series
        ``(S, L, K)``, as in `Training.series`: statistics of the first recorded step, perhaps of further ones, and last
        of the examined step; S is 1 if the first step is examined.
    step
        Number of the examined step.
    rate
        Its learning rate; NaN if unknown.
    """
    return tuple(_Examination(graph, series, step, rate).alarms())


def groups(found: Iterable[Alarm]) -> tuple[tuple[Alarm, ...], ...]:
    """Group alarms, in the order in which `alarms` returns them, by step and kind."""
    return tuple(tuple(group) for _, group in groupby(found, key=lambda alarm: (alarm.step, alarm.kind)))


def heading(same_kind: Sequence[Alarm], layers: Sequence[str]) -> str:
    """Return a heading for alarms of one kind, with its layers: ``vanishing gradient in 12 layers, a … l``.

    Parameters
    ----------
    same_kind
        One or more alarms of one kind.
    layers
        All node ids in their order.
    """
    order = {layer: i for i, layer in enumerate(layers)}
    names = sorted((alarm.layer for alarm in same_kind), key=order.__getitem__)
    if len(names) == 1:
        return f"{same_kind[0].title} in {names[0]}"
    listed = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} … {names[-1]}"
    return f"{same_kind[0].title} in {len(names)} layers, {listed}"


def summaries(found: Iterable[Alarm], layers: Sequence[str]) -> tuple[str, ...]:
    """Return one sentence for each kind of alarm: its layers, and the details of the worst one.

    Parameters
    ----------
    found
        Alarms, in the order in which `alarms` returns them.
    layers
        All node ids in their order.
    """
    sentences = []
    for same_kind in groups(found):
        text = same_kind[0].sentence
        if len(same_kind) > 1:
            title = heading(same_kind, layers)
            first = "first" if same_kind[0].origin else "such as" if same_kind[0].kind == "nonfinite" else "worst"
            text = f"{title[0].upper()}{title[1:]}; {first}: {text}"
        sentences.append(text)
    return tuple(sentences)


class _Examination:
    """The rules, one method each, applied to one step."""

    def __init__(self, graph: ModelGraph, series: NDArray[np.float32], step: int, rate: float) -> None:
        self._graph = graph
        self._layers = [node.id for node in graph]
        self._series = series
        self._step = step
        self._rate = rate
        self._broken = _is_broken(series[-1:])[0]

    def alarms(self) -> list[Alarm]:
        nonfinite, exploding, dead = self._nonfinite(), self._exploding(), self._dead()
        # All gradients are small in comparison with exploding ones.
        vanishing = [] if nonfinite or exploding else self._vanishing(dead)
        return [*nonfinite, *exploding, *dead, *vanishing, *self._saturated(), *self._update(vanishing)]

    def _now(self, name: str) -> NDArray[np.float64]:
        """Return a statistic of all layers, ``(L,)``."""
        return self._series[-1, :, _AT[name]].astype(np.float64)

    def _first(self, name: str) -> NDArray[np.float64]:
        return self._series[0, :, _AT[name]].astype(np.float64)

    def _alarm(self, kind: AlarmKind, i: int, figure: float, threshold: float, words: str) -> Alarm:
        return Alarm(kind, self._layers[i], self._step, float(figure), float(threshold), words)

    def _nonfinite(self) -> list[Alarm]:
        if not self._broken.any():
            return []
        counts = _counts(self._series)
        began = _is_broken(self._series).argmax(axis=0)
        clean = [bool(counts[began[i], i, 0] == 0) for i in range(len(self._layers))]
        found = sorted(np.nonzero(self._broken)[0].tolist(), key=lambda i: (began[i], clean[i], i))
        # Weights that were broken before the step broke all other layers in it; if several were, the origin is unknown.
        suspects = [i for i in found if (began[i], clean[i]) == (began[found[0]], False)]
        alarms = []
        for i in found:
            where = next(k for k, count in enumerate(counts[-1, i]) if count)
            count, words = int(counts[-1, i, where]), list(_NONFINITE.values())[where]
            alarm = self._alarm("nonfinite", i, count, 0, f"{count:,} {words}")
            alarms.append(replace(alarm, origin=suspects == [i]))
        return alarms

    def _exploding(self) -> list[Alarm]:
        # Weights that several calls share are counted once.
        weights = self._first("weight_norm")[[node.call == 0 for node in self._graph]]
        norm = float(np.sqrt(np.sum(np.square(weights[np.isfinite(weights)]))))
        threshold = EXPLODING * max(norm, 1.0)
        gradients = self._now("gradient_norm")
        return [
            self._alarm(
                "exploding",
                i,
                gradients[i],
                threshold,
                f"its norm is {gradients[i]:.3g} (alarm above {threshold:.3g}, {EXPLODING:g} times that of all weights)",
            )
            for i in _worst(gradients, gradients > threshold, largest=True)
        ]

    def _dead(self) -> list[Alarm]:
        # TensorFlow's ReLU returns 0 for NaN; such a unit is broken, not dead.
        shares = np.where(self._broken, np.nan, self._now("dead"))
        return [
            self._alarm(
                "dead", i, shares[i], DEAD, f"{shares[i]:.0%} give 0 for every probe sample (alarm from {DEAD:.0%})"
            )
            for i in _worst(shares, shares >= np.float32(DEAD), largest=True)
        ]

    def _vanishing(self, dead: Sequence[Alarm]) -> list[Alarm]:
        norms = self._now("gradient_norm")
        largest = np.nanmax(norms, initial=0.0)
        if not largest:
            return []  # all gradients of this batch are zero
        shares = norms / largest
        behind = self._up_to({alarm.layer for alarm in dead})
        explained = np.array([layer in behind for layer in self._layers]) & (norms == 0)
        if len(self._series) == 1 and not np.any((norms > 0) & (shares < VANISHING)):
            # Zero gradients without small ones come from a factor that starts as 0, as the last scale of a residual branch
            # may (Goyal et al., 2017), not from vanishing ones.
            explained |= norms == 0
        return [
            self._alarm(
                "vanishing",
                i,
                shares[i],
                VANISHING,
                f"its norm is {shares[i]:.3g} of the largest of all layers (alarm below {VANISHING:g})",
            )
            for i in _worst(shares, (shares < VANISHING) & ~explained, largest=False)
        ]

    def _saturated(self) -> list[Alarm]:
        shares = self._now("saturated")
        hidden = np.array([layer not in self._graph.outputs for layer in self._layers])
        return [
            self._alarm(
                "saturated",
                i,
                shares[i],
                SATURATED,
                f"{shares[i]:.0%} of its numbers lie where its activation function is flat (alarm from {SATURATED:.0%})",
            )
            for i in _worst(shares, (shares >= np.float32(SATURATED)) & hidden, largest=True)
        ]

    def _update(self, vanishing: Sequence[Alarm]) -> list[Alarm]:
        ratios = self._now("update_ratio")
        first = with_first_update(self._series)[:, _AT["update_ratio"]].astype(np.float64)
        # The first update of weights that are all zeros is infinite in relation to them.
        large = (ratios > LARGEST_UPDATE) & ~np.isinf(first)
        small = (ratios < LEAST_UPDATE) & (first < LEAST_UPDATE) & (self._now("gradient_norm") > 0)
        known = {alarm.layer for alarm in vanishing}
        small &= np.array([layer not in known for layer in self._layers]) & (self._rate != 0)
        return [
            *(
                self._alarm("update", i, ratios[i], LARGEST_UPDATE, _updated(ratios[i], "above", LARGEST_UPDATE))
                for i in _worst(ratios, large, largest=True)
            ),
            *(
                self._alarm("update", i, ratios[i], LEAST_UPDATE, _updated(ratios[i], "below", LEAST_UPDATE))
                for i in _worst(ratios, small, largest=False)
            ),
        ]

    def _up_to(self, layers: set[str]) -> set[str]:
        """Return these layers and all layers before them."""
        found = set(layers)
        for node in reversed(self._graph.nodes):
            if node.id in found:
                found.update(self._graph.sources(node.id))
        return found


def with_first_update(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the statistics of the first step, ``(L, K)``, but each layer's update ratio at its first update.

    An optimizer that accumulates gradients, or whose loss scale is too large, does not update at every step.
    """
    first: NDArray[np.float32] = series[0].copy()
    updates = series[:, :, _AT["update_ratio"]]
    at = (~np.isnan(updates)).argmax(axis=0)
    first[:, _AT["update_ratio"]] = np.take_along_axis(updates, at[np.newaxis], axis=0)[0]
    return first


def _series(training: Training) -> NDArray[np.float32]:
    """Return the `STATISTICS` of a training, ``(S, L, K)``."""
    if training.statistics == STATISTICS:
        return training.series
    # Recordings of earlier versions lack a statistic; it is NaN here and raises no alarm.
    series = np.full((*training.series.shape[:2], len(STATISTICS)), np.nan, np.float32)
    for name in set(training.statistics) & set(STATISTICS):
        series[:, :, _AT[name]] = training.statistic(name)
    return series


def _is_broken(series: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return for each layer at each step whether any of its numbers is not finite, ``(S, L)``."""
    return np.asarray(np.any(_counts(series) > 0, axis=-1), dtype=np.bool_)


def _counts(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the numbers of non-finite elements of each layer at each step, ``(S, L, 4)``; 0 if they were not counted."""
    return np.asarray(np.nan_to_num(series[:, :, [_AT[name] for name in _NONFINITE]]))


def _worst(figures: NDArray[np.float64], chosen: NDArray[np.bool_], *, largest: bool) -> list[int]:
    """Return the chosen indices, the worst first; equal ones keep their order."""
    indices = np.nonzero(chosen)[0]
    order = np.argsort(-figures[indices] if largest else figures[indices], kind="stable")
    return [int(i) for i in indices[order]]


def _updated(ratio: float, side: str, threshold: float) -> str:
    return f"its weights changed by {ratio:.3g} of their norm (alarm {side} {threshold:g})"
